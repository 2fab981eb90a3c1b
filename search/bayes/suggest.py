"""One batch of Bayesian optimisation, from history to suggestions."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from botorch.exceptions.errors import ModelFittingError
from botorch.exceptions.warnings import OptimizationWarning
from botorch.models import SingleTaskGP
from gpytorch.settings import max_cholesky_size
from linear_operator.utils.errors import NanError, NotPSDError
from linear_operator.utils.warnings import NumericalWarning

from search.bayes.acquire import Pick, choose
from search.bayes.anchored import Observed
from search.bayes.model import build, fit
from search.bayes.warm import Last, plan_fit, write
from search.candidates import Candidates
from search.encoding import Cube
from search.fallback import sobol_instead
from search.fresh import topped_up
from search.origin import origin_of
from search.outcomes import Lesson, lessons
from search.scales import Floats
from search.searcher import Batch, History, Suggestion
from search.targets import Targets, targets, telling

if TYPE_CHECKING:
    from search.searchers.botorch import BoTorch

# A marginal likelihood costs the cube of the points: fit on some, predict with more.
FIT_POINTS, MODEL_POINTS = 150, 1000
NUMERICAL = (
    ArithmeticError,
    ModelFittingError,
    NanError,
    NotPSDError,
    np.linalg.LinAlgError,
    torch.linalg.LinAlgError,  # type: ignore[attr-defined]
)


@dataclass(frozen=True, slots=True)
class Known:
    """What the trials taught: the rows of their configs and what the model is to predict there."""

    cube: Cube
    numbers: Sequence[int]
    rows: Floats
    aims: Targets
    results: int  # of which the rows are at most MODEL_POINTS

    @classmethod
    def of(cls, cube: Cube, taught: Sequence[Lesson], rng: np.random.Generator) -> Known:
        """The lessons as arrays, at most MODEL_POINTS of them."""
        places = telling([lesson.loss for lesson in taught], MODEL_POINTS, rng)
        kept = [taught[place] for place in places]
        rows = cube.encode(lesson.config for lesson in kept)
        numbers = [lesson.number for lesson in kept]
        return cls(cube, numbers, rows, targets([lesson.loss for lesson in kept]), len(taught))

    def model(self, history: History, evaluations: int, rng: np.random.Generator) -> Fitted:
        """The model of it all, with hyperparameters fitted on at most FIT_POINTS."""
        X, y = torch.from_numpy(self.cube.features(self.rows)), torch.from_numpy(-self.aims.y)
        todo = plan_fit(history, len(self.cube.free), self.results, evaluations)
        at = todo.starts[0]
        if todo.evaluations:
            some = telling(self.aims.y.tolist(), FIT_POINTS, rng)
            at = fit(X[some], y[some], self.cube.owners, todo.starts, todo.evaluations)
        last = Last(at, todo.polished, todo.sought)
        return Fitted(build(X, y, self.cube.owners, at), last)


@dataclass(frozen=True, slots=True)
class Fitted:
    """A model, and what to remember of how it was fitted."""

    gp: SingleTaskGP
    last: Last

    def nearest(self, features: Floats) -> int:
        """The place of the known row that the model holds to be most like this one."""
        X = self.gp.train_inputs[0]
        with torch.no_grad():
            alike = self.gp.covar_module(torch.from_numpy(features), X).to_dense()
        return int(alike.argmax())


def suggest(settings: BoTorch, history: History, count: int) -> Batch:
    """`count` configs by noisy expected improvement, or Sobol points that say why not."""
    cube = Cube(history.problem.space)
    taught = lessons(history.problem, history.trials)
    if sum(lesson.measured for lesson in taught) < 2:
        return sobol_instead(history, count, "fewer than two trials have a finite result")
    if not cube.free:
        return sobol_instead(history, count, "no parameter has more than one value")
    rng = history.rng()
    try:
        with alone(seed=int(rng.integers(2**31))):
            known = Known.of(cube, taught, rng)
            fitted = known.model(history, settings.fit_evaluations, rng)
            picks = choose(
                Observed(fitted.gp),
                Candidates(
                    cube,
                    cube.encode(history.taken()),
                    rng,
                    settings.prior_weight / len(taught),
                ),
                best=known.rows[np.argsort(known.aims.y, kind="stable")],
                pending=cube.encode(history.pending()),
                count=count,
                effort=settings.candidates,
            )
            found = [_suggestion(history, known, fitted, pick) for pick in picks]
    except NUMERICAL as error:
        because = f"the model failed: {type(error).__name__}: {error}"
        return sobol_instead(history, count, because[:500])
    return topped_up(history, found, count, write(fitted.last))


@contextmanager
def alone(seed: int) -> Iterator[None]:
    """One thread, the generator seeded, exact algebra; all of it as before afterwards.

    The order in which threads add numbers up would show in the suggestions.
    """
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        with (
            torch.random.fork_rng(devices=[]),
            max_cholesky_size(2 * MODEL_POINTS),
            warnings.catch_warnings(),
        ):
            # A budget used up and a matrix that needed jitter are both expected, and dealt with.
            warnings.simplefilter("ignore", OptimizationWarning)
            warnings.simplefilter("ignore", NumericalWarning)
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(threads)


def _suggestion(history: History, known: Known, fitted: Fitted, pick: Pick) -> Suggestion:
    """The pick as a config, with what the model expects in the units of the metric."""
    numbers = {
        "acquisition": pick.acquisition,
        "sd": pick.sd * known.aims.scale,
        # Without beliefs the acquisition is the logarithm of the improvement, in standard units.
        "expected_gain": math.exp(min(pick.acquisition - pick.prior, 700.0)) * known.aims.scale,
    }
    if history.problem.space.believes:
        numbers["prior"] = pick.prior
    origin = origin_of(
        "botorch",
        history,
        numbers,
        model_trials=len(known.rows),
        nearest=known.numbers[fitted.nearest(known.cube.features(pick.row[None]))],
        loss=known.aims.loss(-pick.mean),
    )
    return Suggestion(config=known.cube.decode(pick.row), origin=origin)
