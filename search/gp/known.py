"""What the trials taught, as the arrays that models are made of."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from search.encoding import Mask
from search.gp.ensemble import Aims, Ensemble, fit_members
from search.gp.fit import Hyperparameters
from search.gp.joint import Joint
from search.gp.memo import Fitted
from search.outcomes import Lesson
from search.scales import Floats
from search.targets import telling

# A marginal likelihood costs the cube of the points, again and again: fit on some, predict with
# more.  With all of them hyperparameters change little from there on.
FIT_POINTS, MODEL_POINTS = 150, 1000


@dataclass(frozen=True, slots=True)
class Known:
    """Lessons with the rows of their configs, and the features of those in their contexts."""

    joint: Joint
    numbers: Sequence[int]
    losses: Floats
    errors: Floats  # standard errors that were told, 0 where none was
    rows: Floats
    features: Floats
    elsewhere: Mask  # which of them are of other contexts than the one that is asked in

    @classmethod
    def of(
        cls, joint: Joint, taught: Sequence[Lesson], rows: Floats, elsewhere: Sequence[bool]
    ) -> "Known":
        """Of lessons and their encoded configs."""
        losses = np.array([lesson.loss for lesson in taught])
        errors = np.array([lesson.error for lesson in taught])
        numbers = [lesson.number for lesson in taught]
        features = joint.features(rows, (lesson.context for lesson in taught))
        return cls(joint, numbers, losses, errors, rows, features, np.array(elsewhere))

    def __len__(self) -> int:
        return len(self.losses)

    def best(self, ensemble: Ensemble) -> Floats:
        """The rows, best first: as measured, where that was in one context and with one noise.

        Otherwise as expected in the context that is asked in, without repeats.
        """
        if self.joint.contexts is None and not self.errors.any():
            return self.rows[self._order()]
        expected = ensemble.expected(self.joint.cube.features(self.rows))
        ordered = self.rows[np.argsort(expected, kind="stable")]
        first = np.unique(ordered, axis=0, return_index=True)[1]
        return ordered[np.sort(first)]

    def _order(self) -> npt.NDArray[np.intp]:
        """The places, those of the asked context first, best first."""
        return np.lexsort((self.losses, self.elsewhere))

    def fit(self, evaluations: int, rng: np.random.Generator) -> Fitted:
        """The members' hyperparameters, fitted on at most FIT_POINTS lessons."""
        some = telling(self.losses.tolist(), FIT_POINTS, rng)
        aims = Aims.of(self.losses[some].tolist(), self.errors[some])
        found = fit_members(self.features[some], self.joint.owners, aims, evaluations)
        return Fitted(found, len(self))

    def ensemble(self, fitted: Fitted) -> tuple[Ensemble, Aims]:
        """The models of it all, and what they predict."""
        aims = Aims.of(self.losses.tolist(), self.errors)
        return Ensemble.of(fitted.members, self.features, self.joint.owners, aims), aims

    def nearby(self, at: Hyperparameters, rng: np.random.Generator) -> "Known":
        """At most MODEL_POINTS: a third the best, a third nearest to the best one, others drawn."""
        if len(self) <= MODEL_POINTS:
            return self
        third = MODEL_POINTS // 3
        order = self._order()
        scaled = self.features / np.array(at.lengths)[self.joint.owners]
        distance = np.square(scaled - scaled[order[0]]).sum(axis=1)
        distance[order[:third]] = np.inf
        near = np.argsort(distance, kind="stable")
        drawn = rng.permutation(near[third:-third])[: MODEL_POINTS - 2 * third]
        return self._at(np.sort(np.concatenate([order[:third], near[:third], drawn])))

    def _at(self, places: Floats) -> "Known":
        numbers = [self.numbers[place] for place in places]
        arrays = (self.losses, self.errors, self.rows, self.features, self.elsewhere)
        return Known(self.joint, numbers, *(array[places] for array in arrays))
