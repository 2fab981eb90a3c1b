"""What a fleet and its agents are told: frozen, and passed on, never read from the environment."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from workers.plan import Wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """How long things may take, in seconds."""

    ask_wait: float = 5.0  # one long poll of an idle agent; it notices that it shall go in between
    beat_most: float = 10.0  # between two heartbeats of a lease, however long the lease
    settle: float = 1.0  # for a child's last words after its lease is gone
    telling: float = 30.0  # the same while it tells
    stop_grace: float = 30.0  # from a request to stop to the end of the group
    release_grace: float = 30.0
    kill_grace: float = 3.0  # from SIGTERM to SIGKILL
    leave_grace: float = 1.0  # the same when the fleet goes
    orphan: float = 60.0  # without a word from the controller an agent goes


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentOrder:
    """All that an agent needs to know; it travels to the machine that Ray finds for it."""

    name: str
    study: str  # the public id
    run: Mapping[str, Any]  # the study's `managed.run`
    max_seconds: float | None
    url: str
    key: str = field(repr=False)
    code: tuple[str, ...]  # the folders whose programs may run
    logs: str  # the folder for what trials print
    timings: Timings = Timings()


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetSettings:
    """What all agents of a fleet have in common.  `name` begins the names of its agents."""

    name: str
    url: str
    key: str = field(repr=False)
    code: tuple[str, ...] = ()
    logs: str
    timings: Timings = Timings()

    def order(self, name: str, wanted: Wanted) -> AgentOrder:
        """The order for one agent of a study."""
        return AgentOrder(
            name=name,
            study=wanted.study,
            run=wanted.run,
            max_seconds=wanted.max_seconds,
            url=self.url,
            key=self.key,
            code=self.code,
            logs=self.logs,
            timings=self.timings,
        )
