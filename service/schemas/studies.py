"""Bodies about studies."""

from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field, field_validator, model_validator

from search.parameters import Parameter
from search.problem import Objective, OutcomeConstraint
from search.registry import SchedulerSettings, SearcherSettings
from search.schedulers.auto import AutoScheduler
from search.searchers.auto import AutoSearcher
from search.space import SearchSpace
from search.values import Tagged
from service.schemas.base import Body, ConfigBody, Measured, Member, Name, Reason, Tags, Text

StudyState: TypeAlias = Literal["active", "paused", "stopped", "completed"]


class Budget(Body):
    """When a study is complete: any of these ends it; without any it goes on until stopped."""

    trials: Annotated[int, Field(ge=1, le=10_000_000)] | None = None
    hours: (
        Annotated[float, Field(gt=0, le=100_000, description="since its first trial began")] | None
    ) = None
    target: (
        Annotated[float, Field(description="of the first objective, measured: reached or passed")]
        | None
    ) = None
    min_expected_gain: (
        Annotated[
            float,
            Field(
                ge=0,
                description="in units of the objective: the study ends when a model expects less "
                "of every config; for one objective and a searcher that has such a model",
            ),
        ]
        | None
    ) = None
    patience: (
        Annotated[
            int,
            Field(
                ge=1,
                le=100,
                description="how many times in a row, each with new results, so little must be "
                "expected; 5 by default",
            ),
        ]
        | None
    ) = None

    @model_validator(mode="after")
    def _patience_is_for_something(self) -> "Budget":
        if self.patience is not None and self.min_expected_gain is None:
            raise ValueError("patience is for min_expected_gain: give that too")
        return self


class Program(Member):
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


class Recipe(Member):
    """A built-in training program and its arguments."""

    kind: Literal["recipe"] = "recipe"
    name: Name
    arguments: dict[str, Any] = {}


class Managed(Body):
    """How the fleet runs a study's trials."""

    run: Annotated[Program | Recipe, Tagged()]
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
    context: Annotated[
        list[Parameter],
        Field(max_length=20, description="given with each ask, not searched: no when, no default"),
    ] = []
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
    transfer: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=128)]],
        Field(max_length=5, description="studies to learn from, by id or name"),
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


class ChosenBy(Body):
    """How the best trial was chosen: by its measured value, or by what a model expects of it.

    A noisy objective's best is the latter, with `mean` and `sd` of what its config gives, once a
    model has seen results: `seen` of them.

    By preference, `mean` is the trial's utility: utilities, on a logistic scale, make the `seen`
    answers most probable (Bradley and Terry), and ties go to the lower number.
    """

    by: Literal["measured", "posterior_mean", "preference"] = "measured"
    mean: float | None = None
    sd: float | None = None
    seen: int | None = None


class BestSummary(ChosenBy):
    """The best completed trial, in short; `value` is what was measured, or the utility."""

    trial: str
    number: int
    value: float
    config: ConfigBody
    context: ConfigBody


class Transferred(Body):
    """An earlier study that a study learns from, as it was when the later one was made."""

    study: Annotated[str, Field(description="its id; it may have been deleted since")]
    name: str
    points: Annotated[int, Field(description="results that were taken over")]


class Study(Body):
    """A study as it stands; `version` grows with every change of one of its trials."""

    id: str
    name: str
    state: StudyState
    state_reason: str | None
    space: SearchSpace
    objectives: list[Objective]
    constraints: list[OutcomeConstraint]
    context: list[Parameter]
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
    transfer: list[Transferred]
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
    context: ConfigBody | None
    watermark: int | None
    error: str | None
    exhausted: str | None
    seconds: float | None
    seen: Annotated[int | None, Field(description="finished trials that it had read")]
    expected_gain: Annotated[
        float | None, Field(description="the largest of its suggestions, if a model made them")
    ]
    created_at: datetime
    finished_at: datetime | None
