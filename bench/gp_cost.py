"""What a suggestion of the searcher gp costs, by the number of finished trials.

Process CPU in one thread, imports left out: studies of a noisy bowl with one wiggle in ten
variables, half of whose trials lie near the minimum, as a search leaves them.  Above 150 trials
hyperparameters are kept between fits, so a whole cycle, from one fit to the next, is measured and
shared out.  `batch` is what each further suggestion of the same batch costs.
"""

import argparse
import math
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bench.parts.machine import facts
from bench.parts.results import save, say, summary, table
from search.parameters import FloatParameter
from search.problem import Objective, Problem
from search.searcher import Batch, History
from search.searchers.gp import GP
from search.space import SearchSpace
from search.trial import Trial, TrialState

WIDTH = 10
AIMS = {50: 20.0, 100: 50.0, 300: 150.0}  # milliseconds for a suggestion
BATCH = 9
CENTRE = np.linspace(0.3, 0.7, WIDTH)


def main() -> None:
    options = _options()
    _measured(_history(30, seed=0), 1)  # imports, and the first look at the BLAS libraries
    sizes = {size: _size(size, options.repeats) for size in options.sizes}
    result = {**facts(), "width": WIDTH, "aims_ms": AIMS, "milliseconds": sizes}
    print(_table(sizes))
    say(f"written to {save('gp_cost', result, options.out)}")


def _size(size: int, repeats: int) -> dict[str, Any]:
    alone, further = [], []
    for seed in range(repeats):
        history = _history(size, seed)
        spent, batch = _cycle(history)
        alone.append(spent)
        later = replace(history, memo=batch.memo)
        whole, one = (min(_measured(later, n)[0] for _ in range(2)) for n in (BATCH, 1))
        further.append((whole - one) / (BATCH - 1))
        say(f"{size} trials, seed {seed}: {spent:.1f} ms, a further one {further[-1]:.1f} ms")
    return {"one": summary(alone), "further": summary(further), "studies": alone}


def _cycle(history: History) -> tuple[float, Batch]:
    """The mean cost from one fit to the next, and the batch with that fit."""
    count = math.ceil(len(history.trials) / 50)
    first, batch = _measured(history, 1)
    if batch.memo is None or count == 1:
        return first, batch
    rest, _ = _measured(replace(history, memo=batch.memo), 1)
    return (first + (count - 1) * rest) / count, batch


def _measured(history: History, count: int) -> tuple[float, Batch]:
    before = time.process_time()
    batch = GP().suggest(history, count)
    spent = 1000 * (time.process_time() - before)
    origins = {suggestion.origin["by"] for suggestion in batch.suggestions}
    if origins != {"gp"}:
        raise RuntimeError(f"expected suggestions by gp, got {origins}")
    return spent, batch


def _history(size: int, seed: int) -> History:
    rng = np.random.default_rng(seed)
    near = rng.random(size) < 0.5
    close = np.clip(CENTRE + 0.1 * rng.standard_normal((size, WIDTH)), 0, 1)
    rows = np.where(near[:, None], close, rng.random((size, WIDTH)))
    weights = np.arange(1, WIDTH + 1)
    losses = np.square(rows - CENTRE) @ weights + np.sin(9 * rows[:, 0])
    losses += 0.05 * rng.standard_normal(size)
    names = [f"x{index}" for index in range(WIDTH)]
    space = SearchSpace(parameters=[FloatParameter(name=name, low=0, high=1) for name in names])
    trials = [
        Trial(
            number=number,
            config=dict(zip(names, row, strict=True)),
            state=TrialState.COMPLETED,
            values={"loss": loss},
        )
        for number, (row, loss) in enumerate(zip(rows.tolist(), losses.tolist(), strict=True))
    ]
    problem = Problem(space=space, objectives=[Objective(metric="loss")], seed=seed)
    return History(problem=problem, trials=trials, batch=size)


def _table(sizes: dict[int, dict[str, Any]]) -> str:
    rows: list[Sequence[str]] = [("trials", "ms", "low", "high", "aim", "a further one")]
    for size, found in sizes.items():
        one, further = found["one"], found["further"]
        aim = f"{AIMS[size]:g}" if size in AIMS else ""
        numbers = [f"{one[name]:.1f}" for name in ("median", "low", "high")]
        rows.append((str(size), *numbers, aim, f"{further['median']:.1f}"))
    return table(rows)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[20, 50, 100, 150, 300, 1000, 5000])
    parser.add_argument("--repeats", type=int, default=7, help="studies of each size (7)")
    parser.add_argument("--out", type=Path, help="result file (bench/results/gp_cost.json)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
