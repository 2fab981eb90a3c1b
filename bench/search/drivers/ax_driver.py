"""Ax: its Client with the default generation strategy.

Conditional spaces are flattened as Ax itself does by default: each parameter is always asked for,
and inactive ones are dropped from the config.
"""

import logging
import math
import random
import warnings

from ax.api.client import Client
from ax.api.configs import ChoiceParameterConfig, RangeParameterConfig
from protocol import Solver, serve
from space import fill, pick, read

warnings.simplefilter("ignore")
logging.disable(logging.ERROR)
METRIC = "value"


class Ax(Solver):
    """One Ax experiment."""

    def __init__(self, study):
        self._rng = random.Random(study.seed)
        self._parameters = read(study.space)
        self._numbers = {}
        self._client = Client(random_seed=study.seed)
        self._client.configure_experiment(parameters=[_parameter(p) for p in self._parameters])
        self._client.configure_optimization(objective=f"-{METRIC}")

    def ask(self):
        number, inside = next(iter(self._client.get_next_trials(max_trials=1).items()))
        handle = self._numbers[number] = Number(number)
        return handle, pick(self._parameters, lambda p: _outside(p, inside[p.name]))

    def tell(self, handle, values, *, stopped=False):
        if values is None or not math.isfinite(values[0]):
            self._client.mark_trial_failed(int(handle))
        else:
            self._client.complete_trial(int(handle), raw_data={METRIC: values[0]})

    def replay(self, trials):
        for config, values in trials:
            whole = fill(self._parameters, config, self._rng)
            inside = {p.name: _inside(p, whole[p.name]) for p in self._parameters}
            number = self._client.attach_trial(parameters=inside)
            self._client.complete_trial(number, raw_data={METRIC: values[0]})

    def best(self):
        number = self._client.get_best_parameterization(use_model_predictions=True)[2]
        return self._numbers.get(number)


class Number(int):
    """A trial's index, as a handle of its own."""


def _parameter(p):
    if p.kind != "choice":
        return RangeParameterConfig(
            name=p.name,
            bounds=(p.low, p.high),
            parameter_type=p.kind,
            scaling="log" if p.log else None,
        )
    return ChoiceParameterConfig(
        name=p.name,
        values=list(range(len(p.choices)))
        if p.ordered
        else [str(k) for k in range(len(p.choices))],
        parameter_type="int" if p.ordered else "str",
        is_ordered=p.ordered,
    )


def _inside(p, value):
    if p.kind != "choice":
        return value
    return p.index(value) if p.ordered else str(p.index(value))


def _outside(p, value):
    if p.kind == "choice":
        return p.choices[int(value)]
    return int(value) if p.kind == "int" else float(value)


if __name__ == "__main__":
    serve(Ax)
