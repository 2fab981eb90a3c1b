"""What query strings share: an unknown parameter is refused, as an unknown field of a body is."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Params(BaseModel):
    """The parameters of a query."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, frozen=True)


class Paging(Params):
    """Where a page of a list begins and how long it is."""

    cursor: Annotated[
        str | None, Field(max_length=2_000, description="`next` of the page before this one")
    ] = None
    limit: Annotated[int, Field(ge=1, le=200, description="how many items at most")] = 50
