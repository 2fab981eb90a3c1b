"""Bodies about preferences: what a person says of finished trials."""

from datetime import datetime
from typing import Annotated, TypeAlias

from pydantic import Field

from service.schemas.base import Body
from service.schemas.trials import Numbered

TrialReference: TypeAlias = (
    Annotated[int, Field(ge=0, le=2**31 - 1)] | Annotated[str, Field(min_length=1, max_length=64)]
)
Ranking: TypeAlias = Annotated[
    list[TrialReference],
    Field(
        min_length=2,
        max_length=100,
        description="completed trials by number or id, from best to worst; two make a pair",
    ),
]


class Prefer(Body):
    """Answers of a person; they may contradict earlier ones."""

    rankings: Annotated[list[Ranking], Field(min_length=1, max_length=1_000)]


class Preference(Body):
    """One answer: trials from best to worst."""

    id: int
    ranking: list[Numbered]
    created_at: datetime


class Preferred(Body):
    """The answers as they were taken, in the order given."""

    preferences: list[Preference]
