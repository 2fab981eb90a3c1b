"""Picking configs that nobody has tried, and noticing when there are none left."""

from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np

from search.encoding import config_key
from search.searcher import History, Suggestion
from search.space import SearchSpace
from search.values import Value
from search.walk import walk

LEFTOVERS = 1024


def taken_keys(history: History) -> set[str]:
    """The keys of every config that must not be suggested again."""
    return {config_key(config) for config in history.taken()}


def take_fresh(proposals: Iterable[Suggestion], seen: set[str], count: int) -> list[Suggestion]:
    """The first `count` proposals whose config is not in `seen`, which grows by theirs."""
    fresh: list[Suggestion] = []
    for proposal in proposals:
        if len(fresh) == count:
            break
        key = config_key(proposal.config)
        if key not in seen:
            seen.add(key)
            fresh.append(proposal)
    return fresh


def patience(count: int) -> int:
    """How many draws to try for `count` fresh configs before walking through the space instead."""
    return 256 + 16 * count


def leftovers(
    space: SearchSpace, seen: set[str], count: int, rng: np.random.Generator
) -> list[dict[str, Value]]:
    """`count` configs not in `seen`, found by walking; fewer mean that the space holds no others.

    Drawn at random among the first LEFTOVERS that the walk meets.  Since the walk has more stops
    than `seen` has keys, only a space without a fresh config comes back short.
    """
    stops = walk(space, points=len(seen) + count + 1)
    free = list(islice(_fresh(stops, seen), max(count, LEFTOVERS)))
    picks = rng.permutation(len(free))[:count]
    return [free[pick] for pick in picks]


def _fresh(configs: Iterator[dict[str, Value]], seen: set[str]) -> Iterator[dict[str, Value]]:
    return (config for config in configs if config_key(config) not in seen)
