"""The model that is explained: the Gaussian process ensemble, given everything measured so far.

Predictions are the plain members' alone, as they are for suggestions.  Where a study has contexts,
what is predicted of a config is the average over the latest few of those that trials ran in.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from search.encoding import Cube
from search.gp.ensemble import PLAIN, Ensemble
from search.gp.joint import Joint
from search.gp.known import Known
from search.gp.posterior import Posterior
from search.gp.threads import one_thread
from search.outcomes import Lesson
from search.problem import Problem
from search.scales import Floats
from search.targets import Targets
from search.trial import Trial
from search.values import canonical_json

FIT_EVALUATIONS = 360
CONTEXTS = 4  # averaged over, the latest
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
    contexts: Sequence[Floats]  # the columns of each that is averaged over, 1 x c

    @classmethod
    def of(
        cls, problem: Problem, taught: Sequence[Lesson], rng: np.random.Generator
    ) -> "Surrogate":
        """Fitted to the lessons; raises NoModel."""
        if sum(lesson.measured for lesson in taught) < 2:
            raise NoModel("fewer than two trials have a finite result")
        joint = Joint.of(problem)
        if not joint.cube.free:
            raise NoModel("no parameter has more than one value")
        rows = joint.cube.encode(lesson.config for lesson in taught)
        known = Known.of(joint, taught, rows, [False] * len(taught))
        fitted = known.fit(FIT_EVALUATIONS, rng)
        known = known.nearby(fitted.members[0], rng)
        ensemble, aims = known.ensemble(fitted)
        sign = 1.0 if problem.objectives[0].goal == "minimize" else -1.0
        return cls(known, ensemble, aims.plain, sign, _contexts(joint, taught))

    def __len__(self) -> int:
        return len(self.known)

    @property
    def cube(self) -> Cube:
        """The cube of the space, without contexts."""
        return self.known.joint.cube

    @property
    def scale(self) -> float:
        """A standard deviation of 1 in units of the metric."""
        return self.aims.scale

    @property
    def members(self) -> Sequence[Posterior]:
        """The plain members."""
        return self.ensemble.members[:PLAIN]

    def mean(self, rows: Floats) -> Floats:
        """The posterior mean at rows of the unit cube."""
        parts = [
            np.mean([m.means(features) for features in each for m in self.members], axis=0)
            for each in self._features(rows)
        ]
        return np.concatenate(parts)

    def moments(self, rows: Floats) -> tuple[Floats, Floats]:
        """Mean and standard deviation of the members' mixture at rows of the unit cube."""
        found = [
            np.mean([self._mixture(features) for features in each], axis=0)
            for each in self._features(rows)
        ]
        mean, sd = np.concatenate(found, axis=1)
        return mean, sd

    def of_trials(self, trials: Sequence[Trial]) -> tuple[Floats, Floats]:
        """Mean and standard deviation of the configs of trials, each in the context it ran in."""
        joint = self.known.joint
        rows = joint.cube.encode(trial.config for trial in trials)
        features = joint.features(rows, (trial.context for trial in trials))
        size = self._chunk
        found = [
            self._mixture(features[start : start + size]) for start in range(0, len(rows), size)
        ]
        mean, sd = np.concatenate(found, axis=1)
        return mean, sd

    def metric(self, y: float) -> float:
        """A prediction in units of the metric; absurd losses count as the fence that they met."""
        return self.sign * (self.aims.centre + y * self.aims.scale)

    def _mixture(self, features: Floats) -> Floats:
        beliefs = [member.believe(features) for member in self.members]
        means = np.array([belief.mean for belief in beliefs])
        variance = np.mean([belief.variance for belief in beliefs], axis=0) + means.var(axis=0)
        return np.stack([means.mean(axis=0), np.sqrt(variance)])

    @property
    def _chunk(self) -> int:
        return max(1, CHUNK // len(self.known))

    def _features(self, rows: Floats) -> Iterator[list[Floats]]:
        """Of some rows at a time, in each of the contexts."""
        cube = self.cube
        for start in range(0, len(rows), self._chunk):
            part = cube.features(cube.snap(rows[start : start + self._chunk]))
            yield [
                np.hstack([part, np.repeat(columns, len(part), axis=0)])
                for columns in self.contexts
            ]


def _contexts(joint: Joint, taught: Sequence[Lesson]) -> list[Floats]:
    latest = {canonical_json(lesson.context): lesson.context for lesson in reversed(taught)}
    return [joint.columns([context], 1) for context in list(latest.values())[:CONTEXTS]]


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
