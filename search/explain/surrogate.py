"""The model that is explained: the Gaussian process ensemble, given everything measured so far.

Predictions are the plain members' alone, as they are for suggestions.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from search.encoding import Cube
from search.gp.ensemble import PLAIN, Ensemble
from search.gp.known import Known
from search.gp.posterior import Posterior
from search.gp.threads import one_thread
from search.outcomes import Lesson
from search.problem import Problem
from search.scales import Floats
from search.targets import Targets

FIT_EVALUATIONS = 360
CHUNK = 2_000_000  # numbers in the covariances of the points predicted at a time
# Batches count from 0 and have one number each: two numbers are nobody else's seed.
SPAWN_KEY = (0, 1)


class NoModel(Exception):
    """There is nothing to fit, or it could not be fitted; the message says why."""


@dataclass(frozen=True, slots=True)
class Surrogate:
    """What the model believes anywhere in the cube, in standard units (lower is better)."""

    known: Known
    ensemble: Ensemble
    aims: Targets
    sign: float  # of the metric against its loss

    @classmethod
    def of(
        cls, problem: Problem, cube: Cube, taught: Sequence[Lesson], rng: np.random.Generator
    ) -> "Surrogate":
        """Fitted to the lessons; raises NoModel."""
        if sum(lesson.measured for lesson in taught) < 2:
            raise NoModel("fewer than two trials have a finite result")
        if not cube.free:
            raise NoModel("no parameter has more than one value")
        known = Known.of(cube, taught, cube.encode(lesson.config for lesson in taught))
        fitted = known.fit(FIT_EVALUATIONS, rng)
        known = known.nearby(fitted.members[0], rng)
        ensemble, aims = known.ensemble(fitted)
        sign = 1.0 if problem.objectives[0].goal == "minimize" else -1.0
        return cls(known, ensemble, aims.plain, sign)

    @property
    def members(self) -> Sequence[Posterior]:
        """The plain members."""
        return self.ensemble.members[:PLAIN]

    def mean(self, rows: Floats) -> Floats:
        """The posterior mean at rows of the unit cube."""
        parts = [
            np.mean([member.expect(features) for member in self.members], axis=0)
            for features in self._features(rows)
        ]
        return np.concatenate(parts)

    def moments(self, rows: Floats) -> tuple[Floats, Floats]:
        """Mean and standard deviation of the members' mixture at rows of the unit cube."""
        parts = [self._mixture(features) for features in self._features(rows)]
        return np.concatenate([mean for mean, _ in parts]), np.concatenate([sd for _, sd in parts])

    def metric(self, y: float) -> float:
        """A prediction in units of the metric; absurd losses count as the fence that they met."""
        return self.sign * (self.aims.centre + y * self.aims.scale)

    def _mixture(self, features: Floats) -> tuple[Floats, Floats]:
        beliefs = [member.believe(features) for member in self.members]
        means = np.array([belief.mean for belief in beliefs])
        variance = np.mean([belief.variance for belief in beliefs], axis=0) + means.var(axis=0)
        return means.mean(axis=0), np.sqrt(variance)

    def _features(self, rows: Floats) -> Iterator[Floats]:
        cube, size = self.known.cube, max(1, CHUNK // len(self.known))
        for start in range(0, len(rows), size):
            yield cube.features(cube.snap(rows[start : start + size]))


def generator(seed: int) -> np.random.Generator:
    """The random generator of an explanation: a function of the study's seed alone."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=SPAWN_KEY))


@contextmanager
def exactly() -> Iterator[None]:
    """One thread, and numerical trouble raised as NoModel instead of spreading."""
    try:
        with one_thread(), np.errstate(divide="raise", over="raise", invalid="raise"):
            yield
    except (ArithmeticError, np.linalg.LinAlgError) as error:
        raise NoModel(f"the model failed: {type(error).__name__}: {error}"[:500]) from None
