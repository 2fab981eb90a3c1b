"""Early stopping: networks that report their validation loss after every epoch.

The budget is 40 full runs' worth of epochs, however they are spent.  Scored is the lowest last
value of a trial that ran to its end.

  stopping/mlp-digits-s11     stopping/network-wine-s11
"""

import re
from functools import partial

from bench.search.tasks.data import DATASETS, split
from bench.search.tasks.learners import mlp_recipe, mlp_space
from bench.search.tasks.models import KINDS, network_recipe
from bench.search.tasks.networks import train
from bench.search.tasks.task import Curve, Evaluate, Seen, Task
from bench.search.tasks.training import DRAWS, SEARCH

PATTERN = re.compile(r"stopping/(?P<kind>mlp|network)-(?P<data>[a-z_]+)-s(?P<seed>\d+)")
RECIPES = {"mlp": mlp_recipe, "network": network_recipe}
SPACES = {"mlp": mlp_space, "network": KINDS["network"][0]}
STEPS, RUNS = 25, 40


def task(name: str) -> Task | None:
    """The task of that name, None when it is not of this family."""
    found = PATTERN.fullmatch(name)
    if found is None or found["data"] not in DATASETS:
        return None
    what = (found["kind"], found["data"], int(found["seed"]))
    return Task(
        name=name,
        space=SPACES[found["kind"]](found["data"] == "diabetes"),
        load=partial(load, *what),
        load_curve=partial(load_curve, *what),
        budget=STEPS * RUNS,
        steps=STEPS,
        draws=DRAWS,
        search=SEARCH // 2,
    )


def load_curve(kind: str, data: str, seed: int) -> Curve:
    """Train, telling the loss after every epoch."""
    part = split(data, seed)
    return lambda config: train(RECIPES[kind](config), part, STEPS)


def load(kind: str, data: str, seed: int) -> Evaluate:
    """Train to the end."""
    curve = load_curve(kind, data, seed)
    return lambda config, _: Seen.exactly(list(curve(config))[-1])
