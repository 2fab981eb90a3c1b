"""Spaces against the unit cube, both ways."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.encoding import INACTIVE, Cube, config_key, decode, encode
from search.errors import InvalidSpace
from search.parameters import ChoiceParameter, Condition, FloatParameter, IntParameter
from search.space import SearchSpace
from tests.contracts.spaces import SPACES, TINY, space, spaces


def one(parameter):
    return SearchSpace(parameters=[parameter])


def rows(cube, count, seed=0):
    return np.random.default_rng(seed).random((count, cube.width))


@given(spaces(), st.data())
def test_every_row_is_a_legal_config_as_it_stands(space, data):
    width = len(space.parameters)
    row = data.draw(st.lists(st.floats(0, 1), min_size=width, max_size=width))
    config = decode(space, row)
    checked = space.check(config)
    assert checked == config
    assert [type(v) for v in checked.values()] == [type(v) for v in config.values()]


@given(spaces(), st.data())
def test_configs_survive_the_way_there_and_back(space, data):
    width = len(space.parameters)
    row = data.draw(st.lists(st.floats(0, 1), min_size=width, max_size=width))
    config = decode(space, row)
    back = decode(space, encode(space, config))
    assert back.keys() == config.keys()
    for name, value in config.items():
        if isinstance(value, float):
            assert back[name] == pytest.approx(value, rel=1e-9, abs=1e-9)
        else:
            assert back[name] == value


@given(spaces(), st.integers(0, 2**32))
def test_snapping_many_rows_agrees_with_encoding_each_config(space, seed):
    cube = Cube(space)
    points = rows(cube, 20, seed)
    encoded = cube.encode(cube.decode(row) for row in points)
    np.testing.assert_allclose(cube.snap(points), encoded, atol=1e-9)


@pytest.mark.parametrize("name", [*SPACES, *TINY])
def test_snapping_twice_changes_nothing_and_keeps_the_config(name):
    cube = Cube(space(name))
    points = rows(cube, 300)
    snapped = cube.snap(points)
    np.testing.assert_array_equal(cube.snap(snapped), snapped)
    for point, moved in zip(points, snapped, strict=True):
        a, b = cube.decode(point), cube.decode(moved)
        assert a.keys() == b.keys()
        assert all(a[k] == pytest.approx(b[k]) if type(a[k]) is float else a[k] == b[k] for k in a)


def test_inactive_parameters_are_absent_and_their_coordinates_are_filled():
    cube = Cube(space("nested"))
    snapped = cube.snap(rows(cube, 200))
    for row, active in zip(snapped, cube.active(snapped), strict=True):
        config = cube.decode(row)
        names = [p.name for p in cube.space.parameters]
        assert [name in config for name in names] == list(active)
        assert all(row[~active] == INACTIVE)


@pytest.mark.parametrize(("low", "high"), [(1, 2), (1, 10), (3, 50), (100, 130)])
def test_each_whole_number_on_a_log_scale_gets_its_share(low, high):
    u = (np.arange(200_000) + 0.5) / 200_000
    cube = Cube(one(IntParameter(name="n", low=low, high=high, log=True)))
    values = np.array([cube.decode([x])["n"] for x in u[::20]])
    length = math.log((high + 0.5) / (low - 0.5))
    for v in range(low, high + 1):
        share = math.log((v + 0.5) / (v - 0.5)) / length
        assert np.mean(values == v) == pytest.approx(share, abs=2.5e-4)


@pytest.mark.parametrize(
    "parameter",
    [
        IntParameter(name="p", low=-3, high=3),
        IntParameter(name="p", low=0, high=20, step=3),
        FloatParameter(name="p", low=0.1, high=0.7, step=0.1),
        ChoiceParameter(name="p", choices=(True, 1, "1", None)),
    ],
    ids=lambda p: p.kind,
)
def test_levels_get_cells_of_equal_width(parameter):
    cube = Cube(one(parameter))
    count = cube.scales[0].count
    u = (np.arange(count * 100) + 0.5) / (count * 100)
    keys = [config_key(cube.decode([x])) for x in u]
    assert len(set(keys)) == count
    assert all(keys.count(key) == 100 for key in keys)


def test_both_ends_are_reached():
    for parameter in (
        FloatParameter(name="p", low=0.1, high=0.7),
        FloatParameter(name="p", low=1e-5, high=0.3, log=True),
        FloatParameter(name="p", low=0.1, high=0.7, step=0.2),
        IntParameter(name="p", low=1, high=1000, log=True),
    ):
        assert decode(one(parameter), [0.0])["p"] == parameter.low
        assert decode(one(parameter), [1.0])["p"] == parameter.high


def test_a_step_that_misses_high_never_reaches_it():
    space = one(FloatParameter(name="p", low=0, high=1, step=0.6))
    assert {decode(space, [u])["p"] for u in np.linspace(0, 1, 50)} == {0.0, 0.6}
    with pytest.raises(ValueError, match="multiple of"):
        space.check({"p": 1.0})


def test_a_float_that_never_varies_is_one_level():
    assert decode(one(FloatParameter(name="p", low=2, high=2)), [0.3]) == {"p": 2.0}


def test_choices_are_one_apart_and_numbers_by_their_scale():
    cube = Cube(
        SearchSpace(
            parameters=[
                ChoiceParameter(name="c", choices=("a", "b", "c")),
                ChoiceParameter(name="rank", choices=(1, 10, 100), ordered=True),
                FloatParameter(
                    name="x", low=0, high=10, when=[Condition(parameter="c", values="a")]
                ),
                ChoiceParameter(
                    name="only-b", choices=(1, 2), when=[Condition(parameter="c", values="b")]
                ),
                ChoiceParameter(name="fixed", choices=(0,)),
            ]
        )
    )
    configs = [
        {"c": "a", "rank": 1, "x": 2.0, "fixed": 0},
        {"c": "a", "rank": 100, "x": 4.5, "fixed": 0},
        {"c": "b", "rank": 1, "only-b": 2, "fixed": 0},
        {"c": "c", "rank": 1, "fixed": 0},
    ]
    X = cube.features(cube.encode(configs))
    assert X.shape == (4, len(cube.owners)) == (4, 3 + 1 + 1 + 3)

    def apart(i, j):
        squares = (X[i] - X[j]) ** 2
        owners = np.array(cube.owners)
        return [squares[owners == k].sum() for k in range(4)]

    np.testing.assert_allclose(apart(0, 1), [0, (2 / 3) ** 2, 0.25**2, 0])
    np.testing.assert_allclose(apart(2, 3), [1, 0, 0, 1])
    np.testing.assert_allclose(apart(0, 3), [1, 0, (0.2 - INACTIVE) ** 2, 0])


def test_equal_configs_have_equal_keys_and_true_is_not_one():
    assert config_key({"b": 1, "a": 2.0}) == config_key({"a": 2, "b": 1.0})
    assert config_key({"a": True}) != config_key({"a": 1})
    assert config_key({"a": "1"}) != config_key({"a": 1})


@pytest.mark.parametrize(
    ("low", "high", "log"),
    [(0.0, 5e-324, False), (1.0, 1.0 + 1e-9, False), (1e9, 1e9 * (1 + 1e-9), True)],
)
def test_a_range_of_hardly_any_floats_is_refused(low, high, log):
    with pytest.raises(InvalidSpace, match="x: low and high are so close"):
        FloatParameter(name="x", low=low, high=high, log=log)
    assert FloatParameter(name="x", low=low, high=low or 1.0, log=log)
