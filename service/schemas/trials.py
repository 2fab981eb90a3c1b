"""Bodies about trials: asking, reporting, telling, looking."""

from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias
from uuid import UUID

from pydantic import Field

from search.values import Tagged
from service.schemas.base import (
    Body,
    ConfigBody,
    Gradients,
    LongText,
    Measured,
    Member,
    MetricName,
    Reason,
    StandardErrors,
    Step,
    Tags,
    Text,
    WorkerName,
)

TrialState: TypeAlias = Literal[
    "queued", "running", "completed", "stopped", "infeasible", "failed", "cancelled"
]
# The client makes the lease id: asking again with the same one gives the same trial.
LeaseId: TypeAlias = Annotated[
    UUID, Field(strict=False, description="a secret UUID that the client makes")
]
MAX_MEASUREMENTS = 1_000


class Ask(Body):
    """Take a trial to run; `wait` is how long to hold the request open for a config."""

    lease_id: LeaseId
    worker: WorkerName
    wait: Annotated[float, Field(ge=0, le=20, description="seconds")] = 10
    context: Annotated[
        ConfigBody, Field(description="a value for each parameter of the study's context")
    ] = {}


class CheckpointOffer(Body):
    """A committed checkpoint that the trial may go on from."""

    step: int
    key: str
    uri: str
    size: int
    sha256: str


class AskedTrial(Body):
    """The trial as its worker needs it."""

    id: str
    study: str
    study_name: str
    number: int
    config: ConfigBody
    context: ConfigBody
    seed: Annotated[int, Field(description="made of the study's seed and the trial's number")]
    metrics: Annotated[
        list[str], Field(description="the metrics that the study's objectives and constraints read")
    ]


class Asked(Body):
    """A trial and the lease on it.  `until` is the next milestone, null when there is none."""

    trial: AskedTrial
    attempt: int
    until: int | None
    checkpoint: CheckpointOffer | None
    lease_seconds: Annotated[
        float, Field(description="seconds left of the lease when this was answered")
    ]


class Waiting(Body):
    """Nothing to run yet: ask again, with the same lease id, after `retry_after` seconds."""

    retry_after: float


class MeasurementBody(Body):
    """Metric values at one step."""

    step: Step
    values: Annotated[dict[MetricName, Measured], Field(min_length=1, max_length=200)]
    elapsed_seconds: Annotated[float, Field(ge=0)] | None = None


class Report(Body):
    """Measurements of a running trial."""

    lease_id: LeaseId
    measurements: Annotated[list[MeasurementBody], Field(min_length=1, max_length=MAX_MEASUREMENTS)]


class DecisionBody(Body):
    """What the scheduler decided at the last milestone."""

    kind: Literal["continue", "stop"]
    until: int | None
    reason: str | None


class RequestBody(Body):
    """What somebody asks of the worker: end the trial (`stop`) or give it back (`release`)."""

    kind: Literal["stop", "release"]
    reason: str | None


class Reported(Body):
    """What became of the points: new, already there, or differing from what is there."""

    accepted: int
    already: int
    conflicting: int
    decision: DecisionBody
    request: RequestBody | None
    lease_seconds: float


class Heartbeat(Body):
    """Renew the lease."""

    lease_id: LeaseId


class Beaten(Body):
    """The lease goes on."""

    request: RequestBody | None
    until: int | None
    lease_seconds: float


class Release(Body):
    """Give the trial back to be run by somebody else; it uses up no attempt."""

    lease_id: LeaseId
    reason: Reason = "released"
    exit: Text | None = None
    log_tail: LongText | None = None


class Completed(Member):
    """The trial ran to its end; values not given are read from its measurements."""

    kind: Literal["completed"] = "completed"
    values: Annotated[dict[MetricName, Measured], Field(max_length=200)] = {}
    errors: StandardErrors = {}
    gradients: Gradients = {}
    log_tail: LongText | None = None


class Stopped(Member):
    """The trial ended early, as it was asked to."""

    kind: Literal["stopped"] = "stopped"
    values: Annotated[dict[MetricName, Measured], Field(max_length=200)] = {}
    reason: Reason | None = None
    log_tail: LongText | None = None


class Infeasible(Member):
    """The config is bad, and no other attempt would do better."""

    kind: Literal["infeasible"] = "infeasible"
    reason: Reason
    message: LongText | None = None
    log_tail: LongText | None = None


