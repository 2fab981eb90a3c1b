"""What the server answers, as this SDK reads it.

Fields that a newer server adds are ignored, so that an older SDK goes on working.
"""

from datetime import datetime
from typing import Any, Generic, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict

Scalar: TypeAlias = bool | int | float | str | None
Value: TypeAlias = Scalar | list[Scalar]  # a list is the value of a permutation
Config: TypeAlias = dict[str, Value]

ENDED_STUDY = frozenset({"stopped", "completed"})


class Wire(BaseModel):
    """A part of an answer."""

    model_config = ConfigDict(extra="ignore", frozen=True)


Item = TypeVar("Item")


class Page(Wire, Generic[Item]):
    """One page of a list."""

    items: list[Item]
    next: str | None = None


class Counts(Wire):
    """How many trials stand in each state."""

    queued: int = 0
    running: int = 0
    completed: int = 0
    stopped: int = 0
    infeasible: int = 0
    failed: int = 0
    cancelled: int = 0

    @property
    def finished(self) -> int:
        """How many have ended, in whatever way."""
        return self.completed + self.stopped + self.infeasible + self.failed + self.cancelled


class ChosenBy(Wire):
    """How the best trial was chosen: `measured`, or `posterior_mean` where the objective is noisy.

    Then `mean` and `sd` are what a model that has seen `seen` results expects of its config.  By
    `preference`, `mean` is the utility that fits the `seen` answers of people.
    """

    by: str = "measured"
    mean: float | None = None
    sd: float | None = None
    seen: int | None = None


class BestSummary(ChosenBy):
    """The best completed trial, in short; `value` is what was measured."""

    trial: str
    number: int
    value: float
    config: Config
    context: Config = {}


class ObjectiveInfo(Wire):
    """A metric and which way it should go."""

    metric: str
    goal: str
    read: str = "last"
    reference: float | None = None
    by: str = "metric"
    noisy: bool = False
    gradients: bool = False


class BudgetInfo(Wire):
    """What ends the study."""

    trials: int | None = None
    hours: float | None = None
    target: float | None = None
    min_expected_gain: float | None = None
    patience: int | None = None


class StudyItem(Wire):
    """A study in a list."""

    id: str
    name: str
    state: str
    state_reason: str | None = None
    objectives: list[ObjectiveInfo]
    budget: BudgetInfo = BudgetInfo()
    tags: list[str] = []
    managed: dict[str, Any] | None = None
    trials: Counts = Counts()
    best: BestSummary | None = None
    created_at: datetime
    finished_at: datetime | None = None


class Transferred(Wire):
    """An earlier study that a study learns from, and how many of its results were copied."""

    study: str
    name: str
    points: int


class StudyInfo(StudyItem):
    """A study as it stood when it was read.  The spec is kept as it came."""

    space: dict[str, Any]
    constraints: list[dict[str, Any]] = []
    context: list[dict[str, Any]] = []
    searcher: dict[str, Any]
    scheduler: dict[str, Any]
    transfer: list[Transferred] = []
    max_running: int | None = None
    seed: int
    notes: str = ""
    lease_seconds: float
    revision: int
    version: int
    started_at: datetime | None = None


class CheckpointOffer(Wire):
    """A committed checkpoint that a trial may go on from."""

    step: int
    key: str
    uri: str
    size: int
    sha256: str


class AskedTrial(Wire):
    """The trial as its worker needs it."""

    id: str
    study: str
    study_name: str
    number: int
    config: Config
    context: Config = {}
    seed: int
    metrics: list[str] = []


class Asked(Wire):
    """A trial and the lease on it."""

    trial: AskedTrial
    attempt: int
    until: int | None = None
    checkpoint: CheckpointOffer | None = None
    lease_seconds: float


class Waiting(Wire):
    """Nothing to run yet."""

    retry_after: float


class DecisionBody(Wire):
    """What the scheduler decided at the last milestone."""

    kind: str
    until: int | None = None
    reason: str | None = None


