"""What the trials taught, as the arrays that models are made of."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from search.encoding import Cube
from search.gp.ensemble import Aims, Ensemble, fit_members
from search.gp.fit import Hyperparameters
from search.gp.memo import Fitted
from search.outcomes import Lesson
from search.scales import Floats
from search.targets import telling

# A marginal likelihood costs the cube of the points, again and again: fit on some, predict with
# more.  With all of them hyperparameters change little from there on.
FIT_POINTS, MODEL_POINTS = 150, 1000


@dataclass(frozen=True, slots=True)
class Known:
    """Lessons with the rows of their configs and the features of those."""

    cube: Cube
    numbers: Sequence[int]
    losses: Floats
    errors: Floats  # standard errors that were told, 0 where none was
    rows: Floats
    features: Floats

    @classmethod
    def of(cls, cube: Cube, taught: Sequence[Lesson], rows: Floats) -> "Known":
        """Of lessons and their encoded configs."""
        losses = np.array([lesson.loss for lesson in taught])
        errors = np.array([lesson.error for lesson in taught])
        numbers = [lesson.number for lesson in taught]
        return cls(cube, numbers, losses, errors, rows, cube.features(rows))

    def __len__(self) -> int:
        return len(self.losses)

    @property
    def best(self) -> Floats:
        """The rows, best first."""
        return self.rows[np.argsort(self.losses, kind="stable")]

    def fit(self, evaluations: int, rng: np.random.Generator) -> Fitted:
        """The members' hyperparameters, fitted on at most FIT_POINTS lessons."""
        some = telling(self.losses.tolist(), FIT_POINTS, rng)
        aims = Aims.of(self.losses[some].tolist(), self.errors[some])
        found = fit_members(self.features[some], self.cube.owners, aims, evaluations)
        return Fitted(found, len(self))

    def ensemble(self, fitted: Fitted) -> tuple[Ensemble, Aims]:
        """The models of it all, and what they predict."""
        aims = Aims.of(self.losses.tolist(), self.errors)
        return Ensemble.of(fitted.members, self.features, self.cube.owners, aims), aims

    def nearby(self, at: Hyperparameters, rng: np.random.Generator) -> "Known":
        """At most MODEL_POINTS: a third the best, a third nearest to the best one, others drawn."""
        if len(self) <= MODEL_POINTS:
            return self
        third = MODEL_POINTS // 3
        order = np.argsort(self.losses, kind="stable")
        scaled = self.features / np.array(at.lengths)[self.cube.owners]
        distance = np.square(scaled - scaled[order[0]]).sum(axis=1)
        distance[order[:third]] = np.inf
        near = np.argsort(distance, kind="stable")
        drawn = rng.permutation(near[third:-third])[: MODEL_POINTS - 2 * third]
        return self._at(np.sort(np.concatenate([order[:third], near[:third], drawn])))

    def _at(self, places: Floats) -> "Known":
        numbers = [self.numbers[place] for place in places]
        arrays = (self.losses, self.errors, self.rows, self.features)
        return Known(self.cube, numbers, *(array[places] for array in arrays))
