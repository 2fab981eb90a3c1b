"""Comparing each trial with those of its own context.

That one context is easier than another is nobody's merit: a parameter that was tried elsewhere in
each would seem to matter, and a model that tells them apart would seem to know more than it does.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from search.outcomes import Lesson
from search.scales import Floats
from search.values import canonical_json

Groups = npt.NDArray[np.intp]  # of each trial, the place of its context among those that occur


def contexts_of(taught: Sequence[Lesson]) -> Groups:
    """The context of each lesson; all in one where a study has none."""
    keys = [canonical_json(lesson.context) for lesson in taught]
    place = {key: k for k, key in enumerate(dict.fromkeys(keys))}
    return np.array([place[key] for key in keys], dtype=np.intp)


def in_company(groups: Groups) -> npt.NDArray[np.bool_]:
    """Which trials have another in their context to be compared with."""
    found: npt.NDArray[np.bool_] = np.bincount(groups)[groups] > 1 if len(groups) else groups > 1
    return found


def quantiles(values: Floats, groups: Groups) -> Floats:
    """How far up each value is among those of its group, between 0 and 1; ties share."""
    found = np.empty(len(values))
    for group in range(_count(groups)):
        own = groups == group
        found[own] = (rankdata(values[own]) - 0.5) / own.sum()
    return found


def variance(values: Floats, groups: Groups) -> float:
    """About the mean of each group, pooled (the mean square within groups); 0 if all are alone."""
    if not len(values):
        return 0.0
    sizes = np.bincount(groups)
    means = np.bincount(groups, values) / np.maximum(sizes, 1)
    free = len(values) - int(np.sum(sizes > 0))
    return float(np.square(values - means[groups]).sum()) / free if free else 0.0


def differ(values: Floats, groups: Groups) -> bool:
    """Whether any two values of one group do."""
    return any(np.ptp(values[groups == group]) != 0.0 for group in set(groups.tolist()))


def _count(groups: Groups) -> int:
    return int(groups.max()) + 1 if len(groups) else 0
