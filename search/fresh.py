"""Picking configs that nobody has tried, and noticing when there are none left."""

from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np

from search.encoding import config_key
from search.searcher import Batch, History, Memo, Suggestion
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
    if not count:
        return []
    stops = walk(space, points=len(seen) + count + 1)
    free = list(islice(_fresh(stops, seen), max(count, LEFTOVERS)))
    picks = rng.permutation(len(free))[:count]
    return [free[pick] for pick in picks]


def topped_up(
    history: History, found: Iterable[Suggestion], count: int, memo: Memo | None
) -> Batch:
    """The batch, with what the space has left where it is too nearly used up to search."""
    seen = taken_keys(history)
    fresh = take_fresh(found, seen, count)
    rest = leftovers(history.problem.space, seen, count - len(fresh), history.rng())
    origin = {"by": "random", "because": "few untried configs are left"}
    fresh += [Suggestion(config=config, origin=origin) for config in rest]
    return Batch(suggestions=fresh, memo=memo, exhausted=len(fresh) < count)


def _fresh(configs: Iterator[dict[str, Value]], seen: set[str]) -> Iterator[dict[str, Value]]:
    return (config for config in configs if config_key(config) not in seen)
