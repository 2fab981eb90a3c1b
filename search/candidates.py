"""Where to look for the maximum of an acquisition: rows of the unit cube, and their mutations.

No gradients: a mutation moves whole numbers by whole levels, choices to other choices and items of
a permutation to other positions; and it draws parameters afresh that it makes active, so every row
is a config and distinct rows are distinct configs.  The neighbours of an order are those in which
two items are swapped, or one is moved, over as many positions as a number would move by their part
of its scale.  Numbers are those of a comparison over 57 tuning tasks, where polishing with
gradients made no difference that could be told from noise.
"""

from collections.abc import Iterator
from itertools import islice

import numpy as np
import numpy.typing as npt

from search.drawing import Drawing
from search.encoding import Cube, Mask
from search.orders import neighbours
from search.parameters import ChoiceParameter
from search.scales import Floats, Levels, Permutations
from search.walk import walk

FEW = 2000
SMALL_STEPS = 0.3  # the part of the mutations that move a tenth as far
AT_A_TIME = 64  # rows whose keys are worked out together


class Candidates:
    """Rows of one space that nobody has tried: none of `taken`, which are encoded configs.

    `everything` holds the rows of all configs, tried or not, where there are few enough to score
    each of them, and is None elsewhere.  `prior_weight` is what `favour` gives to priors.
    """

    def __init__(
        self, cube: Cube, taken: Floats, rng: np.random.Generator, prior_weight: float = 0.0
    ) -> None:
        self.cube, self.rng = cube, rng
        self._taken = set(_keys(taken))
        self._even = Drawing(cube, believed=False)
        self._believed = Drawing(cube) if cube.space.believes else None
        self._prior_weight = prior_weight
        self.everything = _everything(self._even, rng)
        self._unordered = [
            isinstance(p, ChoiceParameter) and not p.ordered for p in cube.space.parameters
        ]

    def favour(self, rows: Floats) -> Floats:
        """What snapped rows gain, in a logarithmic acquisition, by what the user believes.

        Hvarfner and others, "piBO: Augmenting Acquisition Functions with User Beliefs for Bayesian
        Optimization", 2022, equation 6: the acquisition times the density to the power of beta over
        the number of results.
        """
        if self._believed is None:
            return np.zeros(len(rows))
        return self._prior_weight * self._believed.priors.log_density(rows)

    def take(self, row: Floats) -> None:
        """Leave this row out from now on."""
        self._taken.update(_keys(row[None]))

    def untried(self, rows: Floats) -> Floats:
        """The rows moved to where their configs lie, without repeats and without taken ones."""
        snapped = self.cube.snap(rows)
        places = {key: place for place, key in enumerate(_keys(snapped)) if key not in self._taken}
        return snapped[list(places.values())]

    def best_untried(self, snapped: Floats, values: Floats, count: int) -> list[int]:
        """The places of the `count` rows with the highest values, without repeats or taken ones."""
        found: dict[bytes, int] = {}
        for place, key in _keyed(snapped, np.argsort(-values, kind="stable")):
            if key not in self._taken:
                found.setdefault(key, place)
            if len(found) == count:
                break
        return list(found.values())

    def uniform(self, count: int) -> Floats:
        """Rows drawn uniformly, half of them as priors say where there are any.

        Fewer than `count` where constraints leave hardly any.
        """
        if self._believed is None:
            return self._even.rows(self.rng, count)
        halves = (self._even, count - count // 2), (self._believed, count // 2)
        return np.concatenate([drawing.rows(self.rng, part) for drawing, part in halves])

    def mutations(self, parents: Floats, count: int, sigma: float) -> Floats:
        """`count` mutations of each parent, by steps of about `sigma` of the scale.

        Where constraints hold they are pulled back inside, or else stay where their parent is.
        """
        rows = np.repeat(parents, count, axis=0)
        # What a mutation makes active was inactive before, and says nothing: draw it.
        active = self.cube.active(rows)
        rows = np.where(active, rows, self.rng.random(rows.shape))
        chosen = self._choose(active)
        size = np.where(self.rng.random((len(rows), 1)) < SMALL_STEPS, 0.1 * sigma, sigma)
        moved = _reflect(rows + size * self.rng.standard_normal(rows.shape))
        for j, scale in enumerate(self.cube.scales):
            if isinstance(scale, Levels):
                moved[:, j] = self._jump(j, scale, rows[:, j], moved[:, j])
        found: Floats = np.where(chosen, moved, rows)
        region = self._even.region
        return found if region is None else region.kept(found, rows, self.rng)

    def _choose(self, active: Mask) -> Mask:
        """Which coordinates of which rows change: at least one that is active and free to."""
        draws = self.rng.random(active.shape)
        chosen: Mask = draws < max(1.5 / len(self.cube.free), 0.15)
        able = np.zeros_like(active)
        able[:, self.cube.free] = active[:, self.cube.free]
        first = np.where(able, self.rng.random(active.shape), -1.0).argmax(axis=1)
        chosen[np.arange(len(active)), first] = True
        return chosen

    def _jump(self, j: int, scale: Levels, old: Floats, moved: Floats) -> Floats:
        if scale.count == 1:
            return old
        if isinstance(scale, Permutations):
            reach = np.clip(np.abs(moved - old) * len(scale.items), 1, len(scale.items) - 1)
            return scale.centres(neighbours(scale.orders(old), reach.astype(int), self.rng))
        level, target = scale.level(old), scale.level(moved)
        if self._unordered[j]:
            target = (level + self.rng.integers(1, scale.count, len(old))) % scale.count
        still = target == level
        side = np.where(self.rng.random(len(old)) < 0.5, -1, 1)
        # At an end of the scale there is one way only.
        side = np.where(level == 0, 1, np.where(level == scale.count - 1, -1, side))
        return np.asarray(scale.centre(np.where(still, level + side, target)))


def _everything(drawing: Drawing, rng: np.random.Generator) -> Floats | None:
    cube = drawing.cube
    counts = [scale.count for scale in cube.scales]
    if None in counts or (not cube.space.conditional and drawing.size(rng) > FEW):
        return None
    configs = list(islice(walk(cube.space), FEW + 1))
    return cube.encode(configs) if len(configs) <= FEW else None


def _reflect(u: Floats) -> Floats:
    """Back into [0, 1], as off a mirror."""
    folded = np.abs(u) % 2
    return np.where(folded > 1, 2 - folded, folded)


def _keyed(rows: Floats, order: npt.NDArray[np.intp]) -> Iterator[tuple[int, bytes]]:
    """The places in `order` with the keys of their rows, worked out as far as they are needed."""
    for start in range(0, len(order), AT_A_TIME):
        places = order[start : start + AT_A_TIME]
        yield from zip(places.tolist(), _keys(rows[places]), strict=True)


def _keys(rows: Floats) -> list[bytes]:
    """Keys that are equal for rows of the same config, whichever way the row was come by."""
    return [row.tobytes() for row in np.round(rows, 12) + 0.0]
