"""Choosing the points of a batch, one after the other, by expected improvement.

No gradients.  A pool of rows, most of them uniform and the rest near the best observed, is scored
once; the highest scores are mutated in rounds of half the step each.  A point chosen is pending for
those after it: what the pool's rows were believed to be is brought up to date, which costs far less
than the first time, and only the mutations are new.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from search.candidates import Candidates
from search.gp.ensemble import Ensemble, largest_gain, mean_of, moments
from search.gp.posterior import Belief
from search.scales import Floats

STARTS, ROUNDS, ELITE = 8, 5, 5
POOL_SERVES = 8  # points of a batch; then the next pool is drawn
CHUNK = 2_000_000  # numbers in the solutions of the rows scored at a time


@dataclass(frozen=True, slots=True)
class Pick:
    """A row chosen, the acquisition there, and what is expected of it in standard units.

    `gain` is the most by which any point that was looked at is expected to improve on the best.
    """

    row: Floats
    features: Floats
    acquisition: float
    mean: float
    sd: float
    gain: float
    prior: float = 0.0  # what of the acquisition is the user's belief


@dataclass(frozen=True, slots=True)
class Effort:
    """How many rows are scored for a suggestion."""

    uniform: int
    near: int  # for each of the best observed
    local: int  # for each start, in each round

    @classmethod
    def of(cls, rows: int) -> "Effort":
        """About as many rows, shared out as they were in the comparisons: 1000, 60, 20 of 2100."""
        return cls(max(1, rows * 10 // 21), max(1, rows // 35), max(1, rows // 105))


@dataclass(frozen=True, slots=True)
class Pool:
    """Rows and what the ensemble believes of them."""

    rows: Floats
    features: Floats
    beliefs: Sequence[Belief]


def choose(
    ensemble: Ensemble, candidates: Candidates, *, best: Floats, count: int, rows: int
) -> Iterator[Pick]:
    """Up to `count` rows, fewer only if the candidates run out of untried ones.

    `best` holds the rows observed to be best, best first; about `rows` are scored for each pick.
    """
    effort = Effort.of(rows)
    pool: Pool | None = None
    for number in range(count):
        if pool is None or number % POOL_SERVES == 0:
            pool = _pool(ensemble, candidates, best, effort)
        found = _maximum(ensemble, candidates, pool, effort)
        if found is None:
            return
        yield found
        candidates.take(found.row)
        if number + 1 < count:
            ensemble = ensemble.pending(found.features)
            pool = _brought_up_to_date(pool, ensemble)


def _pool(ensemble: Ensemble, candidates: Candidates, best: Floats, effort: Effort) -> Pool:
    wide = candidates.everything
    if wide is None:
        near = candidates.mutations(best[:ELITE], effort.near, 0.1)
        wide = np.concatenate([candidates.uniform(effort.uniform), near])
    rows = candidates.cube.snap(wide)
    features = candidates.cube.features(rows)
    return Pool(rows, features, ensemble.believe(features))


def _brought_up_to_date(pool: Pool, ensemble: Ensemble) -> Pool:
    return Pool(pool.rows, pool.features, ensemble.believe_again(pool.features, pool.beliefs))


def _maximum(ensemble: Ensemble, candidates: Candidates, pool: Pool, effort: Effort) -> Pick | None:
    """The best untried row of the pool, or of what mutating the pool's best leads to."""
    logs = ensemble.improvements(pool.beliefs)
    values, gain = mean_of(logs) + candidates.favour(pool.rows), largest_gain(logs)
    places = candidates.best_untried(pool.rows, values, STARTS)
    if not places:
        return None
    top, values = pool.rows[places], values[places]
    for round_ in range(ROUNDS if candidates.everything is None else 0):
        moved = candidates.cube.snap(candidates.mutations(top, effort.local, 0.2 * 0.5**round_))
        rows = np.concatenate([top, moved])
        values = np.concatenate([values, _score(ensemble, candidates, moved)])
        places = candidates.best_untried(rows, values, STARTS)
        top, values = rows[places], values[places]
    return _pick(ensemble, candidates, top[:1], acquisition=float(values[0]), gain=gain)


def _score(ensemble: Ensemble, candidates: Candidates, rows: Floats) -> Floats:
    values = ensemble.acquisition(ensemble.believe(candidates.cube.features(rows)))
    return values + candidates.favour(rows)


def _pick(
    ensemble: Ensemble, candidates: Candidates, row: Floats, *, acquisition: float, gain: float
) -> Pick:
    features = candidates.cube.features(row)
    beliefs = ensemble.believe(features)
    mean, sd = moments(beliefs)
    # What all members agree on need not be where the plain ones alone expect most.
    gain = max(gain, largest_gain(ensemble.improvements(beliefs)))
    return Pick(row[0], features, acquisition, mean, sd, gain, float(candidates.favour(row)[0]))
