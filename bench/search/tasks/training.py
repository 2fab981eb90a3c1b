"""Training one learner on one of scikit-learn's data sets, split by a seed.

training/forest-digits-s11
"""

import re
from functools import partial

from bench.search.tasks.data import DATASETS, split
from bench.search.tasks.learners import LEARNERS
from bench.search.tasks.task import Evaluate, Seen, Task

PATTERN = re.compile(r"training/(?P<learner>[a-z]+)-(?P<data>[a-z_]+)-s(?P<seed>\d+)")
DRAWS, SEARCH = 400, 300  # a training takes 5 to 100 ms


def task(name: str) -> Task | None:
    """The task of that name, None when it is not of this family."""
    found = PATTERN.fullmatch(name)
    if found is None or found["learner"] not in LEARNERS or found["data"] not in DATASETS:
        return None
    learner = LEARNERS[found["learner"]]
    return Task(
        name=name,
        space=learner.space(found["data"] == "diabetes"),
        load=partial(load, found["learner"], found["data"], int(found["seed"])),
        draws=DRAWS,
        search=SEARCH,
    )


def load(learner: str, data: str, seed: int) -> Evaluate:
    """Train and judge."""
    part = split(data, seed)
    return lambda config, _: Seen.exactly(LEARNERS[learner].loss(config, part))
