"""What a suggestion of a model says of itself: the keys that mean the same for every searcher."""

import math
from collections.abc import Mapping

from search.searcher import History
from search.values import JSON


def origin_of(
    by: str,
    history: History,
    numbers: Mapping[str, float],
    *,
    model_trials: int,
    nearest: int | None,
    loss: float | None = None,
) -> dict[str, JSON]:
    """Who proposes a config, the numbers that say why, and what they rest on.

    `seen` is how many results the batch knew, `model_trials` of how many trials the model is made,
    `nearest` the number of the one that is most like the config.  The expected loss is told as the
    `mean` of the first objective.  Numbers that are not finite are left out.
    """
    told = dict(numbers)
    if loss is not None:
        told["mean"] = history.problem.objectives[0].value(loss)
    origin: dict[str, JSON] = {"by": by, **finite(told)}
    origin |= {"seen": history.seen, "model_trials": model_trials}
    return origin if nearest is None else {**origin, "nearest": nearest}


def finite(numbers: Mapping[str, float]) -> dict[str, JSON]:
    """Those that JSON can hold."""
    return {name: value for name, value in numbers.items() if math.isfinite(value)}
