"""The distributions of the cmaes library behind one seam: draw, tell, and be written as numbers.

Continuous coordinates alone: CMA-ES (Hansen, "The CMA Evolution Strategy: A Tutorial", 2016), or
sep-CMA-ES (Ros and Hansen, 2008) for many of them.  With levels or choices among them: CatCMA with
margin (Hamano, Saito, Nomura, Uchida and Shirakawa, 2025), whose margin keeps every level of a
whole number and every choice within reach.

The library's state is in private attributes, which its pickles name too; the dependency is pinned
to the minor version for their sake.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from cmaes import CMA, CatCMAwM, SepCMA

from search.cma.layout import Layout
from search.cma.numbers import Numbers, read_numbers, written
from search.scales import Floats

SPREAD = 1e-7  # of the scale: below it a number does not change any more
FLAT = 5e-324  # losses that differ at all differ by as much


class Distribution(ABC):
    """What the draws of one generation are drawn from.

    A row has the coordinates of a Layout.  Draws are reproducible: each has a seed of its own.
    """

    names: ClassVar[Sequence[str]] = ("_mean", "_C", "_p_sigma", "_pc", "_funhist_values")
    inner: Any
    layout: Layout
    covariance: Floats

    @property
    def population(self) -> int:
        """How many draws it is told at a time."""
        return int(self.inner.population_size)

    @property
    def generation(self) -> int:
        """How often it was told."""
        return int(self.inner.generation)

    @abstractmethod
    def draw(self, seed: int) -> Floats:
        """One row."""

    def encoded(self, row: Floats) -> Floats:
        """The row of the cube that a row stands for."""
        return self.layout.encoded(row)

    def near(self, row: Floats) -> Floats:
        """The row, brought as near to the mean as its own draws are.

        Its Mahalanobis length is at most sqrt(n) + 2n / (n + 2) (Hansen, 2011, equation 3).
        """
        n = self.layout.numbers
        if not n:
            return row
        mean, reach = self.inner._mean, self.inner._sigma * getattr(self.inner, "_A", 1.0)
        step = (row[:n] - mean) / reach
        flat = self.covariance.ndim == 1
        whitened = step / self.covariance if flat else np.linalg.solve(self.covariance, step)
        length, most = float(np.sqrt(max(step @ whitened, 0.0))), n**0.5 + 2 * n / (n + 2)
        if not length > most:
            return row
        return np.concatenate([mean + (most / length) * (row[:n] - mean), row[n:]])

    def tell(self, rows: Sequence[Floats], losses: Sequence[float]) -> None:
        """Learn from a whole generation, best first."""
        with np.errstate(all="ignore"):  # what it may lead to is seen by `sound`
            self._tell(rows, losses)
            self.settle()

    @abstractmethod
    def _tell(self, rows: Sequence[Floats], losses: Sequence[float]) -> None: ...

    def _begin(self) -> None:
        if self.layout.numbers:
            self.inner._funhist_values[:] = 0.0  # the library leaves them uninitialised
            self.inner._tolfun = FLAT
        self.settle()

    def settle(self) -> None:
        """Forget what follows from the state, so that a restored one computes the same.

        The library rounds the covariance when it first needs its eigenvectors: what is written is
        the one before.
        """
        if not self.layout.numbers:
            return
        covariance = self.inner._C
        if covariance.ndim == 2:
            covariance = 0.5 * (covariance + covariance.T)
        self.inner._C = self.covariance = covariance
        self.inner._B = self.inner._D = None

    @property
    def converged(self) -> bool:
        """Whether nothing is to be expected of more draws."""
        if not self.layout.numbers:
            return False
        with np.errstate(all="ignore"):
            stop = bool(self.inner.should_stop())
        self.inner._C = self.covariance
        self.settle()
        reals = len(self.layout.reals)
        return stop or (reals > 0 and float(self.deviations()[:reals].max()) < SPREAD)

    def deviations(self) -> Floats:
        """The standard deviation of each number."""
        variances = self.inner._C if self.inner._C.ndim == 1 else np.diag(self.inner._C)
        return np.asarray(self.inner._sigma * np.sqrt(variances))

    @property
    def sound(self) -> bool:
        """Whether the arithmetic went well: all of its state is finite, its spread positive."""
        state = self.state()
        finite = all(np.isfinite(values).all() for values in state.values())
        return finite and (not self.layout.numbers or float(self.deviations().min()) > 0)

    def state(self) -> Numbers:
        """All that it has learned."""
        found = {name: written(getattr(self.inner, name)) for name in self._kept()}
        return found | ({"_C": written(self.covariance)} if self.layout.numbers else {})

    def restore(self, state: object) -> bool:
        """Take over what `state` gave; False, and unusable, when it does not fit."""
        shapes = {name: np.shape(getattr(self.inner, name)) for name in self._kept()}
        found = read_numbers(state, shapes)
        if found is None:
            return False
        for name, values in found.items():
            setattr(self.inner, name, values if values.ndim else float(values))
        if "_g" in found:
            self.inner._g = int(self.inner._g)
        self.settle()
        return self.sound

    def _kept(self) -> list[str]:
        return [name for name in (*self.names, "_sigma", "_g") if hasattr(self.inner, name)]


class Continuous(Distribution):
    """Reals alone: CMA-ES, with covariances or without."""

    def __init__(
        self, layout: Layout, mean: Floats, sigma: float, population: int, *, separable: bool
    ) -> None:
        self.layout = layout
        self.inner = (SepCMA if separable else CMA)(
            mean=mean.copy(),
            sigma=sigma,
            bounds=np.tile([0.0, 1.0], (len(mean), 1)),
            population_size=population,
        )
        self._begin()

    def draw(self, seed: int) -> Floats:
        self.inner.reseed_rng(seed)
        row: Floats = self.inner.ask()
        return row

    def _tell(self, rows: Sequence[Floats], losses: Sequence[float]) -> None:
        self.inner.tell(list(zip(rows, losses, strict=True)))


class Mixed(Distribution):
    """Reals, whole numbers and choices: CatCMA with margin."""

    names = (*Distribution.names, "_A", "_pmut", "_q", "_s", "_delta", "_Delta", "_gamma")

    def __init__(
        self, layout: Layout, mean: Floats, sigma: float, population: int, *, lean: bool
    ) -> None:
        self.layout = layout
        numbers, choices = layout.numbers, layout.counts(layout.choices)
        wholes = [layout.centres(j).tolist() for j in layout.wholes]
        self.inner = CatCMAwM(
            x_space=[[0.0, 1.0]] * len(layout.reals) or None,
            z_space=wholes or None,
            c_space=choices or None,
            population_size=population,
            mean=mean[:numbers].copy() if numbers else None,
            sigma=sigma,
            cov=np.eye(numbers) if numbers else None,
            cat_param=_leaning(choices, mean[numbers:]) if choices and lean else None,
        )
        if wholes:
            self._end_limits(list(map(len, wholes)))
        self._begin()

    def draw(self, seed: int) -> Floats:
        self.inner.reseed_rng(seed)
        drawn = self.inner.ask()
        numbers = [] if drawn._v_raw is None else drawn._v_raw
        levels = [] if drawn.c is None else np.argmax(drawn.c, axis=1)
        return np.concatenate([numbers, (np.asarray(levels) + 0.5) / self._counts])

    def encoded(self, row: Floats) -> Floats:
        point = row.copy()
        wholes = slice(len(self.layout.reals), self.layout.numbers)
        if self.layout.wholes:
            point[wholes] = self.inner._discretization(row[wholes])
        return super().encoded(point)

    def _tell(self, rows: Sequence[Floats], losses: Sequence[float]) -> None:
        if self.layout.reals:
            self._prepare_penalty(losses)
        self.inner.tell(
            [(self._solution(row), loss) for row, loss in zip(rows, losses, strict=True)]
        )

    def state(self) -> Numbers:
        extra = (
            {"_iqhist_values": written(self.inner._iqhist_values)} if self.layout.numbers else {}
        )
        return {**super().state(), **extra}

    def restore(self, state: object) -> bool:
        if not super().restore(state):
            return False
        if self.layout.numbers and isinstance(state, dict):
            size = np.size(state.get("_iqhist_values", []))
            found = read_numbers(state, {"_iqhist_values": (size,)})
            self.inner._iqhist_values = found["_iqhist_values"].tolist() if found else []
        return True

    @property
    def _counts(self) -> Floats:
        return np.array(self.layout.counts(self.layout.choices), dtype=np.float64)

    def _solution(self, row: Floats) -> CatCMAwM.Solution:
        numbers = row[: self.layout.numbers].copy() if self.layout.numbers else None
        if not self.layout.choices:
            return CatCMAwM.Solution(_v_raw=numbers)
        levels = np.floor(row[self.layout.numbers :] * self._counts).astype(int)
        chosen = np.zeros(self.inner._q.shape, dtype=np.bool_)
        chosen[np.arange(len(levels)), np.clip(levels, 0, self._counts.astype(int) - 1)] = True
        return CatCMAwM.Solution(c=chosen, _v_raw=numbers)

    def _prepare_penalty(self, losses: Sequence[float]) -> None:
        """The penalty on leaving the bounds takes a median of spreads, and fails without any."""
        ordered, quarter = sorted(losses), len(losses) // 4
        if not self.inner._iqhist_values and ordered[3 * quarter] <= ordered[quarter]:
            self.inner._iqhist_values = [0.0]

    def _end_limits(self, counts: Sequence[int]) -> None:
        """Make the padding of short lists of levels repeat their last limit, not their last level.

        As the library pads, the highest level has another limit above it, and a mean beyond that
        is not kept within reach of the level below.
        """
        for limits, count in zip(self.inner._z_lim, counts, strict=True):
            limits[count - 1 :] = limits[count - 2]


def distribution(
    layout: Layout,
    mean: Floats,
    *,
    sigma: float,
    population: int,
    separable_above: int,
    lean: bool,
) -> Distribution:
    """The one that suits the layout, around a row; `lean` says that its choices are good ones."""
    if layout.choices or (layout.wholes and layout.numbers <= separable_above):
        return Mixed(layout, mean, sigma, population, lean=lean)
    separable = layout.numbers > max(1, separable_above)
    return Continuous(layout, mean, sigma, population, separable=separable)


def _leaning(counts: Sequence[int], row: Floats) -> Floats:
    """Probabilities of choices: half of it on those of the row, the rest even."""
    found = np.zeros((len(counts), max(counts)))
    for place, (count, u) in enumerate(zip(counts, row, strict=True)):
        found[place, :count] = 0.5 / count
        found[place, min(int(u * count), count - 1)] += 0.5
    return found