class RequestBody(Wire):
    """What somebody asks of the worker."""

    kind: str
    reason: str | None = None


class Reported(Wire):
    """What became of the points that were sent."""

    accepted: int = 0
    already: int = 0
    conflicting: int = 0
    decision: DecisionBody
    request: RequestBody | None = None
    lease_seconds: float


class Beaten(Wire):
    """The lease goes on."""

    request: RequestBody | None = None
    until: int | None = None
    lease_seconds: float


class Told(Wire):
    """How the trial ended."""

    state: str
    reason: str | None = None
    values: dict[str, float] = {}


class CheckpointMade(Wire):
    """Where to put a checkpoint."""

    key: str
    uri: str


class AttemptInfo(Wire):
    """One worker's try at a trial."""

    number: int
    worker: str
    started_at: datetime
    ended_at: datetime | None = None
    end_reason: str | None = None
    exit: str | None = None


class TrialInfo(Wire):
    """A trial as it stood when it was read.

    `values` are its metrics: what it was told with, else its last ones; `errors` the standard
    errors that were told with them, `gradients` the derivatives by parameter.  What a list leaves
    out (message, notes, attributes, attempts, checkpoint) is there when the trial was read by
    itself.
    """

    id: str
    study: str
    number: int
    state: str
    config: Config
    context: Config = {}
    values: dict[str, float] = {}
    errors: dict[str, float] = {}
    gradients: dict[str, float] = {}
    origin: dict[str, Any] = {}
    attempt: int = 0
    last_step: int | None = None
    reason: str | None = None
    tags: list[str] = []
    worker: str | None = None
    parent: str | None = None
    retry_of: str | None = None
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    message: str | None = None
    notes: str = ""
    attributes: dict[str, Any] = {}
    attempts: list[AttemptInfo] = []
    checkpoint: CheckpointOffer | None = None


class Best(TrialInfo, ChosenBy):
    """The best completed trial, and how it was chosen."""


class BestTrial(ChosenBy):
    """The best completed trial, if there is one."""

    trial: TrialInfo | None

    def read(self) -> Best | None:
        """The trial, which knows how it was chosen."""
        if self.trial is None:
            return None
        how = {name: getattr(self, name) for name in ChosenBy.model_fields}
        return Best(**self.trial.model_dump(), **how)


class Trials(Wire):
    """Trials without pages."""

    items: list[TrialInfo]


class Numbered(Wire):
    """A trial that was made."""

    id: str
    number: int


class Made(Wire):
    """The trials that were made, in the order given."""

    trials: list[Numbered]


class Changes(Wire):
    """Trials that changed, oldest change first; `version` is where to go on."""

    version: int
    items: list[TrialInfo]
    state: str


class Curve(Wire):
    """One metric of one trial over steps, thinned."""

    trial: str
    number: int
    state: str
    metric: str
    steps: list[int]
    values: list[float]
    total: int


class Curves(Wire):
    """Curves of the trials of a study."""

    items: list[Curve]


class MetricSeries(Wire):
    """One metric of a trial over steps, thinned."""

    metric: str
    steps: list[int]
    values: list[float]
    total: int


class Measurements(Wire):
    """A trial's measurements, a series for each metric."""

    series: list[MetricSeries]


class LogItem(Wire):
    """The end of one attempt's log."""

    attempt: int
    worker: str
    exit: str | None = None
    end_reason: str | None = None
    log_tail: str | None = None


class Logs(Wire):
    """The ends of the logs of all attempts, the latest last."""

    items: list[LogItem]


class KeyItem(Wire):
    """An API key without its secret."""

    id: str
    name: str
    scopes: list[str]
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None


class KeyMade(KeyItem):
    """A new API key; the secret is shown this once."""

    key: str


class VersionInfo(Wire):
    """The server's version and the oldest SDK that it serves."""

    server: str
    api: str
    oldest_sdk: str
