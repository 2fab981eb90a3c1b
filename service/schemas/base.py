"""What every body on the wire shares: no unknown keys, no silent conversions, no NaN."""

import math
from collections.abc import Mapping
from typing import Annotated, Generic, Literal, TypeAlias, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
)

from search.values import Value


class Body(BaseModel):
    """A JSON object that is read strictly."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True)


class Member(Body):
    """One of a union that `kind` tells apart."""

    @classmethod
    def kind_of(cls) -> str:
        """The value of `kind` that names this class on the wire."""
        return str(cls.model_fields["kind"].default)


Item = TypeVar("Item")


class Page(Body, Generic[Item]):
    """One page of a list; `next` is the cursor of the page after it, null on the last one."""

    items: list[Item]
    next: str | None = None


NON_FINITE: Mapping[str, float] = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def _read_number(value: object) -> object:
    return NON_FINITE.get(value, value) if isinstance(value, str) else value


def write_number(value: float) -> float | str:
    """A float as JSON can carry it: "NaN", "Infinity" and "-Infinity" are strings."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value


# A measured number may be non-finite: a diverged loss is a fact, and is stored as it came.
Measured: TypeAlias = Annotated[
    float,
    Field(strict=True, allow_inf_nan=True),
    BeforeValidator(
        _read_number, json_schema_input_type=float | Literal["NaN", "Infinity", "-Infinity"]
    ),
    PlainSerializer(write_number, return_type=float | Literal["NaN", "Infinity", "-Infinity"]),
]

Name: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
Label: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=128)]
Tags: TypeAlias = Annotated[list[Label], Field(max_length=50)]
Text: TypeAlias = Annotated[str, StringConstraints(max_length=10_000)]
LongText: TypeAlias = Annotated[str, StringConstraints(max_length=100_000)]
Reason: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=1_000)]
MetricName: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=128)]
WorkerName: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=256)]
StandardErrors: TypeAlias = Annotated[
    dict[MetricName, Annotated[float, Field(ge=0)]],
    Field(max_length=200, description="the standard error of a value, in its units, where known"),
]
Gradients: TypeAlias = Annotated[
    dict[MetricName, float],
    Field(
        max_length=100,
        description="parameter -> derivative of the objective's value with respect to it, in the "
        "units of both: for active float parameters, in a study whose objective has gradients",
    ),
]
Step: TypeAlias = Annotated[int, Field(ge=0, le=2**31 - 1)]
ConfigBody: TypeAlias = Annotated[dict[str, Value], Field(max_length=100)]
