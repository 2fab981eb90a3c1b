"""Bodies about checkpoints: announced, uploaded by the worker, then committed."""

from typing import Annotated

from pydantic import Field

from service.schemas.base import Body, Step
from service.schemas.trials import LeaseId


class CheckpointCreate(Body):
    """A checkpoint that the holder of the lease is about to upload."""

    lease_id: LeaseId
    step: Step
    size: Annotated[int, Field(ge=0, le=2**50)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class CheckpointMade(Body):
    """Where to put it."""

    key: str
    uri: str


class CheckpointCommit(Body):
    """The checkpoint lies where it was to be put."""

    lease_id: LeaseId
    key: Annotated[str, Field(min_length=1, max_length=512)]


class CheckpointCommitted(Body):
    """It will be offered to the next attempt."""

    key: str
    step: int
