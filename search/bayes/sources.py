"""Models of earlier studies, and of the study's own results beside them.

All are Gaussian processes with a Matern kernel on half-ranked losses.  What is fitted to an earlier
study depends on the problem alone: it is fitted once and remembered, and if forgotten, fitted to
the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from search.earlier import EarlierStudy
from search.encoding import Cube
from search.gp.fit import Evidence, Hyperparameters, Points, cold_starts, fit
from search.gp.kernels import MATERN
from search.gp.posterior import Posterior
from search.problem import Problem
from search.scales import Floats
from search.targets import Targets, targets, telling

SOURCE_POINTS, OWN_POINTS = 100, 300
FIT_POINTS = 150
DRAW = 2**32 - 2  # a spawn key that no batch number reaches


@dataclass(frozen=True, slots=True)
class Source:
    """Results as arrays: `columns` of the space's features, and which parameter owns each."""

    name: str
    columns: Sequence[int]
    owners: list[int]
    features: Floats
    aims: Targets
    best: Floats  # rows of the space, best first; coordinates that it knows nothing of are middling

    @classmethod
    def of(cls, cube: Cube, study: EarlierStudy, rng: np.random.Generator) -> Source:
        """Of an earlier study; the columns are those of the parameters that it is about."""
        names = [cube.space.parameters[j].name for j in cube.free]
        about = [place for place, name in enumerate(names) if name in study.parameters]
        columns = [c for c, owner in enumerate(cube.owners) if owner in about]
        places = telling(study.losses, SOURCE_POINTS, rng)
        rows = cube.encode(study.configs[place] for place in places)
        losses = [study.losses[place] for place in places]
        return cls(
            name=study.name,
            columns=columns,
            owners=[about.index(cube.owners[c]) for c in columns],
            features=cube.features(rows)[:, columns],
            aims=targets(losses),
            best=rows[np.argsort(losses, kind="stable")],
        )

    def fit(self, evaluations: int, rng: np.random.Generator) -> Hyperparameters:
        """The most probable hyperparameters, from at most FIT_POINTS results."""
        places = telling(self.aims.y.tolist(), FIT_POINTS, rng)
        evidence = Evidence(Points(self.features[places], self.owners), self.aims.y[places], MATERN)
        return fit(evidence, cold_starts(max(self.owners) + 1), evaluations)

    def model(self, at: Hyperparameters) -> Posterior:
        """The process with these hyperparameters, given the results."""
        return Posterior.of(MATERN, at, self.features, self.owners, self.aims.y)


def sources(problem: Problem, cube: Cube) -> list[Source]:
    """The earlier studies that are about a parameter which is free to vary."""
    rngs = [_rng(problem, place) for place in range(len(problem.earlier))]
    pairs = zip(problem.earlier, rngs, strict=True)
    found = [Source.of(cube, study, rng) for study, rng in pairs]
    return [source for source in found if source.columns]


def fit_sources(
    problem: Problem, found: Sequence[Source], evaluations: int
) -> list[Hyperparameters]:
    """Hyperparameters for each earlier study: the same whenever they are worked out."""
    return [source.fit(evaluations, _rng(problem, k)) for k, source in enumerate(found)]


def own(cube: Cube, rows: Floats, losses: Sequence[float], rng: np.random.Generator) -> Source:
    """The study's own results, at most OWN_POINTS of them."""
    places = telling(losses, OWN_POINTS, rng)
    features = cube.features(rows[places])
    aims = targets([losses[place] for place in places])
    columns = list(range(features.shape[1]))
    return Source("own", columns, cube.owners, features, aims, rows[:0])


def _rng(problem: Problem, place: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(problem.seed, spawn_key=(DRAW, place)))
