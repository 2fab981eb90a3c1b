"""OSS Vizier: the GP bandit behind its service's DEFAULT algorithm (GP-UCB-PE), as a designer.

The designer refuses conditional spaces: each parameter is always asked for, and inactive ones are
dropped from the config.  Its first fit compiles, which the warm-up before any measurement covers
for small studies only: XLA compiles again when a study outgrows a padding size.  Doubles are
switched on, as Vizier's service does: with floats its fits end in NaN after a few trials, and
suggestions come without parameters.
"""

import math
import random
import warnings

import jax
from protocol import Solver, serve
from space import fill, pick, read
from vizier import algorithms as vza
from vizier import pyvizier as vz
from vizier.algorithms.designers import VizierGPUCBPEBandit

jax.config.update("jax_enable_x64", True)
warnings.simplefilter("ignore")
METRIC = "value"


class Vizier(Solver):
    """One designer and the trials it has been shown."""

    def __init__(self, study):
        self._rng = random.Random(study.seed)
        self._parameters = read(study.space)
        problem = vz.ProblemStatement()
        for parameter in self._parameters:
            _add(problem.search_space.root, parameter)
        goal = vz.ObjectiveMetricGoal.MINIMIZE
        problem.metric_information.append(vz.MetricInformation(METRIC, goal=goal))
        self._designer = VizierGPUCBPEBandit(problem, rng=jax.random.PRNGKey(study.seed))
        self._asked = 0
        self._active = {}

    def ask(self):
        self._asked += 1
        trial = self._designer.suggest(1)[0].to_trial(self._asked)
        self._active[self._asked] = trial
        inside = {name: value.value for name, value in trial.parameters.items()}
        return trial, pick(self._parameters, lambda p: _outside(p, inside[p.name]))

    def tell(self, handle, values, *, stopped=False):
        del self._active[handle.id]
        if values is None or not math.isfinite(values[0]):
            handle.complete(vz.Measurement(), infeasibility_reason="no finite value")
        else:
            handle.complete(vz.Measurement({METRIC: values[0]}))
        self._update([handle])

    def replay(self, trials):
        done = []
        for config, values in trials:
            self._asked += 1
            whole = fill(self._parameters, config, self._rng)
            inside = {p.name: _inside(p, whole[p.name]) for p in self._parameters}
            trial = vz.Trial(id=self._asked, parameters=inside)
            trial.complete(vz.Measurement({METRIC: values[0]}))
            done.append(trial)
        self._update(done)

    def _update(self, done):
        active = list(self._active.values())
        self._designer.update(vza.CompletedTrials(done), vza.ActiveTrials(active))


def _add(root, p):
    if p.kind == "choice" and p.ordered:
        root.add_discrete_param(p.name, list(range(len(p.choices))))
    elif p.kind == "choice":
        root.add_categorical_param(p.name, [str(k) for k in range(len(p.choices))])
    else:
        add = root.add_float_param if p.kind == "float" else root.add_int_param
        scale = vz.ScaleType.LOG if p.log else vz.ScaleType.LINEAR
        add(p.name, p.low, p.high, scale_type=scale)


def _inside(p, value):
    if p.kind != "choice":
        return value
    return p.index(value) if p.ordered else str(p.index(value))


def _outside(p, value):
    if p.kind == "choice":
        return p.choices[int(float(value))]
    number = min(max(float(value), p.low), p.high)
    return round(number) if p.kind == "int" else number


if __name__ == "__main__":
    serve(Vizier)
