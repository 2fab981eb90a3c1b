"""The controller against a cluster and a service that do as they are told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from trimtab.errors import ConnectionFailed

from workers.agent import Status
from workers.backoff import MOST_SECONDS, Backoff
from workers.cluster import Seen
from workers.controller import Controller
from workers.errors import ClusterFailed
from workers.settings import AgentOrder, FleetSettings

STATES = ("queued", "running", "completed", "stopped", "infeasible", "failed", "cancelled")


def listed(study: str = "st_1", parallel: int = 2, **changes: Any) -> dict[str, Any]:
    managed = {
        "run": {"kind": "program", "path": "train.py:main"},
        "resources": {"cpu": 1.0},
        "parallel": parallel,
        "max_seconds": None,
    }
    return {
        "id": study,
        "name": f"name of {study}",
        "budget": {"trials": None, "hours": None, "target": None},
        "trials": dict.fromkeys(STATES, 0),
        "managed": managed | changes,
    }


@dataclass
class Service:
    studies: list[dict[str, Any]] = field(default_factory=list)
    away: bool = False
    beats: list[Mapping[str, Any]] = field(default_factory=list)

    def active_studies(self) -> Sequence[Mapping[str, Any]]:
        if self.away:
            raise ConnectionFailed("no server")
        return self.studies

    def beat(self, body: Mapping[str, Any]) -> None:
        if self.away:
            raise ConnectionFailed("no server")
        self.beats.append(body)


@dataclass
class PaperCluster:
    cpus: float = 2.0
    broken: bool = False
    running: bool = False
    seen: dict[str, Seen] = field(default_factory=dict)
    orders: dict[str, AgentOrder] = field(default_factory=dict)
    retired: list[str] = field(default_factory=list)
    closed: bool = False

    def open(self) -> None:
        if self.broken:
            raise ClusterFailed("no Ray today")
        self.running = True

    def capacity(self) -> dict[str, float]:
        return {"cpu": self.cpus} if self.running else {}

    def start(self, order: AgentOrder, resources: Mapping[str, float]) -> None:
        self.orders[order.name] = order
        self.seen[order.name] = Seen()

    def poll(self) -> dict[str, Seen]:
        return dict(self.seen)

    def retire(self, name: str) -> None:
        self.retired.append(name)
        if self.seen[name].status is None:
            self.discard(name)

    def discard(self, name: str) -> None:
        del self.seen[name]

    def close(self, reason: str, *, within: float) -> None:
        self.closed = True


@dataclass
class World:
    service: Service = field(default_factory=Service)
    cluster: PaperCluster = field(default_factory=PaperCluster)
    now: float = 0.0

    def __post_init__(self) -> None:
        settings = FleetSettings(name="fleet", url="http://server", key="k", logs="/logs")
        self.controller = Controller(self.service, self.cluster, settings, clock=lambda: self.now)

    def tick(self, seconds: float = 0.0) -> list[str]:
        """Time passes and the controller looks; the agents that there are then."""
        self.now += seconds
        self.controller.tick()
        return sorted(self.cluster.seen)

    def becomes(self, status: Status | None = None, dead: str | None = None) -> None:
        self.cluster.seen = dict.fromkeys(self.cluster.seen, Seen(status, dead))


@pytest.fixture
def world() -> World:
    return World()


def test_ray_is_started_for_the_first_managed_study_only(world: World) -> None:
    world.service.studies = [{**listed(), "managed": None}]
    world.tick()
    assert not world.cluster.running
    assert world.service.beats[0]["resources"] == {}
    assert [r["name"] for r in world.service.beats[0]["recipes"]] == ["torch-classifier"]
    world.service.studies = [listed()]
    world.tick()
    assert world.cluster.running


def test_agents_are_started_and_said(world: World) -> None:
    world.service.studies = [listed(max_seconds=9.0)]
    assert len(world.tick()) == 2
    assert {order.max_seconds for order in world.cluster.orders.values()} == {9.0}
    world.becomes(Status("running", trials=1))
    assert len(world.tick(5)) == 2
    said = world.service.beats[-1]["agents"]
    assert [(a["study"], a["state"], a["resources"]) for a in said] == [
        ("st_1", "running", {"cpu": 1.0})
    ] * 2


def test_nothing_changes_while_the_server_is_away(world: World) -> None:
    world.service.studies = [listed()]
    before = world.tick()
    world.service.away = True
    assert world.tick(60) == before
    assert not world.cluster.retired


def test_a_study_that_left_the_list_loses_its_agents(world: World) -> None:
    world.service.studies = [listed()]
    names = world.tick()
    world.becomes(Status("running"))
    world.service.studies = []
    world.tick(1), world.tick(1)
    assert sorted(world.cluster.retired) == names
    world.becomes(Status("ended", reason="told to go"))
    assert world.tick(1) == []


def test_dead_agents_are_replaced_later_and_later(world: World) -> None:
    world.service.studies = [listed(parallel=1)]
    world.tick()
    waits = []
    for _ in range(4):
        world.becomes(dead="the actor died")
        world.tick()
        died = world.now
        while not world.tick(0.5):
            pass
        waits.append(world.now - died)
    assert waits == [1, 2, 4, 8]


def test_a_trial_that_was_run_forgives_failures(world: World) -> None:
    world.service.studies = [listed(parallel=1)]
    world.tick()
    for _ in range(3):
        world.becomes(dead="the actor died")
        world.tick(), world.tick(10)
    world.becomes(Status("idle", trials=1))
    world.tick()
    world.becomes(Status("idle", trials=1), dead="the actor died")
    assert world.tick() == []
    assert len(world.tick(1.1)) == 1


def test_one_study_that_fails_does_not_hold_up_another(world: World) -> None:
    world.service.studies = [listed("st_1", parallel=1)]
    world.tick()
    world.becomes(dead="the actor died")
    world.service.studies = [listed("st_2", parallel=1), listed("st_1", parallel=1)]
    assert [world.cluster.orders[name].study for name in world.tick()] == ["st_2"]


def test_other_terms_bring_other_agents(world: World) -> None:
    world.service.studies = [listed(parallel=1)]
    (old,) = world.tick()
    world.becomes(Status("running"))
    world.service.studies = [listed(parallel=1, max_seconds=7.0)]
    names = world.tick(1)
    assert world.cluster.retired == [old]
    assert {world.cluster.orders[name].max_seconds for name in names} == {None, 7.0}


def test_ray_that_does_not_come_up_is_tried_again(world: World) -> None:
    world.service.studies = [listed()]
    world.cluster.broken = True
    assert world.tick() == []
    assert world.service.beats
    world.cluster.broken = False
    assert len(world.tick(1)) == 2


def test_waits_have_an_end() -> None:
    backoff = Backoff()
    for _ in range(2000):
        backoff.failed("a", now=0.0)
    assert backoff.waits("a", MOST_SECONDS - 0.1)
    assert not backoff.waits("a", MOST_SECONDS)
    assert not backoff.waits("b", 0.0)
