"""Optuna: TPE (multivariate), GPSampler or OptunaHub's AutoSampler, as the argument says.

Its own ask and tell on its in-memory storage, with its own default median pruner where trials
report steps.  Ordered choices are asked for as the index of their level, which Optuna's manual
advises.  AutoSampler is code that OptunaHub loads from its registry: from the folder that
OPTUNAHUB_REGISTRY names if it is set, else over the network at a pinned commit.
"""

import math
import os
import sys
import warnings

import optuna
import optunahub
import torch  # noqa: F401 - GPSampler imports it at its first fit
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState, create_trial
from protocol import Solver, serve
from space import pick, read

AUTO_SAMPLER_COMMIT = "257a04bca788dc263bf4cbb469083be82740cf69"

optuna.logging.set_verbosity(optuna.logging.ERROR)
warnings.simplefilter("ignore")


def tpe(study):
    conditional = any(parameter["when"] for parameter in study.space if parameter.get("when"))
    return optuna.samplers.TPESampler(
        seed=study.seed, multivariate=True, group=conditional, warn_independent_sampling=False
    )


def gp(study):
    return optuna.samplers.GPSampler(
        seed=study.seed,
        independent_sampler=optuna.samplers.RandomSampler(seed=study.seed + 1),
        warn_independent_sampling=False,
    )


def auto(study):
    folder = os.environ.get("OPTUNAHUB_REGISTRY")
    if folder:
        module = optunahub.load_local_module("samplers/auto_sampler", registry_root=folder)
    else:
        module = optunahub.load_module("samplers/auto_sampler", ref=AUTO_SAMPLER_COMMIT)
    return module.AutoSampler(seed=study.seed)


SAMPLERS = {"tpe": tpe, "gp": gp, "auto": auto}


class Optuna(Solver):
    """One Optuna study."""

    def __init__(self, study, sampler):
        self._parameters = read(study.space)
        self._study = optuna.create_study(
            directions=["minimize"] * study.objectives,
            sampler=sampler(study),
            pruner=optuna.pruners.MedianPruner() if study.steps else optuna.pruners.NopPruner(),
        )

    def ask(self):
        trial = self._study.ask()
        return trial, pick(self._parameters, lambda p: self._suggest(trial, p))

    def tell(self, handle, values, *, stopped=False):
        if stopped:
            self._study.tell(handle, state=TrialState.PRUNED)
        elif values is None or not all(map(math.isfinite, values)):
            self._study.tell(handle, state=TrialState.FAIL)
        else:
            self._study.tell(handle, values)

    def report(self, handle, step, value):
        handle.report(value, step)
        return handle.should_prune()

    def replay(self, trials):
        for config, values in trials:
            active = [p for p in self._parameters if p.name in config]
            self._study.add_trial(
                create_trial(
                    params={p.name: _internal(p, config[p.name]) for p in active},
                    distributions={p.name: _distribution(p) for p in active},
                    values=values,
                )
            )

    def _suggest(self, trial, parameter):
        value = trial._suggest(parameter.name, _distribution(parameter))
        return parameter.choices[value] if parameter.ordered else value


def _internal(parameter, value):
    return parameter.index(value) if parameter.ordered else value


def _distribution(parameter):
    if parameter.kind == "float":
        return FloatDistribution(
            parameter.low, parameter.high, log=parameter.log, step=parameter.step
        )
    if parameter.kind == "int":
        return IntDistribution(
            parameter.low, parameter.high, log=parameter.log, step=parameter.step or 1
        )
    if parameter.ordered:
        return IntDistribution(0, len(parameter.choices) - 1)
    return CategoricalDistribution(parameter.choices)


if __name__ == "__main__":
    chosen = SAMPLERS[sys.argv[1]]
    serve(lambda study: Optuna(study, chosen))
