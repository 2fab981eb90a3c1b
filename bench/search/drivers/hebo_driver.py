"""HEBO, suggesting one config at a time, with every default.

It knows no conditions: each parameter is always asked for, inactive ones are dropped from the
config, and drawn at random for configs that come from elsewhere.
"""

import math
import random
import warnings

import numpy as np
import pandas as pd
import torch
from hebo.design_space.design_space import DesignSpace
from hebo.optimizers.hebo import HEBO
from protocol import Solver, serve
from space import fill, pick, read

warnings.simplefilter("ignore")


class Hebo(Solver):
    """One HEBO run."""

    def __init__(self, study):
        np.random.seed(study.seed)  # HEBO and pymoo draw from the global generator
        torch.manual_seed(study.seed)
        self._rng = random.Random(study.seed)
        self._parameters = read(study.space)
        space = DesignSpace().parse([_parameter(p) for p in self._parameters])
        self._hebo = HEBO(space, scramble_seed=study.seed)

    def ask(self):
        row = self._hebo.suggest(n_suggestions=1)
        inside = row.iloc[0].to_dict()
        return row, pick(self._parameters, lambda p: _outside(p, inside[p.name]))

    def tell(self, handle, values, *, stopped=False):
        if values is not None and math.isfinite(values[0]):
            self._hebo.observe(handle, np.array([[values[0]]]))

    def replay(self, trials):
        rows = [fill(self._parameters, config, self._rng) for config, _ in trials]
        inside = [{p.name: _inside(p, row[p.name]) for p in self._parameters} for row in rows]
        self._hebo.observe(pd.DataFrame(inside), np.array([values[:1] for _, values in trials]))


def _parameter(p):
    if p.kind == "choice" and not p.ordered:
        return {
            "name": p.name,
            "type": "cat",
            "categories": [str(k) for k in range(len(p.choices))],
        }
    if p.kind == "choice":
        return {"name": p.name, "type": "int", "lb": 0, "ub": len(p.choices) - 1}
    kinds = {
        ("float", False): "num",
        ("float", True): "pow",
        ("int", False): "int",
        ("int", True): "pow_int",
    }
    found = {"name": p.name, "type": kinds[p.kind, p.log], "lb": p.low, "ub": p.high}
    return {**found, "base": 10} if p.log else found


def _inside(p, value):
    if p.kind != "choice":
        return value
    return p.index(value) if p.ordered else str(p.index(value))


def _outside(p, value):
    if p.kind == "choice":
        return p.choices[int(value)]
    number = min(max(float(value), p.low), p.high)
    return round(number) if p.kind == "int" else number


if __name__ == "__main__":
    serve(Hebo)
