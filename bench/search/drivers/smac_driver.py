"""SMAC3: its hyperparameter optimisation facade, asked and told, with every default.

Choices travel as their index, in a categorical or an ordinal hyperparameter; conditions are SMAC's
own, so that inactive parameters are none of its concern.
"""

import logging
import math
import tempfile

from ConfigSpace import (
    AndConjunction,
    CategoricalHyperparameter,
    Configuration,
    ConfigurationSpace,
    InCondition,
    OrdinalHyperparameter,
    UniformFloatHyperparameter,
    UniformIntegerHyperparameter,
)
from protocol import Solver, serve
from smac import HyperparameterOptimizationFacade, Scenario
from smac.runhistory import StatusType, TrialInfo, TrialValue
from space import read

SEED = 0  # of every trial of a deterministic scenario


class Smac(Solver):
    """One SMAC run."""

    def __init__(self, study):
        self._parameters = {p.name: p for p in read(study.space)}
        self._folder = tempfile.TemporaryDirectory(prefix="bench-smac-")
        self._space = _space(self._parameters, study.seed)
        scenario = Scenario(
            self._space,
            deterministic=True,
            n_trials=max(study.budget, 20),
            seed=study.seed,
            output_directory=self._folder.name,
        )
        self._smac = HyperparameterOptimizationFacade(
            scenario, _never_called, overwrite=True, logging_level=logging.ERROR
        )

    def ask(self):
        info = self._smac.ask()
        values = dict(info.config)
        config = {
            name: _outside(parameter, values[name])
            for name, parameter in self._parameters.items()
            if name in values
        }
        return info, config

    def tell(self, handle, values, *, stopped=False):
        failed = values is None or not math.isfinite(values[0])
        status = StatusType.CRASHED if failed else StatusType.SUCCESS
        cost = math.inf if failed else values[0]
        self._smac.tell(handle, TrialValue(cost=cost, status=status), save=False)

    def replay(self, trials):
        for config, values in trials:
            inside = {n: _inside(self._parameters[n], value) for n, value in config.items()}
            known = Configuration(self._space, values=inside)
            self._smac.tell(TrialInfo(known, seed=SEED), TrialValue(cost=values[0]), save=False)


def _never_called(config, seed=0):
    raise AssertionError("trials are asked for and told")


def _space(parameters, seed):
    space = ConfigurationSpace(seed=seed)
    for parameter in parameters.values():
        space.add(_hyperparameter(parameter))
    for parameter in parameters.values():
        if parameter.when:
            space.add(_condition(space, parameters, parameter))
    return space


def _hyperparameter(p):
    if p.kind == "choice":
        kind = OrdinalHyperparameter if p.ordered else CategoricalHyperparameter
        return kind(p.name, list(range(len(p.choices))))
    kind = UniformFloatHyperparameter if p.kind == "float" else UniformIntegerHyperparameter
    return kind(p.name, p.low, p.high, log=p.log)


def _condition(space, parameters, child):
    conditions = [
        InCondition(
            space[child.name], space[parent], [_inside(parameters[parent], v) for v in allowed]
        )
        for parent, allowed in child.when
    ]
    return conditions[0] if len(conditions) == 1 else AndConjunction(*conditions)


def _inside(parameter, value):
    return parameter.index(value) if parameter.kind == "choice" else value


def _outside(parameter, value):
    if parameter.kind == "choice":
        return parameter.choices[int(value)]
    return int(value) if parameter.kind == "int" else float(value)


if __name__ == "__main__":
    serve(Smac)
