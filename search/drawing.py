"""Drawing from a space: as its scales and priors say, where its constraints hold.

Without constraints this is the inverse distribution function of each parameter.  With them, what
falls outside is drawn again; where hardly anything falls inside, points come from the polytope of
the constraints, by hit-and-run.
"""

import math
from collections.abc import Iterator
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from search.encoding import Cube
from search.errors import InvalidSpace
from search.priors import Priors
from search.region import Region
from search.scales import Floats
from search.space import SearchSpace
from search.values import Value
from search.walk import walk

if TYPE_CHECKING:
    from search.polytope import Polytope

BLOCK = 1024  # rows drawn at a time
MOST_BLOCKS = 32
RARE = 1 / 64  # a smaller part of the rows inside is too little to go on drawing again
FEW = 1024  # configs to walk through where drawing finds none
TRIES = 4  # of the polytope; whole numbers are rounded there, and some then fall outside


class Drawing:
    """Draws from one space; evenly on the declared scales if nothing is to be `believed`.

    Values of the constrained parameters that are known to be `inside` save looking for any.
    """

    def __init__(self, cube: Cube, *, believed: bool = True, inside: Floats | None = None) -> None:
        self.cube = cube
        self.priors = Priors(cube, None if believed else {})
        self.region = Region.of(cube)
        self._inside = inside

    def legal(self, uniform: Floats) -> tuple[npt.NDArray[np.intp], Floats]:
        """Evenly spread rows, spread as the priors say, that are legal; first, which of them are.

        Without constraints all are, and they are not snapped.
        """
        rows = self.priors.rows(uniform)
        if self.region is None:
            return np.arange(len(rows)), rows
        rows = self.cube.snap(rows)
        places = np.flatnonzero(self.region.holds(rows))
        return places, rows[places]

    def rows(self, rng: np.random.Generator, count: int) -> Floats:
        """`count` legal rows; fewer where the constraints leave none, or none that was found."""
        if self.region is None:
            return self.priors.rows(rng.random((count, self.cube.width)))
        found: list[Floats] = []
        missing = count
        for block in range(MOST_BLOCKS):
            _, legal = self.legal(rng.random((BLOCK, self.cube.width)))
            found.append(legal[:missing])
            missing -= len(found[-1])
            if not missing or (block == 0 and len(legal) < RARE * BLOCK):
                break
        return np.concatenate([*found, self.squeezed(rng, missing)])

    def stream(self, rng: np.random.Generator, count: int) -> Iterator[Floats]:
        """`count` legal rows, one at a time, drawn a few at once."""
        size = 64 if self.region is None else count
        for start in range(0, count, size):
            yield from self.rows(rng, min(size, count - start))

    def size(self, rng: np.random.Generator) -> float:
        """How many configs there are, infinitely many where a parameter is continuous.

        Under constraints, a guess from how many of some rows are inside; 0 when hardly any is.
        """
        counts = [math.inf if scale.count is None else scale.count for scale in self.cube.scales]
        if self.region is None or math.inf in counts:
            return math.prod(counts)
        rows = self.cube.snap(rng.random((BLOCK, self.cube.width)))
        inside = int(self.region.holds(rows).sum())
        return math.prod(counts) * inside / BLOCK if inside >= RARE * BLOCK else 0.0

    def squeezed(self, rng: np.random.Generator, count: int) -> Floats:
        """At most `count` legal rows by hit-and-run."""
        assert self.region is not None  # or every row is legal
        found = [np.empty((0, self.cube.width))]
        missing = 0 if self._polytope.empty else count
        for _ in range(TRIES):
            if not missing:
                break
            x = self._polytope.draw(rng, missing)
            rows = self.priors.rows(rng.random((missing, self.cube.width)))
            rows = self.region.pulled_back(self.region.placed(rows, x), rng)
            found.append(rows[self.region.holds(rows)])
            missing -= len(found[-1])
        return np.concatenate(found)

    @cached_property
    def _polytope(self) -> "Polytope":
        from search.polytope import Polytope  # SciPy's linear programmes, which few spaces need

        assert self.region is not None
        return Polytope(self.region, self.priors, self._inside)


def sample(space: SearchSpace, rng: np.random.Generator, count: int) -> list[dict[str, Value]]:
    """`count` configs; raises InvalidSpace when none meets the constraints."""
    cube = Cube(space)
    configs = [cube.decode(row) for row in Drawing(cube).rows(rng, count)]
    if missing := count - len(configs):
        # Rounding whole numbers may find only some of the configs there are, or none.
        stops = configs or list(islice(walk(space, count), FEW))
        if not stops:
            raise InvalidSpace("no config was found that meets the constraints")
        configs += [dict(stops[place]) for place in rng.integers(len(stops), size=missing)]
    return configs
