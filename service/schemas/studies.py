"""Bodies about studies."""

from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field, field_validator

from search.problem import Objective, OutcomeConstraint
from search.registry import SchedulerSettings, SearcherSettings
from search.schedulers.auto import AutoScheduler
from search.searchers.auto import AutoSearcher
from search.space import SearchSpace
from service.schemas.base import Body, ConfigBody, Measured, Name, Reason, Tags, Text

StudyState: TypeAlias = Literal["active", "paused", "stopped", "completed"]


class Budget(Body):
    """When a study is complete: any of these ends it; without any it goes on until stopped."""

    trials: Annotated[int, Field(ge=1, le=10_000_000)] | None = None
    hours: (
        Annotated[float, Field(gt=0, le=100_000, description="since its first trial began")] | None
    ) = None
    target: (
        Annotated[float, Field(description="of the first objective, reached or passed")] | None
    ) = None


class Program(Body):
    """`def main(trial)` in a folder that the operator allows: "train.py:main"."""

    kind: Literal["program"] = "program"
    path: Annotated[
        str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_./-]{0,255}\.py:[A-Za-z_][A-Za-z0-9_]{0,127}$")
    ]

    @field_validator("path")
    @classmethod
    def _stays_inside(cls, path: str) -> str:
        if ".." in path.split(":", maxsplit=1)[0].split("/"):
            raise ValueError("a path stays inside its folder: `..` is not allowed")
        return path


class Recipe(Body):
    """A built-in training program and its arguments."""

    kind: Literal["recipe"] = "recipe"
    name: Name
    arguments: dict[str, Any] = {}


class Managed(Body):
    """How the fleet runs a study's trials."""

    run: Annotated[Program | Recipe, Field(discriminator="kind")]
    resources: Annotated[
        dict[str, Annotated[float, Field(ge=0, le=100_000)]],
        Field(description="what one trial holds: cpu, gpu, or a custom Ray resource"),
    ] = {"cpu": 1}
    parallel: Annotated[int, Field(ge=1, le=10_000)] = 1
    max_seconds: Annotated[float, Field(gt=0, le=10_000_000)] | None = None


class StudyCreate(Body):
    """A study to be made.  Only the name, the space and one objective are needed."""

    name: Name
    space: SearchSpace
    objectives: Annotated[list[Objective], Field(min_length=1, max_length=8)]
    constraints: Annotated[list[OutcomeConstraint], Field(max_length=16)] = []
    searcher: SearcherSettings = Field(default_factory=AutoSearcher)
    scheduler: SchedulerSettings = Field(default_factory=AutoScheduler)
    budget: Budget = Budget()
    max_running: Annotated[int, Field(ge=1, le=100_000)] | None = None
    max_attempts: Annotated[
        int, Field(ge=1, le=100, description="attempts at a trial whose worker is lost")
    ] = 4
    max_failed: Annotated[
        int, Field(ge=1, le=1_000_000, description="failed trials after which the study pauses")
    ] = 10
    lease_seconds: Annotated[float, Field(ge=1, le=3_600)] = 60
    seed: Annotated[int, Field(ge=0, le=2**53)] | None = None
    first: Annotated[
        list[ConfigBody], Field(max_length=1_000, description="configs to run before any other")
    ] = []
    tags: Tags = []
    notes: Text = ""
    managed: Managed | None = None


class StudyPatch(Body):
    """What of a study may change; what is absent stays, null removes a limit."""

    name: Name | None = None
    notes: Text | None = None
    tags: Tags | None = None
    budget: Budget | None = None
    max_running: Annotated[int, Field(ge=1, le=100_000)] | None = None
    managed: Annotated[Managed | None, Field(description="null takes the study from the fleet")] = (
        None
    )


class Pause(Body):
    """With `now`, running trials are given back at their next answer; else they end first."""

    now: bool = False


class Resume(Body):
    """Nothing to say."""


class StopStudy(Body):
    """Why the study is stopped."""

    reason: Reason = "stopped by a person"


class Counts(Body):
    """How many trials stand in each state."""

    queued: int = 0
    running: int = 0
    completed: int = 0
    stopped: int = 0
    infeasible: int = 0
    failed: int = 0
    cancelled: int = 0


class BestSummary(Body):
    """The best completed trial, in short."""

    trial: str
    number: int
    value: Annotated[
        float,
        Field(description="of the objective; by preference, the utility that fits the answers"),
    ]
    config: ConfigBody


class Study(Body):
    """A study as it stands; `version` grows with every change of one of its trials."""

    id: str
    name: str
    state: StudyState
    state_reason: str | None
    space: SearchSpace
    objectives: list[Objective]
    constraints: list[OutcomeConstraint]
    searcher: SearcherSettings
    scheduler: SchedulerSettings
    budget: Budget
    max_running: int | None
    max_attempts: int
    max_failed: int
    lease_seconds: float
    seed: int
    tags: list[str]
    notes: str
    managed: Managed | None
    spec_version: int
    revision: Annotated[
        int, Field(description="quoted, it is the ETag that PATCH wants in If-Match")
    ]
    version: int
    trials: Counts
    best: BestSummary | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class StudyItem(Body):
    """A study in a list."""

    id: str
    name: str
    state: StudyState
    state_reason: str | None
    objectives: list[Objective]
    budget: Budget
    tags: list[str]
    managed: Managed | None
    version: int
    trials: Counts
    best: BestSummary | None
    created_at: datetime
    finished_at: datetime | None


class Curve(Body):
    """Thinned measurements of one metric of one trial: the minimum and maximum of each bucket."""

    trial: str
    number: int
    state: str
    metric: str
    steps: list[int]
    values: list[Measured]
    total: Annotated[int, Field(description="points before thinning")]


class Curves(Body):
    """Curves of the trials of a study, the latest first."""

    items: list[Curve]


class BatchItem(Body):
    """One run of the searcher."""

    number: int
    state: Literal["running", "done"]
    count: int
    watermark: int | None
    error: str | None
    exhausted: str | None
    seconds: float | None
    created_at: datetime
    finished_at: datetime | None
