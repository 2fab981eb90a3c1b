"""A trial as the search layer sees it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from search.values import JSON, Config


class TrialState(StrEnum):
    """Where a trial stands in its life."""

    QUEUED = "queued"  # config known, nobody runs it
    RUNNING = "running"  # leased
    COMPLETED = "completed"  # told by its worker
    STOPPED = "stopped"  # ended early, by a scheduler or with its study; its measurements count
    INFEASIBLE = "infeasible"  # the point is bad
    FAILED = "failed"  # the machinery or the program gave up
    CANCELLED = "cancelled"  # by a person

    @property
    def final(self) -> bool:
        """Whether a trial in this state never changes again."""
        return self not in (TrialState.QUEUED, TrialState.RUNNING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """Metric values at one step, the resource spent: epochs, batches, seconds."""

    step: int
    values: Mapping[str, float]
    elapsed_seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One config being evaluated; numbered from 0 without gaps within its study.

    `values` holds the trial's value of each metric: what `tell` gave, else what the objective
    reads from the measurements.  `measurements` is in order of step.  `errors` holds the standard
    error of a value, in its units, where one is known; `context` what was given with the ask.
    `gradients` holds derivatives of the objective's value with respect to float parameters, in the
    units of both, for those of which they were told.
    `until` is the step up to which it was planned to run, None for a full run.
    """

    number: int
    config: Config
    state: TrialState
    measurements: Sequence[Measurement] = ()
    values: Mapping[str, float] = field(default_factory=dict)
    errors: Mapping[str, float] = field(default_factory=dict)
    gradients: Mapping[str, float] = field(default_factory=dict)
    origin: Mapping[str, JSON] = field(default_factory=dict)
    parent: int | None = None
    attempt: int = 0
    context: Config = field(default_factory=dict)
    until: int | None = None
