"""Points of a feasible part too small to be met by chance: hit-and-run in its polytope.

    y   n x c   the values of the constrained parameters as parts of their ranges, in [0, 1]
    G y <= h    the constraints and the range; E y = e where a constraint leaves its sum no room

Points begin as mixtures of vertices, found by linear programmes, and move along differences of
vertices, which know how long the polytope is in each direction: Smith, "Efficient Monte Carlo
procedures for generating points uniformly distributed over bounded regions", 1984, with directions
of its own.  Where declared scales or priors give a density, a move chooses by it among several
places on its chord (Tjelmeland, "Using all Metropolis-Hastings proposals to estimate mean values",
2004), and every other move draws one coordinate from the density itself, which is what gets about
on a logarithmic scale.  Whole numbers and steps are continuous here, and rounded after.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.optimize import linprog

from search.priors import Priors
from search.region import Region
from search.scales import Floats

MOVES = 20  # of each point, and one more for each coordinate
TILT = 0.05
CHOICES = 8  # places on a chord to choose from by their density
NO_ROOM = 1e-7  # of the length of the coefficients; HiGHS meets a constraint to within it
SPREAD = 0.5  # of the mixtures of vertices: less is nearer to the vertices


class Polytope:
    """The region's polytope; `empty` when the linear programme says that it has no point.

    Where points `inside` are known, n x c, they take the place of vertices, and no linear programme
    is needed; their differences are the only directions in which points then move.
    """

    def __init__(self, region: Region, priors: Priors, inside: Floats | None = None) -> None:
        self.region = region
        self.beliefs = [priors.beliefs.get(j) for j in region.columns]
        self._low = np.array([axis.low for axis in region.axes])
        self._length = np.array([axis.high - axis.low for axis in region.axes])
        shape = Shape.of(region.A * self._length, region.low, region.high, region.A @ self._low)
        self.shape = shape
        self.vertices = shape.vertices() if inside is None else self._parts(inside)
        self._even = all(belief is None for belief in self.beliefs) and not any(
            axis.log for axis in region.axes
        )

    @property
    def empty(self) -> bool:
        """Whether no value of any kind meets the constraints."""
        return not len(self.vertices)

    def draw(self, rng: np.random.Generator, count: int) -> Floats:
        """x of `count` points; some may lie outside by rounding."""
        weights = rng.dirichlet(np.full(len(self.vertices), SPREAD), count)
        y = weights @ self.vertices
        for move in range(MOVES + y.shape[1]):
            across = move % 2 == 1 and not self._even
            y = self._across(y, rng) if across else self._along(y, rng)
        return self._natural(y)

    def _along(self, y: Floats, rng: np.random.Generator) -> Floats:
        """Each point moved along the difference of two vertices."""
        first, second = rng.integers(len(self.vertices), size=(2, len(y)))
        direction = self.vertices[first] - self.vertices[second]
        back, forth = self.shape.chord(y, direction)
        tries = 1 if self._even else CHOICES
        t = back[:, None] + rng.random((len(y), tries)) * (forth - back)[:, None]
        moved = y[:, None] + t[..., None] * direction[:, None]
        if self._even:
            return np.asarray(moved[:, 0])
        # Staying is a choice as well, and each is as likely as its density says.
        moved = np.concatenate([y[:, None], moved], axis=1)
        density = self._log_target(moved.reshape(-1, y.shape[1])).reshape(len(y), -1)
        chosen = np.argmax(density + rng.gumbel(size=density.shape), axis=1)
        return np.asarray(moved[np.arange(len(y)), chosen])

    def _across(self, y: Floats, rng: np.random.Generator) -> Floats:
        """One coordinate of all points drawn between what the others leave it."""
        k = int(rng.integers(y.shape[1]))
        axis, belief = self.region.axes[k], self.beliefs[k]
        x = self._natural(y)
        ends = np.clip(np.stack(self.region.interval(x, k)), axis.low, axis.high)
        room = ends[1] > ends[0]
        v = axis.unit(ends)
        v = v if belief is None else belief.below(v)
        v = v[0] + rng.random(len(y)) * (v[1] - v[0])
        u = v if belief is None else belief.places(v)
        x[:, k] = np.where(room, np.clip(axis.anywhere(u), ends[0], ends[1]), x[:, k])
        return self._parts(x)

    def _parts(self, x: Floats) -> Floats:
        return np.asarray((x - self._low) / np.where(self._length > 0, self._length, 1.0))

    def _natural(self, y: Floats) -> Floats:
        return np.asarray(self._low + np.clip(y, 0.0, 1.0) * self._length)

    def _log_target(self, y: Floats) -> Floats:
        """The logarithm of the density to draw from, but for a constant."""
        x = self._natural(y)
        found = np.zeros(len(y))
        for k, (axis, belief) in enumerate(zip(self.region.axes, self.beliefs, strict=True)):
            if axis.log:
                found -= np.log(np.maximum(x[:, k], axis.low))
            if belief is not None:
                found += belief.log_density(axis.unit(x[:, k]))
        return found


@dataclass(frozen=True, slots=True)
class Shape:
    """G y <= h and E y = e, in [0, 1]."""

    G: Floats
    h: Floats
    E: Floats
    e: Floats

    @classmethod
    def of(cls, A: Floats, low: Floats, high: Floats, base: Floats) -> Shape:
        """Of low <= A y + base <= high, in rows of length 1."""
        size = np.sqrt(np.square(A).sum(axis=1))
        # Sums of values that cannot change are what they are: the space has seen to them.
        use = size > 0
        A, size = A[use], size[use]
        low, high = (low - base)[use] / size, (high - base)[use] / size
        A = A / size[:, None]
        tight = high - low <= NO_ROOM
        E, e = A[tight], 0.5 * (low[tight] + high[tight])
        upper, lower = np.isfinite(high) & ~tight, np.isfinite(low) & ~tight
        G = np.concatenate([A[upper], -A[lower]])
        h = np.concatenate([high[upper], -low[lower]])
        return cls(G, h, E, e)

    def vertices(self) -> Floats:
        """Some vertices, K x c; none when there is no point."""
        parts = (self.G, self.h, self.E, self.e)
        found = _vertices(self.G.shape[1], *(part.tobytes() for part in parts))
        V = np.frombuffer(found).reshape(-1, self.G.shape[1])
        if not len(V) or not len(self.E):
            return V
        # A linear programme meets E y = e to seven digits; this does to the last, and so do moves
        # along differences.
        return V - np.linalg.lstsq(self.E, (V @ self.E.T - self.e).T, rcond=None)[0].T

    def chord(self, y: Floats, direction: Floats) -> tuple[Floats, Floats]:
        """How far back and forth each point may go; zero where it may not."""
        slack = np.concatenate([self.h - y @ self.G.T, 1.0 - y, y], axis=1)
        rate = np.concatenate([direction @ self.G.T, direction, -direction], axis=1)
        rate[np.abs(rate) < 1e-14] = 0.0
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            t = np.maximum(slack, 0.0) / rate
        forth = np.where(rate > 0, t, np.inf).min(axis=1)
        back = np.where(rate < 0, t, -np.inf).max(axis=1)
        free = np.isfinite(forth) & np.isfinite(back)
        return np.where(free, back, 0.0), np.where(free, forth, 0.0)


@lru_cache(maxsize=64)
def _vertices(c: int, *parts: bytes) -> bytes:
    """Vertices in directions that are always the same; what was found for a shape is kept."""
    G, h, E, e = (np.frombuffer(part) for part in parts)
    G, E = G.reshape(-1, c), E.reshape(-1, c)
    found: list[Floats] = []
    # Towards both ends of every coordinate; what is a little askew has one vertex at its end.
    askew = TILT * np.random.default_rng(0).standard_normal((2 * c, c))
    for direction in np.concatenate([np.eye(c), -np.eye(c)]) + askew:
        answer = linprog(
            direction,
            A_ub=G if len(G) else None,
            b_ub=h if len(G) else None,
            A_eq=E if len(E) else None,
            b_eq=e if len(E) else None,
            bounds=(0.0, 1.0),
            method="highs",
        )
        if answer.x is None:
            return b""
        found.append(answer.x)
    return np.array(found).tobytes()
