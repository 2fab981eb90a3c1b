"""Finding the reference values of a task, once, by means that no solver here shares.

`random_median`: configs are drawn uniformly on the declared scales, all of them evaluated, and
studies of the task's budget dealt from them without replacement; the median over STUDIES studies of
the value they come to.  `best_known`: the known optimum where there is one, the best of a whole
table, else the lowest true value among those draws and a long run: SciPy's differential evolution
for most of it, then a climb by small changes from the best that it found.
"""

from collections.abc import Callable, Sequence
from statistics import median
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from pydantic import TypeAdapter

from bench.search.hypervolume import hypervolume
from bench.search.play import noise_seed
from bench.search.tasks.task import Evaluate, Seen, Task
from search.encoding import Cube
from search.space import SearchSpace

SEED = 20_261_122
STUDIES = 2_000
FRONT_STUDIES = 200  # a hypervolume takes longer than a minimum
CLIMB = 0.25  # of the long run

Floats: TypeAlias = npt.NDArray[np.float64]


def find(task: Task) -> dict[str, Any]:
    """The entry of a task: the two values, and how they were found."""
    assert task.load is not None
    evaluate, cube = task.load(), Cube(space_of(task))
    rows = np.random.default_rng(SEED).random((task.draws, cube.width))
    seen = [evaluate(cube.decode(row), noise_seed(SEED, k)) for k, row in enumerate(rows)]
    best, how = best_known(task, evaluate, cube, seen)
    return {
        "digest": task.digest,
        "random_median": {str(task.budget): random_median(task, seen)},
        "best_known": best,
        "best_by": how,
        "random_draws": task.draws,
    }


def space_of(task: Task) -> SearchSpace:
    """The task's space as our search layer reads it."""
    found: SearchSpace = TypeAdapter(SearchSpace).validate_python({"parameters": task.space})
    return found


def random_median(task: Task, seen: Sequence[Seen]) -> float:
    """The median value of random search with the task's budget."""
    rng = np.random.default_rng(SEED)
    studies = STUDIES if task.objectives == 1 else FRONT_STUDIES
    found = []
    for _ in range(studies):
        dealt = [seen[k] for k in rng.choice(len(seen), task.trials, replace=False)]
        found.append(_value(task, dealt))
    return float(median(found))


def best_known(
    task: Task, evaluate: Evaluate, cube: Cube, seen: Sequence[Seen]
) -> tuple[float, str]:
    """The lowest true value known, and where from."""
    if task.known_best is not None:
        return task.known_best(), "known"
    drawn = min(each.true[0] for each in seen)
    evolved = evolve(evaluate, cube, task.search)
    if drawn < evolved:
        return drawn, f"{task.draws} random configs"
    return evolved, f"differential evolution and a climb, {task.search} evaluations"


def evolve(evaluate: Evaluate, cube: Cube, evaluations: int) -> float:
    """The lowest true value that a long run finds in the unit cube of the space."""
    from scipy.optimize import differential_evolution

    def loss(row: Floats) -> float:
        return evaluate(cube.decode(row), 0).true[0]

    evolving = round(evaluations * (1 - CLIMB))
    population = min(max(20, 5 * cube.width), evolving // 10)
    found = differential_evolution(
        loss,
        [(0.0, 1.0)] * cube.width,
        init=np.random.default_rng(SEED).random((population, cube.width)),
        maxiter=evolving // population - 1,
        rng=np.random.default_rng(SEED),
        polish=False,
        tol=0,
    )
    return climb(loss, found.x, found.fun, evaluations - evolving)


def climb(loss: Callable[[Floats], float], row: Floats, value: float, evaluations: int) -> float:
    """The lowest value met by changing a coordinate or two at a time, kept when no worse.

    A change is a step with a scale between 0.001 and 0.3, or a fresh draw.
    """
    rng = np.random.default_rng(SEED)
    for _ in range(evaluations):
        changed = rng.random(len(row)) < 1.5 / len(row)
        changed[rng.integers(len(row))] = True
        steps = rng.normal(size=len(row)) * 0.3 * 10 ** -rng.uniform(0, 2.5)
        moved = rng.random(len(row)) if rng.random() < 0.3 else np.clip(row + steps, 0, 1)
        tried = np.where(changed, moved, row)
        reached = loss(tried)
        if reached <= value:
            row, value = tried, reached
    return float(value)


def _value(task: Task, dealt: Sequence[Seen]) -> float:
    if task.objectives > 1:
        return -hypervolume([each.true for each in dealt], task.reference)
    return min(dealt, key=lambda each: each.told).true[0]