class Failed(Member):
    """The program or the machinery gave up."""

    kind: Literal["failed"] = "failed"
    reason: Literal["user_error", "oom", "timeout"] = "user_error"
    message: LongText | None = None
    exit: Text | None = None
    log_tail: LongText | None = None


Outcome: TypeAlias = Annotated[Completed | Stopped | Infeasible | Failed, Tagged()]


class Tell(Body):
    """End the trial.  The same tell twice is one effect."""

    lease_id: LeaseId
    outcome: Outcome
    measurements: Annotated[
        list[MeasurementBody],
        Field(
            max_length=MAX_MEASUREMENTS,
            description="what was measured since the last report; stored first, as a report's are",
        ),
    ] = []


class Told(Body):
    """How the trial ended: a completed one whose objective is not finite ends `infeasible`."""

    state: TrialState
    reason: str | None
    values: dict[str, Measured]


class Enqueue(Body):
    """Configs to run before any suggestion; they count in the budget."""

    configs: Annotated[list[ConfigBody], Field(min_length=1, max_length=1_000)]
    context: Annotated[ConfigBody, Field(description="the context to run all of them in")] = {}
    replicate: Annotated[bool, Field(description="allow configs that the study already has")] = (
        False
    )


class ImportedTrial(Body):
    """A trial that ran elsewhere."""

    config: ConfigBody
    context: ConfigBody = {}
    state: Literal["completed", "stopped", "infeasible", "failed"] = "completed"
    values: Annotated[dict[MetricName, Measured], Field(max_length=200)] = {}
    errors: StandardErrors = {}
    gradients: Gradients = {}
    measurements: Annotated[list[MeasurementBody], Field(max_length=MAX_MEASUREMENTS)] = []
    reason: Reason | None = None
    tags: Tags = []


class Import(Body):
    """Finished trials to learn from; they count in no budget of running trials."""

    trials: Annotated[list[ImportedTrial], Field(min_length=1, max_length=1_000)]
    replicate: bool = True


class Numbered(Body):
    """A trial that was made."""

    id: str
    number: int


class Made(Body):
    """The trials that were made, in the order given."""

    trials: list[Numbered]


class TrialPatch(Body):
    """What a person may write on a trial; what is absent stays."""

    tags: Tags | None = None
    attributes: Annotated[dict[MetricName, Any], Field(max_length=100)] | None = None
    notes: Text | None = None


class Cancel(Body):
    """Why the trial is cancelled."""

    reason: Reason = "cancelled by a person"


class Retry(Body):
    """Run the config of an ended trial again, as a new trial."""


class AttemptItem(Body):
    """One worker's try at a trial."""

    number: int
    worker: str
    started_at: datetime
    ended_at: datetime | None
    end_reason: str | None
    exit: str | None


class TrialItem(Body):
    """A trial in a list."""

    id: str
    study: str
    number: int
    state: TrialState
    config: ConfigBody
    context: Annotated[ConfigBody, Field(description="what was given with the ask")]
    values: dict[str, Measured]
    errors: Annotated[dict[str, float], Field(description="standard errors that were told")]
    gradients: Annotated[
        dict[str, float], Field(description="parameter -> derivative of the objective, as told")
    ]
    origin: dict[str, Any]
    attempt: int
    last_step: int | None
    reason: str | None
    tags: list[str]
    worker: str | None
    parent: str | None
    retry_of: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class Trial(TrialItem):
    """Everything about one trial."""

    message: str | None
    notes: str
    attributes: dict[str, Any]
    attempts: list[AttemptItem]
    checkpoint: CheckpointOffer | None


class MetricSeries(Body):
    """One metric over steps; thinned to at most `points`, keeping the extremes of each bucket."""

    metric: str
    steps: list[int]
    values: list[Measured]
    attempts: list[int]
    elapsed_seconds: list[float | None]
    total: int


class Measurements(Body):
    """A trial's measurements, a series for each metric."""

    series: list[MetricSeries]


class EventItem(Body):
    """Something that happened."""

    id: int
    at: datetime
    kind: str
    trial: str | None
    detail: dict[str, Any]


class LogItem(Body):
    """The end of one attempt's log."""

    attempt: int
    worker: str
    exit: str | None
    end_reason: str | None
    log_tail: str | None


class Logs(Body):
    """The ends of the logs of all attempts, the latest last."""

    items: list[LogItem]


class Changes(Body):
    """Trials that changed after `since`, oldest change first; ask again from `version`."""

    version: int
    items: list[TrialItem]
    state: str
