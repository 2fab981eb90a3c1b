"""One batch of the random forest searcher, from history to suggestions.

Hutter, Hoos and Leyton-Brown, "Sequential Model-Based Optimization for General Algorithm
Configuration", 2011 (SMAC): a forest, expected improvement, and a local search around the best
points beside random ones.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from search.candidates import Candidates
from search.encoding import Cube
from search.fallback import sobol_instead
from search.forest.model import Forest, features_of
from search.fresh import topped_up
from search.gp.improvement import log_expected_improvement
from search.gp.threads import one_thread
from search.opening import after_opening
from search.origin import origin_of
from search.outcomes import lessons
from search.scales import Floats
from search.searcher import Batch, History, Suggestion
from search.targets import Targets, half_ranked, targets, telling

if TYPE_CHECKING:
    from search.searchers.forest import Forest as Settings

MODEL_POINTS, MAX_PENDING = 1000, 256
GROWN = 8  # forests that a batch grows, at most; each then answers for several suggestions
STARTS, ROUNDS, ELITE = 8, 5, 5


def suggest(settings: Settings, history: History, count: int) -> Batch:
    """`count` configs: Sobol points at first, then by expected improvement."""

    def rest(later: History, more: int) -> Batch:
        return _after_opening(settings, later, more)

    return after_opening(history, count, settings.initial, rest)


def _after_opening(settings: Settings, history: History, count: int) -> Batch:
    cube, rng = Cube(history.problem.space), history.rng()
    taught = lessons(history.problem, history.trials)
    if sum(lesson.measured for lesson in taught) < 2:
        return sobol_instead(history, count, "fewer than two trials have a finite result")
    if not cube.free:
        return sobol_instead(history, count, "no parameter has more than one value")
    some = [taught[k] for k in telling([t.loss for t in taught], MODEL_POINTS, rng)]
    study = Study(
        settings=settings,
        candidates=Candidates(cube, cube.encode(history.taken()), rng),
        rows=cube.encode(lesson.config for lesson in some),
        pending=cube.encode(list(history.pending())[-MAX_PENDING:]),
        aims=targets([lesson.loss for lesson in some], half_ranked),
        history=history,
        numbers=[lesson.number for lesson in some],
    )
    with one_thread():
        found = list(study.suggestions(count))
    return topped_up(history, found, count, history.memo)


@dataclass(frozen=True, slots=True)
class Study:
    """What a batch knows: the rows observed, what came of them, and the rows still running."""

    settings: Settings
    candidates: Candidates
    rows: Floats
    pending: Floats
    aims: Targets
    history: History
    numbers: Sequence[int]

    def suggestions(self, count: int) -> Iterator[Suggestion]:
        """Up to `count`, fewer only if no untried config is found."""
        study = self
        served = math.ceil(count / GROWN)
        for start in range(0, count, served):
            forest = study.grow()
            for _ in range(min(served, count - start)):
                row = self._maximum(forest)
                if row is None:
                    return
                self.candidates.take(row)
                study = replace(study, pending=np.concatenate([study.pending, row[None]]))
                yield self._explained(forest, row)

    def grow(self) -> Forest:
        """A forest that takes running trials to end as one without them expects."""
        rng, trees = self.candidates.rng, self.settings.trees
        features = features_of(self.candidates.cube, self.rows)
        forest = Forest.of(features, self.aims.y, trees, rng)
        if not len(self.pending):
            return forest
        more = features_of(self.candidates.cube, self.pending)
        believed, _ = forest.predict(more)
        y = np.concatenate([self.aims.y, believed])
        return Forest.of(np.concatenate([features, more]), y, trees, rng)

    def _maximum(self, forest: Forest) -> Floats | None:
        """The best untried row of a pool, or of what mutating the pool's best leads to."""
        rows = self.candidates.cube.snap(self._pool())
        values = self._acquisition(forest, rows)
        places = self.candidates.best_untried(rows, values, STARTS)
        if not places:
            return None
        top, values = rows[places], values[places]
        for round_ in range(ROUNDS if self.candidates.everything is None else 0):
            each = max(1, self.settings.candidates // 105)
            moved = self.candidates.mutations(top, each, 0.2 * 0.5**round_)
            rows = np.concatenate([top, self.candidates.cube.snap(moved)])
            values = np.concatenate([values, self._acquisition(forest, rows[len(top) :])])
            places = self.candidates.best_untried(rows, values, STARTS)
            top, values = rows[places], values[places]
        return np.asarray(top[0])

    def _pool(self) -> Floats:
        if self.candidates.everything is not None:
            return self.candidates.everything
        many = self.settings.candidates
        best = self.rows[np.argsort(self.aims.y, kind="stable")[:ELITE]]
        near = self.candidates.mutations(best, max(1, many // 35), 0.1)
        return np.concatenate([self.candidates.uniform(many * 10 // 21), near])

    def _acquisition(self, forest: Forest, rows: Floats) -> Floats:
        mean, sd = forest.predict(features_of(self.candidates.cube, rows))
        return log_expected_improvement(mean, sd, float(self.aims.y.min()))

    def _explained(self, forest: Forest, row: Floats) -> Suggestion:
        cube = self.candidates.cube
        features, known = (features_of(cube, rows) for rows in (row[None], self.rows))
        mean, sd = forest.predict(features)
        acquisition = float(self._acquisition(forest, row[None])[0])
        origin = origin_of(
            "forest",
            self.history,
            {"acquisition": acquisition, "sd": float(sd[0]) * self.aims.scale},
            model_trials=len(self.rows),
            nearest=self.numbers[int(np.argmax(forest.alike(features, known)))],
            loss=self.aims.loss(float(mean[0])),
        )
        return Suggestion(config=cube.decode(row), origin=origin)
