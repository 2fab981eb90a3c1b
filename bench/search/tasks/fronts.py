"""Several objectives: test problems whose Pareto fronts are known, scored by hypervolume.

ZDT1, 2, 3: Zitzler, Deb, Thiele, "Comparison of multiobjective evolutionary algorithms", 2000.
DTLZ2: Deb and others, "Scalable test problems", 2005.  Fonseca and Fleming, 1995.  Kursawe, 1991.
`shift` moves the optimum of the distance variables, so that it lies on no edge and differs between
the lists.

  objectives/zdt1-d6-s3
"""

import re
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from bench.search.hypervolume import hypervolume
from bench.search.tasks.task import Config, Evaluate, Seen, Task, real

PATTERN = re.compile(r"objectives/(?P<kind>[a-z0-9]+)-d(?P<d>\d+)-s(?P<shift>\d+)")
FRONT = 4_000  # points on a known front
Values = tuple[float, ...]


def task(name: str) -> Task | None:
    """The task of that name, None when it is not of this family."""
    found = PATTERN.fullmatch(name)
    if found is None or found["kind"] not in PROBLEMS:
        return None
    kind, d, shift = found["kind"], int(found["d"]), int(found["shift"])
    _, low, high, reference, _ = PROBLEMS[kind]
    return Task(
        name=name,
        space=[real(f"x{k}", low, high) for k in range(d)],
        load=partial(load, kind, d, shift),
        known_best=partial(best, kind, d),
        objectives=len(reference),
        reference=reference,
        draws=4_000,
    )


def load(kind: str, d: int, shift: int) -> Evaluate:
    """The problem with its distance variables moved."""
    function, low, high, _, moves = PROBLEMS[kind]
    centre = np.random.default_rng(shift).uniform(0.25, 0.75, d) * (high - low) + low

    def evaluate(config: Config, _: int) -> Seen:
        x = np.array([config[f"x{k}"] for k in range(d)])
        away = np.abs(x - centre) / np.maximum(centre - low, high - centre)
        return Seen.exactly(*function(np.concatenate([x[:moves], away[moves:]]) if moves else x))

    return evaluate


def best(kind: str, d: int) -> float:
    """The hypervolume of the front with its sign turned: lower is better, as everywhere."""
    reference = PROBLEMS[kind][3]
    if kind == "dtlz2":  # what is not dominated is an eighth of the unit ball
        return -(float(np.prod(reference)) - np.pi / 6)
    return -hypervolume(FRONTS[kind](d), reference)


def _zdt(shape: Callable[[float, float], float]) -> Callable[[np.ndarray], Values]:
    def values(x: np.ndarray) -> Values:
        g = 1 + 9 * float(np.mean(x[1:]))
        return float(x[0]), g * shape(float(x[0]), g)

    return values


def _zdt1(f: float, g: float) -> float:
    return 1 - float(np.sqrt(f / g))


def _zdt2(f: float, g: float) -> float:
    return 1 - (f / g) ** 2


def _zdt3(f: float, g: float) -> float:
    return 1 - float(np.sqrt(f / g)) - f / g * float(np.sin(10 * np.pi * f))


def _dtlz2(x: np.ndarray) -> Values:
    g = float(np.sum((0.5 * x[2:]) ** 2))
    a, b = np.pi / 2 * x[0], np.pi / 2 * x[1]
    return (
        (1 + g) * float(np.cos(a) * np.cos(b)),
        (1 + g) * float(np.cos(a) * np.sin(b)),
        (1 + g) * float(np.sin(a)),
    )


def _fonseca(x: np.ndarray) -> Values:
    away = 1 / np.sqrt(len(x))
    return (
        1 - float(np.exp(-np.sum((x - away) ** 2))),
        1 - float(np.exp(-np.sum((x + away) ** 2))),
    )


def _vlmop(x: np.ndarray) -> Values:
    """Binh and Korn's convex pair: the distances to two corners."""
    return float(np.mean((x - 0.2) ** 2)), float(np.mean((x - 0.8) ** 2))


def _front_zdt(shape: Callable[[float, float], float], d: int) -> Sequence[Values]:
    return [(float(f), shape(float(f), 1.0)) for f in np.linspace(0, 1, FRONT)]


def _front_fonseca(d: int) -> Sequence[Values]:
    return [_fonseca(np.full(d, t)) for t in np.linspace(-1, 1, FRONT) / np.sqrt(d)]


def _front_vlmop(d: int) -> Sequence[Values]:
    return [_vlmop(np.full(d, t)) for t in np.linspace(0.2, 0.8, FRONT)]


# function, bounds, reference point, how many variables place a point on the front (0: no shift)
PROBLEMS: dict[str, tuple[Callable[[np.ndarray], Values], float, float, Values, int]] = {
    "zdt1": (_zdt(_zdt1), 0.0, 1.0, (1.1, 4.0), 1),
    "zdt2": (_zdt(_zdt2), 0.0, 1.0, (1.1, 4.0), 1),
    "zdt3": (_zdt(_zdt3), 0.0, 1.0, (1.1, 4.0), 1),
    "dtlz2": (_dtlz2, 0.0, 1.0, (1.5, 1.5, 1.5), 2),
    "fonseca": (_fonseca, -2.0, 2.0, (1.0, 1.0), 0),
    "pair": (_vlmop, 0.0, 1.0, (0.5, 0.5), 0),
}
FRONTS: dict[str, Callable[[int], Sequence[Values]]] = {
    "zdt1": partial(_front_zdt, _zdt1),
    "zdt2": partial(_front_zdt, _zdt2),
    "zdt3": partial(_front_zdt, _zdt3),
    "fonseca": _front_fonseca,
    "pair": _front_vlmop,
}
