"""Which agents there should be: the controller's decisions, without Ray."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.plan import Held, Retire, Start, Wanted, decide, shares, unplaceable, wanted


def study(name: str = "a", most: int = 2, **resources: float) -> Wanted:
    return Wanted(study=name, name=name, run={}, resources=resources or {"cpu": 1.0}, most=most)


def held(*states: str, of: str = "a") -> list[Held]:
    terms = study().terms
    return [Held(f"{of}{n}", of, state, terms) for n, state in enumerate(states)]


CPUS = {"cpu": 2.0}


@pytest.mark.parametrize(
    ("studies", "agents", "starts", "retires"),
    [
        pytest.param([], [], [], [], id="nothing"),
        pytest.param([study()], [], ["a", "a"], [], id="a new study"),
        pytest.param([study()], held("starting"), ["a"], [], id="one is on its way"),
        pytest.param([study()], held("running", "idle"), [], [], id="all are there"),
        pytest.param([study()], held("running", "retiring"), ["a"], [], id="one is going"),
        pytest.param([study(most=9)], [], ["a", "a"], [], id="no more than fit"),
        pytest.param([study(most=1)], held("running", "idle"), [], ["a1"], id="idle go first"),
        pytest.param(
            [study(most=1)], held("running", "starting"), [], ["a1"], id="starting go first"
        ),
        pytest.param([], held("running", "idle"), [], ["a1", "a0"], id="the study ended"),
        pytest.param([], held("retiring"), [], [], id="told once to go"),
        pytest.param(
            [study("a"), study("b")], held("running", "running"), ["b"], ["a0"], id="fair shares"
        ),
        pytest.param([study(gpu=1.0)], [], [], [], id="there is no gpu"),
        pytest.param([study(cpu=0.5, most=9)], [], ["a"] * 4, [], id="fractions"),
    ],
)
def test_the_decision_table(
    studies: list[Wanted], agents: list[Held], starts: list[str], retires: list[str]
) -> None:
    actions = decide(studies, agents, CPUS)
    assert [a.wanted.study for a in actions if isinstance(a, Start)] == starts
    assert [a.agent for a in actions if isinstance(a, Retire)] == retires


def test_nothing_is_started_for_a_study_that_waits() -> None:
    actions = decide([study("a"), study("b")], [], CPUS, waiting=frozenset({"a"}))
    assert [a.wanted.study for a in actions if isinstance(a, Start)] == ["b"]


def test_a_study_that_is_handed_over_on_other_terms_gets_other_agents() -> None:
    changed = replace(study(), max_seconds=60.0)
    actions = decide([changed], held("running", "idle", "retiring"), CPUS)
    assert actions == [Retire("a0"), Retire("a1"), Start(changed), Start(changed)]


def test_ten_tenths_of_a_gpu_fit_one() -> None:
    assert shares([study(gpu=0.1, most=20)], {"gpu": 1.0}) == {"a": 10}


def test_a_study_that_fits_nowhere_is_named() -> None:
    assert unplaceable([study(gpu=4.0), study("b", cpu=2.0)], CPUS) == [study(gpu=4.0)]


needs = st.builds(
    lambda name, most, cpu: study(name, most, cpu=cpu),
    st.uuids().map(str),
    st.integers(1, 20),
    st.sampled_from([0.25, 0.5, 1.0, 2.0]),
)


@given(st.lists(needs, max_size=6, unique_by=lambda s: s.study), st.floats(0, 16))
def test_shares_fit_and_starve_nobody(studies: list[Wanted], cpus: float) -> None:
    given = shares(studies, {"cpu": cpus})
    used = sum(given[s.study] * s.resources["cpu"] for s in studies)
    assert used <= cpus + 1e-6
    for hungry in studies:
        assert given[hungry.study] <= hungry.most
        # Whoever could use one more finds no room for it.
        if given[hungry.study] < hungry.most:
            assert used + hungry.resources["cpu"] > cpus - 1e-6
            # Nobody who needs as little has two more than one who would take another.
            for other in studies:
                if other.resources["cpu"] >= hungry.resources["cpu"]:
                    assert given[other.study] <= given[hungry.study] + 1


@given(st.lists(needs, max_size=4, unique_by=lambda s: s.study), st.floats(0, 8))
def test_what_was_decided_leaves_nothing_to_decide(studies: list[Wanted], cpus: float) -> None:
    capacity = {"cpu": cpus}
    actions = decide(studies, [], capacity)
    agents = [
        Held(str(n), a.wanted.study, "running", a.wanted.terms)
        for n, a in enumerate(actions)
        if isinstance(a, Start)
    ]
    assert decide(studies, agents, capacity) == []


def listed(budget: int | None = 10, parallel: int = 4, **counts: int) -> dict[str, Any]:
    states = ("queued", "running", "completed", "stopped", "infeasible", "failed", "cancelled")
    return {
        "id": "st_1",
        "name": "digits",
        "budget": {"trials": budget, "hours": None, "target": None},
        "managed": {
            "run": {"kind": "recipe", "name": "torch-classifier", "arguments": {}},
            "resources": {"cpu": 1.0, "gpu": 0.0},
            "parallel": parallel,
            "max_seconds": None,
        },
        "trials": {state: counts.get(state, 0) for state in states},
    }


@pytest.mark.parametrize(
    ("given", "most"),
    [
        (listed(), 4),
        (listed(budget=None, completed=1000), 4),
        (listed(completed=5, failed=3), 2),
        (listed(completed=5, failed=3, running=2), 2),
        (listed(budget=10, completed=20, queued=3), 3),
        # The service says when it is over: until then one agent asks.
        (listed(budget=10, completed=10), 1),
    ],
)
def test_how_many_agents_a_listed_study_can_use(given: dict[str, Any], most: int) -> None:
    found = wanted(given)
    assert found is not None
    assert found.most == most
    assert found.resources == {"cpu": 1.0}


def test_a_study_that_is_not_managed_wants_nobody() -> None:
    assert wanted({**listed(), "managed": None}) is None
