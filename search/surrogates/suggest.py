"""One batch with a surrogate of the user's choice, from history to suggestions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from search.alike import most_alike
from search.candidates import Candidates
from search.encoding import Cube
from search.fallback import sobol_instead
from search.fresh import topped_up
from search.gp.threads import one_thread
from search.origin import origin_of
from search.outcomes import Lesson, lessons
from search.scales import Floats
from search.searcher import Batch, History, Suggestion
from search.surrogates.acquire import Pick, choose
from search.surrogates.surrogate import Model, Observed, Surrogate
from search.targets import Targets, targets, telling

if TYPE_CHECKING:
    from search.searchers.botorch import BoTorch

MODEL_POINTS = 300
NUMERICAL = (ArithmeticError, np.linalg.LinAlgError)


def suggest(settings: BoTorch, surrogate: Surrogate, history: History, count: int) -> Batch:
    """`count` configs by noisy expected improvement, or Sobol points that say why not."""
    cube = Cube(history.problem.space)
    taught = lessons(history.problem, history.trials)
    if sum(lesson.measured for lesson in taught) < 2:
        return sobol_instead(history, count, "fewer than two trials have a finite result")
    if not cube.free:
        return sobol_instead(history, count, "no parameter has more than one value")
    try:
        with one_thread(), np.errstate(divide="raise", over="raise", invalid="raise"):
            model = Modelled.of(surrogate, cube, taught, history)
            found = _search(model, history, count, settings.candidates)
    except NUMERICAL as error:
        because = f"the {surrogate.kind_of()} model failed: {type(error).__name__}: {error}"
        return sobol_instead(history, count, because[:500])
    return topped_up(history, found, count, None)


@dataclass(frozen=True, slots=True)
class Modelled:
    """A fitted model, and what it was fitted to: at most MODEL_POINTS lessons, best first."""

    model: Model
    cube: Cube
    numbers: Sequence[int]
    rows: Floats
    aims: Targets
    kind: str
    rng: np.random.Generator

    @classmethod
    def of(
        cls, surrogate: Surrogate, cube: Cube, taught: Sequence[Lesson], history: History
    ) -> Modelled:
        """Of what the trials taught."""
        rng = history.rng()
        places = telling([lesson.loss for lesson in taught], MODEL_POINTS, rng)
        kept = sorted((taught[place] for place in places), key=lambda lesson: lesson.loss)
        rows = cube.encode(lesson.config for lesson in kept)
        aims = targets([lesson.loss for lesson in kept])
        model = surrogate.fit(Observed(cube.features(rows), aims.y, cube.owners), rng)
        numbers = [lesson.number for lesson in kept]
        return cls(model, cube, numbers, rows, aims, surrogate.kind_of(), rng)

    def suggestion(self, pick: Pick, history: History) -> Suggestion:
        """The pick as a config, with what the model expects in the units of the metric."""
        features = self.cube.features(pick.row[None])
        origin = origin_of(
            "botorch",
            history,
            {"acquisition": pick.acquisition, "sd": pick.sd * self.aims.scale},
            model_trials=len(self.rows),
            nearest=self.numbers[most_alike(features, self.cube.features(self.rows))],
            loss=self.aims.loss(pick.mean),
        )
        told = {**origin, "surrogate": self.kind}
        return Suggestion(config=self.cube.decode(pick.row), origin=told)


def _search(known: Modelled, history: History, count: int, effort: int) -> list[Suggestion]:
    picks = choose(
        known.model,
        Candidates(known.cube, known.cube.encode(history.taken()), known.rng),
        observed=known.rows,
        pending=known.cube.encode(history.pending()),
        count=count,
        effort=effort,
    )
    return [known.suggestion(pick, history) for pick in picks]
