"""Studies that CMA-ES is tried on, and how they are played."""

import json
import math
from dataclasses import replace

import numpy as np

from search.parameters import ChoiceParameter, FloatParameter, IntParameter
from search.problem import Objective, Problem
from search.searcher import History
from search.space import SearchSpace
from search.trial import Trial, TrialState

MIXED = (
    *(FloatParameter(name=f"x{j}", low=-5, high=5) for j in range(3)),
    IntParameter(name="n", low=0, high=10),
    IntParameter(name="m", low=1, high=40, log=True),
    ChoiceParameter(name="act", choices=("relu", "tanh", "gelu", "silu")),
    ChoiceParameter(name="flag", choices=(False, True)),
)


def floats(width):
    return [FloatParameter(name=f"x{j}", low=-5, high=5) for j in range(width)]


def problem(parameters, seed=0):
    made = SearchSpace(parameters=parameters)
    return Problem(space=made, objectives=[Objective(metric="loss")], seed=seed)


def vector(config):
    return np.array(list(config.values()), dtype=float)


def sphere(config):
    return float(np.square(vector(config) - 1.2).sum())


def ellipsoid(config):
    x = vector(config) - 1.2
    return float((10 ** (6 * np.arange(len(x)) / (len(x) - 1)) * x**2).sum())


def rosenbrock(config):
    x = vector(config)
    return float((100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum())


def mixed(config):
    numbers = sum((config[f"x{j}"] - 1.2) ** 2 for j in range(3))
    wholes = (config["n"] - 7) ** 2 + 4 * math.log(config["m"] / 12) ** 2
    return numbers + wholes + 5 * (config["act"] != "gelu") + 2 * (not config["flag"])


def completed(number, suggestion, loss):
    return Trial(
        number=number,
        config=suggestion.config,
        state=TrialState.COMPLETED,
        values={"loss": loss},
        origin=suggestion.origin,
    )


def play(searcher, study, loss, count, at_a_time=1, trials=()):
    """A study of `count` trials; its memo comes back as JSON does."""
    found, memo = list(trials), None
    batch = 0
    while len(found) < count:
        made = searcher.suggest(
            History(problem=study, trials=found, batch=batch, memo=memo), at_a_time
        )
        batch += 1
        memo = made.memo and replace(made.memo, data=json.loads(json.dumps(made.memo.data)))
        found += [
            completed(len(found) + k, s, loss(s.config)) for k, s in enumerate(made.suggestions)
        ]
    return found, memo


def best(trials):
    return min(trial.values["loss"] for trial in trials)


def rows(batch):
    return [suggestion.origin["row"] for suggestion in batch.suggestions]


def ask(searcher, study, trials, count, **changes):
    return searcher.suggest(History(problem=study, trials=trials, **changes), count)


def asynchronous(searcher, study, loss, count, workers):
    """A study of workers who take a trial whenever they have ended one, in an order of chance."""
    rng, trials, out, memo, batch = np.random.default_rng(0), [], [], None, 0
    while len(trials) < count:
        history = History(problem=study, trials=trials, batch=batch, memo=memo)
        made = searcher.suggest(history, workers - len(out))
        memo, batch = made.memo, batch + 1
        for s in made.suggestions:
            out.append(len(trials))
            running = completed(len(trials), s, 0.0)
            trials.append(replace(running, state=TrialState.RUNNING, values={}))
        done = out.pop(min(int(rng.exponential(workers / 3)), len(out) - 1))
        values = {"loss": loss(trials[done].config)}
        trials[done] = replace(trials[done], state=TrialState.COMPLETED, values=values)
    return [replace(t, state=TrialState.FAILED) if t.number in out else t for t in trials], memo
