"""Permutations: orders and their ranks, distances, neighbours, densities, and searching them."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from search.candidates import Candidates
from search.encoding import Cube, config_key, decode, encode
from search.errors import InvalidConfig, InvalidSpace
from search.orders import blended, neighbours, pairs, ranked, unranked
from search.parameters import ChoiceParameter, Condition, FloatParameter, PermutationParameter
from search.problem import Objective, Problem
from search.scales import Permutations
from search.searcher import History
from search.searchers.gp import GP
from search.searchers.phased import Phased
from search.searchers.random import Random
from search.searchers.sobol import Sobol
from search.searchers.tpe import TPE
from search.space import SearchSpace
from search.tpe.mallows import Mallows
from search.trial import Trial, TrialState

ORDER = PermutationParameter(name="order", items=("a", 1, True, None, 2.5))


def space(*parameters):
    return SearchSpace(parameters=parameters)


def kendall(a, b):
    """The pairs that two orders have the other way round, counted one by one."""
    return sum(
        (a.index(x) < a.index(y)) != (b.index(x) < b.index(y))
        for x, y in itertools.combinations(range(len(a)), 2)
    )


orders = st.integers(2, 12).flatmap(lambda n: st.permutations(range(n)))


@pytest.mark.parametrize("count", [2, 3, 5])
def test_ranks_are_places_in_the_lexicographic_order(count):
    every = np.array(list(itertools.permutations(range(count))))
    np.testing.assert_array_equal(ranked(every), np.arange(math.factorial(count)))
    np.testing.assert_array_equal(unranked(np.arange(len(every)), count), every)


@given(orders)
def test_orders_survive_the_way_to_a_rank_and_back(order):
    rank = ranked(np.array([order]))
    assert 0 <= rank[0] < math.factorial(len(order))
    assert unranked(rank, len(order)).tolist() == [order]


@given(orders, st.randoms(use_true_random=False))
def test_pairs_differ_as_often_as_two_orders_do(order, random):
    other = random.sample(order, len(order))
    found = pairs(np.array([order, other]))
    assert (found[0] != found[1]).sum() == kendall(order, other)


@given(orders, st.integers(1, 11), st.integers(0, 2**32))
def test_neighbours_have_one_item_moved_or_two_swapped(order, reach, seed):
    reach = min(reach, len(order) - 1)
    rng = np.random.default_rng(seed)
    for found in neighbours(np.array([order] * 20), np.full(20, reach), rng).tolist():
        assert sorted(found) == sorted(order)
        moved = [
            [*rest[:at], item, *rest[at:]]
            for item in order
            for rest in [[other for other in order if other != item]]
            for at in (order.index(item) - reach, order.index(item) + reach)
            if 0 <= at < len(order)
        ]
        differing = [k for k, (a, b) in enumerate(zip(order, found, strict=True)) if a != b]
        swapped = len(differing) == 2 and differing[1] - differing[0] == reach
        assert swapped or found in moved
        assert kendall(order, found) in (reach, 2 * reach - 1)


@given(orders, st.randoms(use_true_random=False), st.integers(0, 2**32))
def test_an_order_from_two_keeps_what_they_agree_on(order, random, seed):
    other = random.sample(order, len(order))
    parents = np.array([order, other])
    firsts, seconds = np.repeat(parents[:1], 50, axis=0), np.repeat(parents[1:], 50, axis=0)
    children = blended(firsts, seconds, np.random.default_rng(seed))
    np.testing.assert_array_equal(np.sort(children), np.sort(firsts))
    first, second = pairs(parents)
    agreed = first == second
    assert (pairs(children)[:, agreed] == first[agreed]).all()


def test_an_order_from_two_has_about_as_much_of_either():
    rng = np.random.default_rng(0)
    firsts = np.tile(np.arange(8), (4000, 1))
    children = blended(firsts, firsts[:, ::-1].copy(), rng)
    assert pairs(children).mean() == pytest.approx(0.5, abs=0.01)
    assert len(np.unique(children, axis=0)) == 2**7  # at either end of what is left, every time


def test_every_neighbour_is_met():
    order = np.tile(np.arange(4), (2000, 1))
    found = neighbours(order, np.full(2000, 1), np.random.default_rng(0))
    assert len(np.unique(found, axis=0)) == 3
    far = neighbours(order, np.full(2000, 2), np.random.default_rng(0))
    assert len(np.unique(far, axis=0)) == 2 + 4


@given(orders, st.booleans())
def test_a_config_survives_the_unit_cube(order, bare):
    items = order if bare else [f"item {k}" for k in order]
    made = space(PermutationParameter(name="order", items=sorted(items)))
    assert decode(made, encode(made, {"order": items})) == {"order": items}


def test_every_order_of_twelve_items_has_a_cell_of_its_own():
    made = space(PermutationParameter(name="order", items=range(12)))
    scale = Cube(made).scales[0]
    assert scale.count == math.factorial(12)
    for level in (0, 1, 123_456_789, scale.count - 2, scale.count - 1):
        assert scale.level(scale.centre(level)) == level
        assert scale.level_of(scale.value_at(level)) == level


@given(orders, st.randoms(use_true_random=False))
def test_the_squared_distance_of_two_orders_is_the_part_of_the_pairs_that_differ(order, random):
    other = random.sample(order, len(order))
    cube = Cube(space(PermutationParameter(name="order", items=range(len(order)))))
    found = cube.features(cube.encode([{"order": order}, {"order": other}]))
    count = math.comb(len(order), 2)
    assert found.shape == (2, count) == (2, len(cube.owners))
    distance = ((found[0] - found[1]) ** 2).sum()
    assert distance == pytest.approx(kendall(order, other) / count)


def test_an_order_and_its_reverse_are_one_apart_and_an_inactive_one_is_one_from_all():
    when = [Condition(parameter="on", values=[True])]
    switch = ChoiceParameter(name="on", choices=(True, False))
    cube = Cube(space(switch, PermutationParameter(name="o", items="abcd", when=when)))
    configs = [{"on": True, "o": list(o)} for o in ("abcd", "dcba", "badc")] + [{"on": False}]
    X = cube.features(cube.encode(configs))[:, np.array(cube.owners) == 1]
    apart = ((X[:, None] - X[None]) ** 2).sum(axis=2)
    np.testing.assert_allclose(apart[0], [0, 1, 2 / 6, 1])
    np.testing.assert_allclose(apart[3], [1, 1, 1, 0])


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (["a", 1, True, None], "without 2.5"),
        (["a", 1, True, None, 2.5, "a"], "with 'a' repeated"),
        (["a", 1, True, None, None], "with None repeated|without 2.5"),
        (["a", 1, True, None, 3], "with 3, which is no item"),
        (["a", 1, 1, None, 2.5], "repeated|without True"),
        ([["a"], 1, True, None, 2.5], "which is no item"),
        ("a", "expected a list of each of"),
        (None, "expected a list of each of"),
        ({"a": 1}, "expected a list of each of"),
    ],
)
def test_what_is_no_order_of_the_items_is_refused(value, message):
    with pytest.raises(InvalidConfig, match=message) as refused:
        space(ORDER).check({"order": value})
    assert refused.value.parameter == "order"


def test_a_config_holds_the_items_as_the_parameter_does():
    checked = space(ORDER).check({"order": (True, 1.0, None, 2.5, "a")})
    assert checked == {"order": [True, 1, None, 2.5, "a"]}
    assert [type(item) for item in checked["order"]] == [bool, int, type(None), float, str]
    swapped = {"order": [1, True, None, 2.5, "a"]}
    assert config_key(checked) != config_key(swapped)
    assert config_key({"order": [1.0, 2]}) == config_key({"order": [1, 2.0]})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PermutationParameter(name="o", items=["a"]), "2 to 12 items, got 1"),
        (lambda: PermutationParameter(name="o", items=range(13)), "2 to 12 items, got 13"),
        (lambda: PermutationParameter(name="o", items=["a", "a"]), "item 'a' is given twice"),
        (lambda: PermutationParameter(name="o", items=[1, math.inf]), "item must be finite"),
        (lambda: PermutationParameter(name="o", items="ab", default="a"), "expected a list"),
        (
            lambda: space(
                ORDER,
                FloatParameter(
                    name="x", low=0, high=1, when=[Condition(parameter="order", values=["a"])]
                ),
            ),
            "'order' is a permutation",
        ),
    ],
)
def test_permutations_that_cannot_be_searched_are_refused(make, message):
    with pytest.raises((InvalidSpace, InvalidConfig), match=message):
        make()


def test_a_space_with_a_default_order_is_read_back_as_it_was():
    made = space(PermutationParameter(name="o", items="abc", default=["c", "a", "b"]))
    assert made.defaults() == {"o": ["c", "a", "b"]}
    adapter = TypeAdapter(SearchSpace)
    assert adapter.validate_json(adapter.dump_json(made)) == made
    assert adapter.dump_python(made, mode="json")["parameters"][0]["items"] == ["a", "b", "c"]


def test_mutations_are_neighbours_of_their_parents():
    cube = Cube(space(PermutationParameter(name="o", items=range(8))))
    candidates = Candidates(cube, cube.encode([]), np.random.default_rng(0))
    parents = cube.snap(candidates.uniform(10))
    children = candidates.mutations(parents, 100, 0.05)
    scale = cube.scales[0]
    assert isinstance(scale, Permutations)
    mothers = scale.orders(parents[:, 0]).tolist()
    far = [
        kendall(mothers[place // 100], child)
        for place, child in enumerate(scale.orders(children[:, 0]).tolist())
    ]
    assert min(far) == 1
    assert np.mean(np.array(far) == 1) > 0.9


def mallows(observed):
    scale = Cube(space(PermutationParameter(name="o", items="abcd"))).scales[0]
    return scale, Mallows.of(scale, scale.centres(np.array(observed)))


def test_the_masses_of_all_orders_add_up_to_one_and_fall_with_distance():
    observed = [[0, 1, 2, 3], [0, 1, 3, 2], [3, 2, 1, 0]]
    scale, kernel = mallows(observed)
    every = unranked(np.arange(24), 4)
    log_mass = kernel.log_density(scale.centres(every))
    np.testing.assert_allclose(np.exp(log_mass).sum(axis=0), 1.0)
    np.testing.assert_allclose(log_mass[:, 3], -math.log(24))
    for k, centre in enumerate(observed):
        far = np.array([kendall(centre, order) for order in every.tolist()])
        fall = log_mass[far == 0, k] - kernel.spreads[k] * far
        np.testing.assert_allclose(log_mass[:, k], fall)
        # As wide as the nearest other is far away: here 1 pair and 5, kept to 6 / 5 and 6 / 4.
        assert np.exp(log_mass[:, k]) @ far == pytest.approx([1.2, 1.2, 1.5][k], abs=0.01)


def test_orders_are_drawn_as_often_as_their_mass_says():
    scale, kernel = mallows([[2, 0, 3, 1], [2, 0, 1, 3]])
    levels = scale.level(kernel.draw(np.zeros(60_000, dtype=int), np.random.default_rng(0)))
    shares = np.bincount(levels.astype(int), minlength=24) / 60_000
    mass = np.exp(kernel.log_density(scale.centre(np.arange(24))))[:, 0]
    np.testing.assert_allclose(shares, mass, atol=0.006)


ITEMS = ("load", "clean", "split", "scale", "fit", "check", "save")
WEIGHTS = np.random.default_rng(5).random((7, 7)) + 0.2


def misplaced(config):
    """The weights of the pairs that stand in the wrong order: 0 for ITEMS as they are."""
    order = [ITEMS.index(item) for item in config["order"]]
    wrong = [(a, b) for b, a in itertools.combinations(order, 2) if a < b]
    return float(sum(WEIGHTS[pair] for pair in wrong))


def best_of(searcher, seed, count):
    study = Problem(
        space=space(PermutationParameter(name="order", items=sorted(ITEMS))),
        objectives=[Objective(metric="loss")],
        seed=seed,
    )
    trials = []
    for number in range(count):
        history = History(problem=study, trials=trials, batch=number)
        (made,) = searcher.suggest(history, 1).suggestions
        values = {"loss": misplaced(made.config)}
        trials.append(
            Trial(
                number=number,
                config=made.config,
                state=TrialState.COMPLETED,
                values=values,
                origin=made.origin,
            )
        )
    return min(trial.values["loss"] for trial in trials)


def test_models_sort_better_than_chance():
    gp = Phased(first=Sobol(), then=GP(candidates=600), after=10)
    found = {
        searcher.kind_of(): np.mean([best_of(searcher, seed, 35) for seed in range(3)])
        for searcher in (gp, TPE(), Random())
    }
    assert found["phased"] < 0.2 * found["random"]
    assert found["tpe"] < 0.8 * found["random"]
