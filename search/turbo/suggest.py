"""One batch of the trust region searcher, from history to suggestions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from search.candidates import Candidates
from search.encoding import Cube
from search.fallback import sobol_instead
from search.fresh import topped_up
from search.gp.fit import Evidence, Points, cold_starts, fit
from search.gp.kernels import MATERN
from search.gp.posterior import Posterior
from search.gp.threads import one_thread
from search.origin import origin_of
from search.outcomes import Lesson, lessons
from search.scales import Floats
from search.searcher import Batch, History, Suggestion
from search.searchers.sobol import Sobol
from search.targets import Targets, targets, telling
from search.turbo.box import Box, side_weights
from search.turbo.paths import Paths
from search.turbo.region import Region, Rules
from search.turbo.replay import replay
from search.values import JSON

if TYPE_CHECKING:
    from search.searchers.turbo import TuRBO

# Trials nearest to the centre: a marginal likelihood costs the cube of the points, again and again.
FIT_POINTS, MODEL_POINTS = 100, 250
FEWEST, CANDIDATES_EACH = 500, 100  # candidates, in all and for each parameter
NUMERICAL = (ArithmeticError, np.linalg.LinAlgError)


def suggest(settings: TuRBO, history: History, count: int) -> Batch:
    """`count` configs: the rest of the region's design, then what draws of its model say."""
    cube = Cube(history.problem.space)
    if not cube.free:
        return sobol_instead(history, count, "no parameter has more than one value")
    taught = lessons(history.problem, history.trials)
    rules = Rules(settings.initial or max(4, 2 * len(cube.free)), len(cube.free))
    replayed = replay(history.trials, taught, rules)
    region, origin = replayed.region, _origin(history, replayed.region)
    own = [o for o in taught if o.measured and o.number in replayed.members]
    if region.trials + len(history.reserved) < rules.design or len(own) < 2:
        return _covering(history, count, origin)
    try:
        with one_thread(), np.errstate(divide="raise", over="raise", invalid="raise"):
            local = Local.of(cube, history, taught, min(own, key=lambda lesson: lesson.loss))
            found = local.suggestions(settings, region.length, count, origin)
    except NUMERICAL as error:
        because = f"the model failed: {type(error).__name__}: {error}"
        return sobol_instead(history, count, because[:500])
    if len(found) == count:
        return Batch(suggestions=found)
    return topped_up(history, found, count, None)


def _origin(history: History, region: Region) -> dict[str, JSON]:
    """What the replay of later batches reads, and the region's length for whoever looks."""
    return {"region": region.number, "batch": history.batch, "length": region.length}


def _covering(history: History, count: int, origin: Mapping[str, JSON]) -> Batch:
    """Points of a region's design, which cover the whole space."""
    batch = Sobol().suggest(history, count)
    designed = [replace(s, origin={**s.origin, **origin}) for s in batch.suggestions]
    return replace(batch, suggestions=designed, memo=None)


@dataclass(frozen=True, slots=True)
class Local:
    """The trials nearest to a region's centre, and what they taught."""

    cube: Cube
    candidates: Candidates
    history: History
    numbers: Sequence[int]
    centre: Floats
    features: Floats
    aims: Targets

    @classmethod
    def of(cls, cube: Cube, history: History, taught: Sequence[Lesson], best: Lesson) -> Local:
        """Of at most MODEL_POINTS lessons, whichever region they were made for."""
        rows = cube.encode(history.taken())  # the trials stand first
        place = {trial.number: place for place, trial in enumerate(history.trials)}
        centre = rows[place[best.number]]
        features = cube.features(rows[[place[lesson.number] for lesson in taught]])
        distance = np.square(features - cube.features(centre[None])).sum(axis=1)
        near = np.sort(np.argsort(distance, kind="stable")[:MODEL_POINTS])
        aims = targets([taught[k].loss for k in near])
        candidates = Candidates(cube, rows, history.rng())
        numbers = [taught[k].number for k in near]
        return cls(cube, candidates, history, numbers, centre, features[near], aims)

    def suggestions(
        self, settings: TuRBO, length: float, count: int, origin: Mapping[str, JSON]
    ) -> list[Suggestion]:
        """Up to `count`; fewer only if untried configs ran out."""
        lengths, model = self._model(settings.fit_evaluations)
        weights = side_weights(self.cube, lengths)
        box = Box(self.cube, self.centre, length, weights)
        rows = self._rows(box, settings.candidates, count)
        if not len(rows):
            return []
        paths = Paths.drawn(model, count, self.candidates.rng)
        features = self.cube.features(rows)
        places = _lowest(paths.at(features))
        beliefs = model.believe(features[places])
        alike = [self.numbers[int(np.argmax(model.correlation(features[[k]])))] for k in places]
        told = zip(rows[places], beliefs.mean, beliefs.sd, alike, strict=True)
        return [self._suggestion(*one, origin) for one in told]

    def _model(self, evaluations: int) -> tuple[Floats, Posterior]:
        owners, y = self.cube.owners, self.aims.y
        some = telling(y.tolist(), FIT_POINTS, self.candidates.rng)
        evidence = Evidence(Points(self.features[some], owners), y[some], MATERN)
        at = fit(evidence, cold_starts(len(self.cube.free)), evaluations)
        return np.array(at.lengths), Posterior.of(MATERN, at, self.features, owners, y)

    def _rows(self, box: Box, most: int, needed: int) -> Floats:
        """Untried rows of the region, and of anywhere where it has not as many as are needed."""
        count = min(max(FEWEST, CANDIDATES_EACH * len(self.cube.free)), most)
        rows = box.sample(self.candidates, count)
        if len(rows) >= needed:
            return rows
        wide = self.candidates.everything
        if wide is None:
            wide = self.candidates.uniform(max(count, needed))
        return self.candidates.untried(np.concatenate([rows, wide]))

    def _suggestion(
        self, row: Floats, mean: float, sd: float, nearest: int, origin: Mapping[str, JSON]
    ) -> Suggestion:
        """The row as a config, with what the model expects in the units of the metric."""
        told = origin_of(
            "turbo",
            self.history,
            {"sd": float(sd) * self.aims.scale},
            model_trials=len(self.features),
            nearest=nearest,
            loss=self.aims.loss(float(mean)),
        )
        return Suggestion(config=self.cube.decode(row), origin={**told, **origin})


def _lowest(values: Floats) -> list[int]:
    """For each column in turn the place of its lowest value that no column before has taken."""
    taken: list[int] = []
    for column in values.T[: len(values)]:
        free = column.copy()
        free[taken] = np.inf
        taken.append(int(free.argmin()))
    return taken
