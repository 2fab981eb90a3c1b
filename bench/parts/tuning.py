"""The tuning problem that both sides run: eight parameters, a loss, ten steps.

The loss falls with the wall clock, the same for both sides: a trial that begins later is better at
every step than those before it, and everything the studies are filled with is worse.  So neither
side's median rule ever stops a trial, and every trial of either side is ten reports long.
"""

import math
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass

STEPS = 10
METRIC = "loss"


@dataclass(frozen=True)
class Number:
    """A float or whole parameter."""

    name: str
    low: float
    high: float
    log: bool = False
    whole: bool = False


@dataclass(frozen=True)
class Choice:
    """One of several values."""

    name: str
    choices: tuple[str | int, ...]


SPACE: tuple[Number | Choice, ...] = (
    Number("lr", 1e-5, 1e-1, log=True),
    Number("weight_decay", 1e-6, 1e-2, log=True),
    Number("dropout", 0.0, 0.6),
    Number("momentum", 0.0, 0.99),
    Number("width", 16, 512, log=True, whole=True),
    Number("depth", 1, 8, whole=True),
    Choice("batch_size", (16, 32, 64, 128)),
    Choice("optimizer", ("adamw", "sgd", "nadam", "rmsprop", "adafactor")),
)


@dataclass(frozen=True)
class FilledTrial:
    """A finished trial that a study is filled with."""

    config: dict[str, float | int | str]
    losses: tuple[float, ...]  # at steps 0, 1, ...


def filling(count: int, seed: int) -> Iterator[FilledTrial]:
    """`count` finished trials, the same for the same seed."""
    rng = random.Random(seed)
    for _ in range(count):
        level = rng.uniform(2.0, 3.0)
        yield FilledTrial(
            config={parameter.name: _draw(parameter, rng) for parameter in SPACE},
            losses=tuple(loss_at(level, step) for step in range(STEPS)),
        )


def loss_at(level: float, step: int) -> float:
    """A learning curve that ends near `level`."""
    return level * (1 + 0.5 / (step + 1))


def level_now(epoch: float) -> float:
    """The level of a trial that begins now: below 1, and falling with the time since `epoch`."""
    return 1 / (1 + max(0.0, time.time() - epoch))


def _draw(parameter: Number | Choice, rng: random.Random) -> float | int | str:
    if isinstance(parameter, Choice):
        return rng.choice(parameter.choices)
    if parameter.log:
        value = math.exp(rng.uniform(math.log(parameter.low), math.log(parameter.high)))
    else:
        value = rng.uniform(parameter.low, parameter.high)
    value = min(parameter.high, max(parameter.low, value))
    return round(value) if parameter.whole else value
