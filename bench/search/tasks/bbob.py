"""The 24 functions of BBOB on [-5, 5]^d, from the package `ioh`.

Hansen and others, "Real-parameter black-box optimization benchmarking 2009: noiseless functions
definitions", INRIA RR-6829.  f1 to f14 have one valley (smooth, some of them ill-conditioned), f15
to f24 are rugged.  The known optimum is the best known value.

  continuous/f03-i02-d05     noisy/f03-i02-d05-n10     wide/f03-i02     parallel/f03-i02-d06

In the group `noisy` what a solver is told carries Gaussian noise.  Its standard deviation is so
many per cent of the distance between the median and the first percentile of random configs' values.
"""

import re
from functools import partial
from typing import Any

import numpy as np

from bench.search.tasks.task import Config, Evaluate, Seen, Task, Wire, real

PATTERN = re.compile(
    r"(?P<group>continuous|noisy|wide|parallel)/f(?P<f>\d+)-i(?P<i>\d+)(-d(?P<d>\d+))?(-n(?P<n>\d+))?"
)
WIDE = 60
PARALLEL = 16
BUDGETS = {"continuous": 50, "noisy": 50, "wide": 120, "parallel": 96}


def task(name: str) -> Task | None:
    """The task of that name, None when it is not of this family."""
    found = PATTERN.fullmatch(name)
    if found is None:
        return None
    group, noise = found["group"], int(found["n"] or 0)
    f, i, d = int(found["f"]), int(found["i"]), int(found["d"] or WIDE)
    return Task(
        name=name,
        space=space(d),
        load=partial(load, f, i, d, noise),
        known_best=partial(optimum, f, i, d),
        budget=BUDGETS[group],
        parallel=PARALLEL if group == "parallel" else 1,
    )


def space(d: int) -> list[Wire]:
    """The box."""
    return [real(f"x{k}", -5.0, 5.0) for k in range(d)]


def problem(f: int, i: int, d: int) -> Any:
    """ioh's problem object."""
    import ioh

    return ioh.get_problem(f, instance=i, dimension=d, problem_class=ioh.ProblemClass.BBOB)


def optimum(f: int, i: int, d: int) -> float:
    """The lowest value there is."""
    return float(problem(f, i, d).optimum.y)


def load(f: int, i: int, d: int, noise: int) -> Evaluate:
    """The function, with noise if there is to be any."""
    found = problem(f, i, d)
    names = [f"x{k}" for k in range(d)]

    def value(config: Config) -> float:
        return float(found([config[name] for name in names]))

    if not noise:
        return lambda config, _: Seen.exactly(value(config))
    sd = noise / 100 * _spread(found, d)

    def noisy(config: Config, seed: int) -> Seen:
        true = value(config)
        return Seen((true + sd * float(np.random.default_rng(seed).normal()),), (true,))

    return noisy


def _spread(found: Any, d: int) -> float:
    rows = np.random.default_rng(0).uniform(-5, 5, (2_000, d))
    low, middle = np.quantile([found(row) for row in rows], [0.01, 0.5])
    return float(middle - low)
