"""Where an acquisition is searched for its maximum: legal rows that nobody has tried."""

import numpy as np
import pytest

from search.candidates import Candidates
from search.encoding import Cube, config_key
from tests.contracts.spaces import SPACES, space


@pytest.mark.parametrize("name", SPACES)
def test_mutations_are_configs_that_differ_from_their_parents(name):
    cube = Cube(space(name))
    candidates = Candidates(cube, cube.encode([]), np.random.default_rng(0))
    parents = cube.snap(candidates.uniform(20))
    children = cube.snap(candidates.mutations(parents, 30, 0.1))
    for place, child in enumerate(children):
        config = cube.decode(child)
        assert cube.space.check(config) == config
        assert config_key(config) != config_key(cube.decode(parents[place // 30]))


def test_what_a_mutation_makes_active_is_drawn_from_its_whole_scale():
    cube = Cube(space("nested"))
    candidates = Candidates(cube, cube.encode([]), np.random.default_rng(0))
    parent = cube.encode([{"optimizer": "adamw", "lr": 0.1, "layers": 1}])
    children = [cube.decode(row) for row in cube.snap(candidates.mutations(parent, 4000, 0.1))]
    momenta = [c["momentum"] for c in children if "momentum" in c]
    counts, _ = np.histogram(momenta, bins=4, range=(0, 0.99))
    assert counts.min() > 0.7 * counts.mean()


def test_taken_configs_and_repeats_are_left_out():
    cube = Cube(space("step"))
    taken = [{"dropout": 0.3, "units": 16}]
    candidates = Candidates(cube, cube.encode(taken), np.random.default_rng(0))
    rows = cube.encode([*taken, {"dropout": 0.4, "units": 32}, {"dropout": 0.4, "units": 32}])
    assert len(candidates.untried(rows)) == 1
    candidates.take(rows[1])
    assert len(candidates.untried(rows)) == 0


def test_the_best_untried_rows_come_without_repeats_and_in_order():
    cube = Cube(space("step"))
    configs = [{"dropout": 0.1 * k, "units": 16} for k in range(10)]
    rows = cube.encode([*configs, *configs])
    candidates = Candidates(cube, cube.encode([configs[9], configs[4]]), np.random.default_rng(0))
    values = np.tile(np.arange(10.0), 2)
    found = candidates.best_untried(rows, values, 4)
    assert [place % 10 for place in found] == [8, 7, 6, 5]
    assert len(candidates.best_untried(rows, values, 100)) == 8
    candidates.take(rows[8])
    assert candidates.best_untried(rows, values, 1)[0] % 10 == 7
