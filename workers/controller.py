"""The fleet's controller: sees to it that the right agents are there, and says what there is."""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from trimtab.errors import TrimtabError

from workers.agent import Status
from workers.api import FleetApi
from workers.backoff import Backoff
from workers.cluster import Seen
from workers.errors import ClusterFailed
from workers.plan import Held, Retire, Start, Wanted, decide, unplaceable, wanted
from workers.recipes import announcement
from workers.settings import AgentOrder, FleetSettings

log = logging.getLogger(__name__)

_TICK_SECONDS = 1.0
_BEAT_SECONDS = 5.0
_CLOSE_SECONDS = 6.0


class Cluster(Protocol):
    """What the controller needs of Ray; workers.cluster.RayCluster is one."""

    @property
    def running(self) -> bool: ...
    def open(self) -> None: ...
    def capacity(self) -> dict[str, float]: ...
    def start(self, order: AgentOrder, resources: Mapping[str, float]) -> None: ...
    def poll(self) -> dict[str, Seen]: ...
    def retire(self, name: str) -> None: ...
    def discard(self, name: str) -> None: ...
    def close(self, reason: str, *, within: float) -> None: ...


@dataclass(slots=True)
class _Agent:
    wanted: Wanted
    seen: Seen = field(default_factory=Seen)
    retiring: bool = False

    @property
    def status(self) -> Status | None:
        return self.seen.status


class Controller:
    """Keeps the agents of all managed studies of one project."""

    def __init__(
        self,
        api: FleetApi,
        cluster: Cluster,
        settings: FleetSettings,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api = api
        self._cluster = cluster
        self._settings = settings
        self._clock = clock
        self._agents: dict[str, _Agent] = {}
        self._started = 0
        self._backoff = Backoff()
        self._beaten_at = float("-inf")
        self._said: str | None = None
        self._complained: set[str] = set()

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set; then all trials are given back and Ray is left."""
        try:
            while not stop.is_set():
                self.tick()
                stop.wait(_TICK_SECONDS)
        finally:
            log.info("the fleet stops: trials are given back")
            self._cluster.close("the fleet was stopped", within=_CLOSE_SECONDS)

    def tick(self) -> None:
        """Look, decide, act, and say so."""
        now = self._clock()
        self._look(now)
        studies = self._wanted()
        if studies is not None:  # while the server is away, everything stays as it is
            self._act(studies, now)
        if now - self._beaten_at >= _BEAT_SECONDS:
            self._beat()
            self._beaten_at = now

    def _look(self, now: float) -> None:
        for name, seen in self._cluster.poll().items() if self._cluster.running else ():
            agent = self._agents[name]
            before, agent.seen = agent.seen, seen
            if seen.status and seen.status.trials > (before.status.trials if before.status else 0):
                self._backoff.succeeded(agent.wanted.study)
            if seen.dead or (seen.status and seen.status.state == "ended"):
                self._bury(name, now)

    def _bury(self, name: str, now: float) -> None:
        agent = self._agents.pop(name)
        status, dead = agent.status, agent.seen.dead
        if dead or (status and status.failed):
            log.warning("agent %s ended: %s", name, dead or (status and status.reason))
            self._backoff.failed(agent.wanted.study, now)
        else:
            log.info("agent %s ended: %s", name, status and status.reason)
            self._backoff.rest(agent.wanted.study, now)
        self._cluster.discard(name)

    def _wanted(self) -> list[Wanted] | None:
        try:
            listed = self._api.active_studies()
        except TrimtabError as error:
            self._trouble(f"the list of studies cannot be had: {error}")
            return None
        self._trouble(None)
        # The oldest first: lists begin with the latest.
        return [found for study in reversed(listed) if (found := wanted(study)) is not None]

    def _trouble(self, trouble: str | None) -> None:
        """Say when something goes wrong with the server, and when it is over; not every second."""
        if trouble != self._said:
            log.warning("%s", trouble or "the server answers again")
            self._said = trouble

    def _act(self, studies: Sequence[Wanted], now: float) -> None:
        if studies and not self._open():
            return
        held = [
            Held(name, agent.wanted.study, _state(agent), agent.wanted.terms)
            for name, agent in self._agents.items()
        ]
        capacity = self._cluster.capacity()
        self._complain(studies, capacity)
        waiting = frozenset(s.study for s in studies if self._backoff.waits(s.study, now))
        for action in decide(studies, held, capacity, waiting=waiting):
            match action:
                case Start(wanted=wants):
                    self._start(wants, now)
                case Retire(agent=name):
                    self._retire(name)

    def _open(self) -> bool:
        try:
            self._cluster.open()
        except ClusterFailed as error:
            log.error("%s", error)
            return False
        return True

    def _start(self, wants: Wanted, now: float) -> None:
        self._started += 1
        name = f"{self._settings.name}/{wants.name}/{self._started}"
        order = self._settings.order(name, wants)
        try:
            self._cluster.start(order, wants.resources)
        except ValueError as error:  # Ray refuses, for instance, 1.5 GPUs
            log.warning("no agent for study %s: %s", wants.name, error)
            self._backoff.failed(wants.study, now)
            return
        log.info("agent %s starts", name)
        self._agents[name] = _Agent(wants)

    def _retire(self, name: str) -> None:
        agent = self._agents[name]
        agent.retiring = True
        self._cluster.retire(name)
        if agent.status is None:
            del self._agents[name]

    def _complain(self, studies: Sequence[Wanted], capacity: Mapping[str, float]) -> None:
        """Say once of each study that nothing here can run it."""
        for study in unplaceable(studies, capacity):
            if study.study not in self._complained:
                self._complained.add(study.study)
                log.warning(
                    "study %s asks for %s for each trial, and the cluster has %s: it has to wait",
                    study.name,
                    dict(study.resources),
                    capacity,
                )

    def _beat(self) -> None:
        try:
            self._api.beat(self._announcement())
        except TrimtabError as error:
            log.warning("the fleet's heartbeat: %s", error)

    def _announcement(self) -> dict[str, Any]:
        return {
            "fleet": self._settings.name,
            "resources": self._cluster.capacity(),
            "agents": [
                {
                    "name": name,
                    "study": agent.wanted.study,
                    "state": agent.status.state if agent.status else "starting",
                    "resources": dict(agent.wanted.resources),
                }
                for name, agent in self._agents.items()
            ],
            "recipes": announcement(),
        }


def _state(agent: _Agent) -> Any:
    if agent.retiring:
        return "retiring"
    return agent.status.state if agent.status else "starting"
