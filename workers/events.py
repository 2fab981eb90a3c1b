"""What can happen while a child runs a trial."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias


@dataclass(frozen=True, slots=True)
class Said:
    """The child sent a line."""

    kind: str
    body: Mapping[str, Any] = field(default_factory=dict)

    @staticmethod
    def read(line: Mapping[str, Any]) -> "Said":
        """A line of the child's as an event.  Raises ValueError when it is none of ours."""
        kind = line.get("event")
        if not isinstance(kind, str):
            raise ValueError("a child's line names its event")
        return Said(kind, line)


@dataclass(frozen=True, slots=True)
class Gone:
    """The child is gone; a negative return code is a signal."""

    returncode: int


@dataclass(frozen=True, slots=True)
class Lost:
    """The lease is no longer ours: cancelled, superseded, or told by the child."""


@dataclass(frozen=True, slots=True)
class Requested:
    """The server asks that the trial ends (`stop`) or is given back (`release`)."""

    kind: Literal["stop", "release"]
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Leave:
    """The agent is to go, and now."""

    reason: str


Event: TypeAlias = Said | Gone | Lost | Requested | Leave
