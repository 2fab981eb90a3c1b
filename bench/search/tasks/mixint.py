"""bbob-mixint: the BBOB functions with four fifths of the variables whole, from `coco-experiment`.

Tušar, Brockhoff, Hansen, "Mixed-integer benchmark problems for single- and bi-objective
optimization", GECCO 2019.  A fifth of the variables each has 2, 4, 8 and 16 levels, the last fifth
is real.  COCO keeps its optima to itself, so the best known comes from a long run.

  mixed/bbob-f03-i02-d10
"""

import re
from functools import partial

from bench.search.tasks.task import Evaluate, Seen, Task, Wire, real, whole

PATTERN = re.compile(r"mixed/bbob-f(?P<f>\d+)-i(?P<i>\d+)-d(?P<d>\d+)")
LEVELS = (2, 4, 8, 16)


def task(name: str) -> Task | None:
    """The task of that name, None when it is not of this family."""
    found = PATTERN.fullmatch(name)
    if found is None:
        return None
    f, i, d = (int(found[key]) for key in "fid")
    return Task(name=name, space=space(d), load=partial(load, f, i, d), search=100_000)


def space(d: int) -> list[Wire]:
    """d variables, in COCO's order."""
    if d % 5:
        raise ValueError(f"bbob-mixint needs a multiple of 5 variables, got {d}")
    part = d // 5
    levels = [count for count in LEVELS for _ in range(part)]
    ints = [whole(f"x{k}", 0, count - 1) for k, count in enumerate(levels)]
    return ints + [real(f"x{k}", -5.0, 5.0) for k in range(len(ints), d)]


def load(f: int, i: int, d: int) -> Evaluate:
    """COCO's problem."""
    import cocoex

    only = f"dimensions:{d} function_indices:{f} instance_indices:{i}"
    suite = cocoex.Suite("bbob-mixint", "", only)
    problem = suite.get_problem(0)
    names = [f"x{k}" for k in range(d)]
    # The suite owns its problems: it has to live as long as they do.
    return lambda config, _, owner=suite: Seen.exactly(
        float(problem([float(config[name]) for name in names]))
    )
