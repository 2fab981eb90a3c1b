"""Points of a trust region.

A number lies within length * weight / 2 of the centre, on the scale of its parameter, or at least
reaches the next level.  Of the choices without order at most a part changes that falls with the
length, as in Wan and others, "Think Global and Act Local", 2021, but one may always.  Where there
are many parameters, few differ from the centre in any one point: each with probability 20 / d, as
Eriksson and others have it.  Parameters that the centre has not active, those of another branch of
a conditional space, have no place in it to stay close to: they are drawn from all of their range.
"""

import numpy as np

from search.candidates import Candidates
from search.encoding import Cube, Mask
from search.parameters import ChoiceParameter
from search.scales import Floats, Levels
from search.turbo.region import LONGEST

CHANGED = 20.0  # numbers that a point changes, on average, where there are more


class Box:
    """The region of this length about a row; `weights` has one number for every coordinate."""

    def __init__(self, cube: Cube, centre: Floats, length: float, weights: Floats) -> None:
        self.cube, self.centre = cube, cube.snap(centre[None])[0]
        choices = [isinstance(p, ChoiceParameter) and not p.ordered for p in cube.space.parameters]
        self._active: Mask = cube.active(self.centre[None])[0]
        near = self._active & np.isin(np.arange(cube.width), cube.free)
        self._numbers: Mask = near & ~np.array(choices)
        self._choices: Mask = near & np.array(choices)
        self._low = np.clip(self.centre - length * weights / 2, 0.0, 1.0)
        self._high = np.clip(self.centre + length * weights / 2, 0.0, 1.0)
        self._reach_next_levels()
        self.radius = max(1, round(min(1.0, length / LONGEST) * int(self._choices.sum())))

    def sample(self, candidates: Candidates, count: int) -> Floats:
        """Rows of the region, without repeats and without configs that were tried."""
        rng = candidates.rng
        rows = np.where(self._active, self.centre, rng.random((count, self.cube.width)))
        drawn = self._low + (self._high - self._low) * rng.random(rows.shape)
        moved = np.where(self._which_numbers(rng, count), drawn, rows)
        chosen = self._which_choices(rng, count)
        moved = np.where(chosen, self._other_choices(rng, rows), moved)
        return candidates.untried(moved)

    def _reach_next_levels(self) -> None:
        for j, scale in enumerate(self.cube.scales):
            if isinstance(scale, Levels) and self._numbers[j]:
                level = scale.level(self.centre[j])
                beside = np.clip([level - 1, level + 1], 0, scale.count - 1)
                below, above = (float(scale.centre(each)) for each in beside)
                self._low[j] = min(self._low[j], below)
                self._high[j] = max(self._high[j], above)

    def _other_choices(self, rng: np.random.Generator, rows: Floats) -> Floats:
        moved = rows.copy()
        for j in np.flatnonzero(self._choices):
            scale = self.cube.scales[j]
            assert isinstance(scale, Levels)
            further = rng.integers(1, scale.count, len(rows))
            moved[:, j] = scale.centre((scale.level(rows[:, j]) + further) % scale.count)
        return moved

    def _which_numbers(self, rng: np.random.Generator, count: int) -> Mask:
        """Each with its probability; at least one, where there are no choices to change."""
        free = np.flatnonzero(self._numbers)
        which = np.zeros((count, self.cube.width), dtype=np.bool_)
        if not len(free):
            return which
        which[:, free] = rng.random((count, len(free))) < min(1.0, CHANGED / len(free))
        which[np.arange(count), free[rng.integers(len(free), size=count)]] = True
        return which

    def _which_choices(self, rng: np.random.Generator, count: int) -> Mask:
        """From none to `radius` of them, each number of them as often."""
        free = np.flatnonzero(self._choices)
        which = np.zeros((count, self.cube.width), dtype=np.bool_)
        if len(free):
            order = rng.random((count, len(free))).argsort(axis=1)
            which[:, free] = order < rng.integers(self.radius + 1, size=count)[:, None]
        return which


def side_weights(cube: Cube, lengths: Floats) -> Floats:
    """A weight for every coordinate: length scales of the free ones over their geometric mean."""
    weights = np.ones(cube.width)
    weights[cube.free] = np.exp(np.log(lengths) - np.log(lengths).mean())
    return weights
