"""One batch for an objective whose derivatives are told, from history to suggestions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from search.bayes.acquire import Pick, choose
from search.bayes.gradient_data import Softened, Taught, taught_by
from search.bayes.gradient_memo import Last, plan_fit, write
from search.bayes.gradient_model import Informed, build, fit
from search.bayes.suggest import NUMERICAL, alone
from search.candidates import Candidates
from search.encoding import Cube
from search.fallback import sobol_instead
from search.fresh import topped_up
from search.origin import origin_of
from search.outcomes import Lesson, lessons
from search.scales import Floats
from search.searcher import Batch, History, Suggestion
from search.targets import telling

if TYPE_CHECKING:
    from search.searchers.botorch import BoTorch

# Values, and values with derivatives: a fit costs the cube of its rows, many times over.
FIT_POINTS, FIT_ROWS = 100, 300
MODEL_POINTS, MODEL_ROWS = 500, 1000


@dataclass(frozen=True, slots=True)
class Known:
    """What the trials taught: which they were, their rows, their losses and derivatives."""

    cube: Cube
    numbers: Sequence[int]
    rows: Floats
    taught: Taught
    units: Softened

    @classmethod
    def of(cls, history: History, taught: Sequence[Lesson], rng: np.random.Generator) -> Known:
        """At most MODEL_POINTS of the lessons."""
        cube = Cube(history.problem.space)
        places = telling([lesson.loss for lesson in taught], MODEL_POINTS, rng)
        kept = [taught[place] for place in places]
        found, units = taught_by(history.problem, history.trials, kept, cube)
        rows = cube.encode(lesson.config for lesson in kept)
        return cls(cube, [lesson.number for lesson in kept], rows, found, units)

    def model(
        self, history: History, evaluations: int, rng: np.random.Generator
    ) -> tuple[Informed, Last]:
        """The model of it all, its shape fitted on some of it, and what to remember of the fit."""
        owners = self.cube.owners
        todo = plan_fit(history, len(self.cube.free), self.taught.rows, evaluations)
        shape = todo.starts[0]
        if todo.evaluations:
            some = self.taught.some(FIT_POINTS, FIT_ROWS, rng)
            shape = fit(some.turned(), owners, todo.starts, todo.evaluations)
        some = self.taught.some(MODEL_POINTS, MODEL_ROWS, rng)
        return build(some.turned(), owners, shape), Last(shape, todo.polished, todo.sought)

    def best(self) -> Floats:
        """The rows, best first."""
        return self.rows[np.argsort(self.taught.y, kind="stable")]


def suggest_with_gradients(settings: BoTorch, history: History, count: int) -> Batch:
    """`count` configs by noisy expected improvement, or Sobol points that say why not."""
    taught = lessons(history.problem, history.trials)
    if sum(lesson.measured for lesson in taught) < 2:
        return sobol_instead(history, count, "fewer than two trials have a finite result")
    if not Cube(history.problem.space).free:
        return sobol_instead(history, count, "no parameter has more than one value")
    rng = history.rng()
    try:
        with alone(seed=int(rng.integers(2**31))):
            known = Known.of(history, taught, rng)
            model, last = known.model(history, settings.fit_evaluations, rng)
            picks = choose(
                model,
                Candidates(
                    known.cube,
                    known.cube.encode(history.taken()),
                    rng,
                    settings.prior_weight / len(taught),
                ),
                best=known.best(),
                pending=known.cube.encode(history.pending()),
                count=count,
                effort=settings.candidates,
            )
            found = [_suggestion(history, known, model, pick) for pick in picks]
    except NUMERICAL as error:
        because = f"the model failed: {type(error).__name__}: {error}"
        return sobol_instead(history, count, because[:500])
    return topped_up(history, found, count, write(last))


def _suggestion(history: History, known: Known, model: Informed, pick: Pick) -> Suggestion:
    """The pick as a config, with what the model expects in the units of the metric."""
    scale, units = float(model.scale), known.units
    loss = units.loss(-pick.mean * scale)
    # Without beliefs the acquisition is the logarithm of the improvement, in the model's units.
    gain = math.exp(min(pick.acquisition - pick.prior, 700.0)) * scale * units.scale
    numbers = {
        "acquisition": pick.acquisition,
        "sd": pick.sd * scale / units.rate(loss),
        "expected_gain": gain,
    }
    if history.problem.space.believes:
        numbers["prior"] = pick.prior
    alike = model.cross(torch.from_numpy(known.cube.features(pick.row[None])), model.X)
    origin = origin_of(
        "botorch",
        history,
        numbers,
        model_trials=len(known.rows),
        nearest=known.numbers[int(alike.argmax())],
        loss=loss,
    )
    told = {**origin, "derivatives": model.derivatives}
    return Suggestion(config=known.cube.decode(pick.row), origin=told)
