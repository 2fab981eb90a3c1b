"""One batch of configs together with how far to run each, from history to suggestions."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from search.alike import most_alike
from search.bayes.acquire import maximise
from search.bayes.fidelity_entropy import information, lowest_values
from search.bayes.fidelity_fit import fit
from search.bayes.fidelity_model import Model
from search.bayes.fidelity_points import Points, measured
from search.candidates import Candidates
from search.encoding import Cube
from search.fallback import sobol_instead
from search.fidelity import Fidelity
from search.fresh import topped_up
from search.gp.improvement import log_expected_improvement
from search.gp.threads import one_thread
from search.origin import origin_of
from search.scales import Floats
from search.searcher import Batch, History, Suggestion
from search.searchers.sobol import Sobol
from search.targets import telling
from search.trial import TrialState

if TYPE_CHECKING:
    from search.searchers.botorch import BoTorch

FIT_POINTS = 150
POOL = 500  # configs among which the lowest loss is imagined
NUMERICAL = (ArithmeticError, np.linalg.LinAlgError)


def suggest(settings: BoTorch, fidelity: Fidelity, history: History, count: int) -> Batch:
    """`count` configs and how many steps each is to run; None is a full run."""
    cube = Cube(history.problem.space)
    begun = len(history.trials) + len(history.reserved)
    early = min(count, max(0, first_trials(cube) - begun))
    opening = _opening(history, fidelity, early)
    if early == count or not cube.free:
        return _topped_up(history, opening, count, fidelity)
    if measured(history.problem, history.trials) < 2:
        return _sobol(history, count, fidelity, "fewer than two trials have a finite result")
    later = replace(history, reserved=[*history.reserved, *(s.config for s in opening)])
    try:
        with one_thread(), np.errstate(divide="raise", over="raise", invalid="raise"):
            found = list(_search(settings, fidelity, later, cube, count - early))
    except NUMERICAL as error:
        because = f"the model failed: {type(error).__name__}: {error}"
        return _sobol(history, count, fidelity, because[:500])
    return _topped_up(history, [*opening, *found], count, fidelity)


def first_trials(cube: Cube) -> int:
    """How many trials cover the space at the two lowest rungs, before a model chooses."""
    return max(8, 2 * len(cube.free))


def _opening(history: History, fidelity: Fidelity, count: int) -> list[Suggestion]:
    """Sobol points: two at the lowest rung, one at the next, and so on."""
    if not count:
        return []
    rungs, begun = fidelity.rungs(), len(history.trials) + len(history.reserved)
    points = Sobol().suggest(history, count).suggestions
    return [
        _planned(point, rungs[(begun + k) % 3 // 2], fidelity) for k, point in enumerate(points)
    ]


def _planned(suggestion: Suggestion, steps: int, fidelity: Fidelity) -> Suggestion:
    until = None if steps >= fidelity.high else steps
    return replace(suggestion, until=until, origin={**suggestion.origin, "steps": steps})


def _topped_up(history: History, found: list[Suggestion], count: int, fidelity: Fidelity) -> Batch:
    batch = topped_up(history, found, count, None)
    rest = [_planned(s, fidelity.high, fidelity) for s in batch.suggestions[len(found) :]]
    return replace(batch, suggestions=[*batch.suggestions[: len(found)], *rest])


def _sobol(history: History, count: int, fidelity: Fidelity, because: str) -> Batch:
    batch = sobol_instead(history, count, because)
    planned = [_planned(s, fidelity.low, fidelity) for s in batch.suggestions]
    return replace(batch, suggestions=planned, memo=None)


def _search(
    settings: BoTorch, fidelity: Fidelity, history: History, cube: Cube, count: int
) -> Iterator[Suggestion]:
    rng = history.rng()
    points = Points.of(history.problem, history.trials, fidelity, cube, rng)
    search = Search(fidelity, history, cube, points)
    model = search.model(settings.fit_evaluations, rng)
    candidates = Candidates(cube, cube.encode(history.taken()), rng)
    begun = len(history.trials) + len(history.reserved) - first_trials(cube)
    best = points.rows[np.argsort(points.aims.y, kind="stable")]
    pool = cube.features(cube.snap(candidates.uniform(POOL)))
    for k in range(count):
        full = (begun + k) % fidelity.full_every == fidelity.full_every - 1
        score, steps = search.full(model) if full else search.cheap(model, pool)
        found = maximise(score, candidates, best, settings.candidates)
        if found is None:
            return
        row, value = found
        features = cube.features(row[None])
        chosen = steps(features)
        yield search.suggestion(row, value, chosen, model)
        candidates.take(row)
        model = model.pending(features, np.array([fidelity.depth(chosen)]))


Scored = tuple[Callable[[Floats], Floats], Callable[[Floats], int]]


@dataclass(frozen=True, slots=True)
class Search:
    """What a batch is chosen from."""

    fidelity: Fidelity
    history: History
    cube: Cube
    points: Points

    def model(self, evaluations: int, rng: np.random.Generator) -> Model:
        """Fitted on at most FIT_POINTS, given all points; what runs is pending in it."""
        features, y = self.cube.features(self.points.rows), self.points.aims.y
        depths = self.points.depths
        some = telling(y.tolist(), FIT_POINTS, rng)
        owners = self.cube.owners
        at = fit(features[some], owners, depths[some], y[some], evaluations)
        rows, planned = self._pending()
        known = Model.of(at, owners, features, depths, y)
        return known.pending(self.cube.features(rows), planned)

    def _pending(self) -> tuple[Floats, Floats]:
        """Rows under way, and how deep they will go; of the reserved ones a full run is assumed."""
        waiting = (TrialState.QUEUED, TrialState.RUNNING)
        under_way = [trial for trial in self.history.trials if trial.state in waiting]
        configs = [*(trial.config for trial in under_way), *self.history.reserved]
        depths = [1.0 if t.until is None else self.fidelity.depth(t.until) for t in under_way]
        return self.cube.encode(configs), np.array(depths + [1.0] * len(self.history.reserved))

    def full(self, model: Model) -> Scored:
        """Expected improvement of a full run on the best that full runs are believed to be."""
        ran = self.points.rows[self.points.depths == 1.0]
        known = ran if len(ran) else self.points.rows
        best = float(model.believe(self.cube.features(known)).mean.min())

        def score(rows: Floats) -> Floats:
            belief = model.believe(self.cube.features(rows))
            return log_expected_improvement(belief.mean, np.sqrt(belief.variance), best)

        return score, lambda _: self.fidelity.high

    def cheap(self, model: Model, pool: Floats) -> Scored:
        """What a measurement tells of the lowest loss, for what it costs, at its best rung."""
        rungs = self.fidelity.rungs()
        seen = model.believe(np.concatenate([pool, self.cube.features(self.points.rows)]))
        lowest = lowest_values(seen.mean, np.sqrt(seen.variance))

        def rates(features: Floats) -> Floats:
            belief = model.believe(features)
            sd = np.sqrt(belief.variance)
            return np.stack(
                [
                    np.log(information(belief.mean, sd, belief.correlation(depth), lowest))
                    - math.log(self.fidelity.cost(rung))
                    for rung in rungs
                    for depth in [self.fidelity.depth(rung)]
                ]
            )

        def score(rows: Floats) -> Floats:
            found: Floats = rates(self.cube.features(rows)).max(axis=0)
            return found

        return score, lambda features: rungs[int(rates(features)[:, 0].argmax())]

    def suggestion(self, row: Floats, value: float, steps: int, model: Model) -> Suggestion:
        """The config, how far to run it, and what is expected of a full run."""
        aims, features = self.points.aims, self.cube.features(row[None])
        known, belief = self.cube.features(self.points.rows), model.believe(features)
        alike = most_alike(features, known, model.at.lengths[model.owners])
        origin = origin_of(
            "botorch",
            self.history,
            {"acquisition": value, "sd": math.sqrt(belief.variance[0]) * aims.scale},
            model_trials=len(set(self.points.numbers)),
            nearest=self.points.numbers[alike],
            loss=aims.loss(float(belief.mean[0])),
        )
        made = Suggestion(config=self.cube.decode(row), origin=origin)
        return _planned(made, steps, self.fidelity)
