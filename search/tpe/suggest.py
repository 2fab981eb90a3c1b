"""One batch of the tree-structured Parzen estimator, from history to suggestions.

Bergstra and others, "Algorithms for Hyper-Parameter Optimization", 2011: with l the density of the
good configs and g that of the others, expected improvement grows with l / g.  Parameters that are
active together are one group with densities of its own, made of the trials that have the group; a
config is put together group by group, parents before children.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from search.encoding import INACTIVE, Cube, config_key
from search.fallback import sobol_instead
from search.fresh import topped_up
from search.gp.threads import one_thread
from search.opening import after_opening
from search.scales import Floats
from search.searcher import Batch, History, Suggestion
from search.tpe.mixture import Mixture, recency
from search.tpe.split import Split, split
from search.values import Config, Value

if TYPE_CHECKING:
    from search.searchers.tpe import TPE

# Densities of more components cost more and say little that these do not: the latest of the
# pending ones, and a sample of the other trials that always has the latest.
MAX_PENDING, MAX_ABOVE, LATEST = 256, 500, 25
GUIDED, BLIND = 4, 8  # rounds of draws, from the good ones and then uniform, before giving up


def suggest(settings: TPE, history: History, count: int) -> Batch:
    """`count` configs: Sobol points at first, then what the densities favour."""

    def rest(later: History, more: int) -> Batch:
        return _after_opening(settings, later, more)

    return after_opening(history, count, settings.initial, rest)


def _after_opening(settings: TPE, history: History, count: int) -> Batch:
    cube = Cube(history.problem.space)
    found = split(history.problem, history.trials)
    if not found.below:
        return sobol_instead(history, count, "no trial has a finite result")
    if not cube.free:
        return sobol_instead(history, count, "no parameter has more than one value")
    with one_thread():
        search = Search.of(settings.candidates, history, cube, found)
        suggestions = list(search.suggestions(count))
    if len(suggestions) < count:
        return topped_up(history, suggestions, count, history.memo)
    return Batch(suggestions=suggestions, memo=history.memo)


@dataclass(frozen=True, slots=True)
class Group:
    """Parameters that are active together, by their places in the space."""

    members: Sequence[int]

    def columns(self, rows: Floats) -> Floats:
        """The coordinates of the group."""
        return rows[:, self.members]


def groups(cube: Cube) -> list[Group]:
    """The parameters with something to choose, by their conditions, parents before children."""
    found: dict[tuple[str, ...], list[int]] = {}
    for j in cube.free:
        conditions = tuple(sorted(map(repr, cube.space.parameters[j].when)))
        found.setdefault(conditions, []).append(j)
    return [Group(members) for members in found.values()]


@dataclass
class Search:
    """What a batch knows; its own suggestions become pending as they are made."""

    candidates: int
    cube: Cube
    below: Floats
    above: Floats
    taken: list[Config]
    seen: int
    trials: int  # that the densities are made of
    rng: np.random.Generator

    @classmethod
    def of(cls, candidates: int, history: History, cube: Cube, found: Split) -> Search:
        """Of a history, with its pending configs counted as bad ones: the constant liar."""
        rng = history.rng()
        above = _sample(found.above, rng)
        pending = list(history.pending())[-MAX_PENDING:]
        return cls(
            candidates=candidates,
            cube=cube,
            below=cube.encode(found.below),
            above=cube.encode([*above, *pending]),
            taken=list(history.taken()),
            seen=history.seen,
            trials=len(found.below) + len(above),
            rng=rng,
        )

    def suggestions(self, count: int) -> Iterator[Suggestion]:
        """Up to `count`, fewer where the space is nearly used up."""
        for _ in range(count):
            estimates = [self.estimate(group) for group in groups(self.cube)]
            found = next(self._fresh(estimates), None)
            if found is None:
                return
            config, row, score = found
            self.taken.append(config)
            self.above = np.concatenate([self.above, row[None]])
            known = {"seen": self.seen, "model_trials": self.trials, "good": len(self.below)}
            yield Suggestion(config=config, origin={"by": "tpe", "acquisition": score, **known})

    def estimate(self, group: Group) -> Estimate:
        """The densities of a group, made of the configs that have it."""
        parameters = self.cube.space.parameters
        axes = [(parameters[j], self.cube.scales[j]) for j in group.members]
        mixtures: list[Mixture] = []
        for rows in (self.below, self.above):
            having = rows[self.cube.active(rows)[:, group.members[0]]]
            columns = group.columns(having)
            mixtures.append(Mixture.of(axes, columns, recency(len(columns))))
        return Estimate(group, *mixtures)

    def _fresh(
        self, estimates: Sequence[Estimate]
    ) -> Iterator[tuple[dict[str, Value], Floats, float]]:
        """Untried configs with their rows and scores, the most promising of each round first."""
        for round_ in range(GUIDED + BLIND):
            guided = round_ < GUIDED
            for row, score in self._completed(estimates, guided=guided):
                config = self.cube.decode(row)
                if not _among(config, self.taken):
                    yield config, row, score

    def _completed(
        self, estimates: Sequence[Estimate], *, guided: bool
    ) -> Iterator[tuple[Floats, float]]:
        """Rows that begin with the draws for the first group, the best first."""
        first, *others = estimates
        for start, first_score in first.ranked(self.rng, self.candidates, guided=guided):
            scores = [first_score]
            row = np.full(self.cube.width, INACTIVE)
            row[first.group.members] = start
            for estimate in others:
                if self.cube.active(row[None])[0, estimate.group.members[0]]:
                    drawn, score = estimate.ranked(self.rng, self.candidates, guided=guided)[0]
                    row[estimate.group.members] = drawn
                    scores.append(score)
            yield row, sum(scores)


@dataclass(frozen=True, slots=True)
class Estimate:
    """The two densities of a group."""

    group: Group
    below: Mixture
    above: Mixture

    def ranked(
        self, rng: np.random.Generator, count: int, *, guided: bool
    ) -> list[tuple[Floats, float]]:
        """`count` draws, from the good configs' density if guided, by ln(l / g), best first."""
        drawn = self.below.draw(rng, count) if guided else self._uniform(rng, count)
        scores = self.below.log_density(drawn) - self.above.log_density(drawn)
        return [(drawn[k], float(scores[k])) for k in np.argsort(-scores, kind="stable")]

    def _uniform(self, rng: np.random.Generator, count: int) -> Floats:
        columns = [kernel.scale.snap(rng.random(count)) for kernel in self.below.kernels]
        return np.stack(columns, axis=1)


def _sample(above: Sequence[Config], rng: np.random.Generator) -> list[Config]:
    if len(above) <= MAX_ABOVE:
        return list(above)
    old = len(above) - LATEST
    drawn = np.sort(rng.permutation(old)[: MAX_ABOVE - LATEST])
    return [*(above[place] for place in drawn), *above[old:]]


def _among(config: Config, taken: Sequence[Config]) -> bool:
    """Whether the config was tried; true counts as 1 for Python, but not as a choice."""
    return any(config == other and config_key(config) == config_key(other) for other in taken)
