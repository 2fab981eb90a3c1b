"""Walking through every config, counting them, and finding the last ones."""

from itertools import islice

import numpy as np
import pytest
from hypothesis import given

from search.encoding import Cube, config_key
from search.errors import InvalidSpace
from search.fresh import leftovers
from search.parameters import ChoiceParameter, Condition, FloatParameter, IntParameter
from search.space import SearchSpace
from search.walk import MAX_COUNTED, size, walk
from tests.contracts.spaces import TINY, TINY_SIZES, space, spaces


@pytest.mark.parametrize("name", TINY)
def test_a_walk_meets_every_config_once(name):
    keys = [config_key(config) for config in walk(space(name))]
    assert len(keys) == len(set(keys)) == size(space(name)) == TINY_SIZES[name]
    cube = Cube(space(name))
    drawn = {
        config_key(cube.decode(row)) for row in np.random.default_rng(0).random((500, cube.width))
    }
    assert drawn == set(keys)


@given(spaces())
def test_a_walk_gives_legal_configs_without_repeats(space):
    configs = list(islice(walk(space, points=3), 200))
    assert all(space.check(config) == config for config in configs)
    assert len({config_key(config) for config in configs}) == len(configs)


def test_an_endless_space_cannot_be_walked_or_counted():
    with pytest.raises(InvalidSpace):
        walk(space("float"))
    assert size(space("float")) is None


def test_sizes_are_products_or_counts():
    wide = [IntParameter(name=f"n{k}", low=1, high=1000) for k in range(30)]
    assert size(SearchSpace(parameters=wide)) == 1000**30
    switch = ChoiceParameter(name="on", choices=(True, False))
    when = [Condition(parameter="on", values=[True])]
    child = IntParameter(name="n", low=1, high=MAX_COUNTED - 1, when=when)
    assert size(SearchSpace(parameters=[switch, child])) == MAX_COUNTED
    child = IntParameter(name="n", low=1, high=MAX_COUNTED, when=when)
    assert size(SearchSpace(parameters=[switch, child])) is None


def test_leftovers_finds_the_last_config_and_then_none():
    rng = np.random.default_rng(0)
    configs = list(walk(space("tiny nested")))
    seen = {config_key(config) for config in configs[:2] + configs[3:]}
    assert leftovers(space("tiny nested"), seen, 3, rng) == [configs[2]]
    seen.add(config_key(configs[2]))
    assert leftovers(space("tiny nested"), seen, 3, rng) == []


def test_a_continuous_branch_always_has_another_config():
    when = [Condition(parameter="c", values=["b"])]
    mostly = SearchSpace(
        parameters=[
            ChoiceParameter(name="c", choices=("a", "b")),
            FloatParameter(name="x", low=0, high=1, when=when),
        ]
    )
    seen: set[str] = set()
    rng = np.random.default_rng(0)
    for _ in range(50):
        (config,) = leftovers(mostly, seen, 1, rng)
        key = config_key(config)
        assert key not in seen
        seen.add(key)
