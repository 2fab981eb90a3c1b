"""Runs of CMA-ES, one after the other: where each begins, and how large it is.

IPOP (Auger and Hansen, "A Restart CMA Evolution Strategy With Increasing Population Size", 2005):
every run has twice the population of the one before and begins at a point drawn anew.  BIPOP
(Hansen, "Benchmarking a BI-Population CMA-ES on the BBOB-2009 Function Testbed", 2009): beside
those, small runs of a smaller spread, whichever kind has had fewer trials.  Here the small runs
begin at the best point that an earlier run found.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from search.cma.distribution import Distribution, distribution
from search.cma.layout import Layout
from search.scales import Floats

if TYPE_CHECKING:
    from search.searchers.cmaes import CMAES

LARGEST = 4096  # draws in a generation
STREAM = 2**32 - 2  # a spawn key that no batch number reaches


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run among those of a study; `number` counts them from 0.

    `large` counts the doublings of the population so far, `spent` the draws told by large runs and
    by small ones.  `fresh` says whether any of its draws was a new config, `barren` how many runs
    before it had none.  `told` is the number of the first draw of the generation before that it was
    not told of, 0 if there is none.  `best` is the best row of all runs so far, with its loss.
    """

    number: int = 0
    small: bool = False
    large: int = 0
    sigma: float
    population: int
    fresh: bool = False
    barren: int = 0
    told: int = 0
    spent: tuple[int, int] = (0, 0)
    best: tuple[float, Floats] | None = None


def first_run(settings: CMAES, layout: Layout) -> Run:
    """The run that a study begins with."""
    return Run(sigma=settings.sigma, population=_default(settings, layout))


def next_run(settings: CMAES, layout: Layout, last: Run, seed: int) -> Run:
    """The run after one that has converged."""
    default = _default(settings, layout)
    barren = 0 if last.fresh else last.barren + 1
    after = replace(last, number=last.number + 1, fresh=False, barren=barren, told=0)
    small = settings.restarts == "bipop" and last.spent[1] < last.spent[0] and last.number > 0
    if small and last.best is not None:
        u, v = generator(seed, after.number).random(2)
        most = 0.5 * _doubled(default, last.large) / default
        population = max(default, math.floor(default * most ** (u * u)))
        sigma = settings.sigma * 10 ** (-2 * v)
        return replace(after, small=True, sigma=sigma, population=population)
    large = last.large + 1
    return replace(
        after,
        small=False,
        large=large,
        sigma=settings.sigma,
        population=_doubled(default, large),
    )


def begin(
    settings: CMAES, layout: Layout, run: Run, seed: int, start: Floats | None
) -> Distribution:
    """The distribution that a run begins with; `start` is where the first one does, if known."""
    if run.number > 0:
        start = run.best[1] if run.small and run.best is not None else None
    if start is not None:
        mean = np.clip(start, 0.0, 1.0)
    elif run.number > 0:
        mean = generator(seed, run.number).random(len(layout.order))
    else:
        mean = np.full(len(layout.order), 0.5)
    return distribution(
        layout,
        mean,
        sigma=run.sigma,
        population=run.population,
        separable_above=settings.separable_above,
        lean=start is not None,
    )


def generator(seed: int, *place: int) -> np.random.Generator:
    """The random generator of one place in the runs of a study, whatever the batch."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(STREAM, *place)))


def draw_seed(seed: int, run: int, generation: int, draw: int) -> int:
    """The seed of one draw: 32 bits, as the library takes them."""
    sequence = np.random.SeedSequence(seed, spawn_key=(STREAM, run, generation, draw))
    return int(sequence.generate_state(1)[0])


def _default(settings: CMAES, layout: Layout) -> int:
    """4 + 3 ln n for n parameters (Hansen, 2016, equation 48)."""
    return settings.population or 4 + math.floor(3 * math.log(len(layout.order)))


def _doubled(population: int, times: int) -> int:
    return min(population << min(times, 32), max(LARGEST, population))
