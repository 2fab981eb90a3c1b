"""The calls about checkpoints: where to put one, and that it lies there."""

from fastapi import APIRouter

from service.auth.deps import Runner
from service.checkpoints.store import announce, check_there, find
from service.checkpoints.store import commit as commit_checkpoint
from service.http.json import StrictRoute
from service.http.problems import answers
from service.leases.fence import Call
from service.resources import Needs
from service.schemas.checkpoints import (
    CheckpointCommit,
    CheckpointCommitted,
    CheckpointCreate,
    CheckpointMade,
)

router = APIRouter(route_class=StrictRoute, tags=["workers"])


@router.post("/trials/{trial}/checkpoints", responses=answers(404, 409, 422))
async def create(
    trial: str, body: CheckpointCreate, needs: Needs, caller: Runner
) -> CheckpointMade:
    """Ask where to put a checkpoint.  A repeat gets the same answer."""
    async with needs.hot.connection() as connection:
        known = await needs.known.trial(connection, caller.project_id, trial)
        call = Call(connection, needs.known, known, body.lease_id)
        return await announce(call, needs.storage, body)


@router.post("/trials/{trial}/checkpoints:commit", responses=answers(404, 409, 422))
async def commit(
    trial: str, body: CheckpointCommit, needs: Needs, caller: Runner
) -> CheckpointCommitted:
    """Say that the checkpoint lies where it was to be put; the next attempt goes on from it."""
    async with needs.hot.connection() as connection:
        known = await needs.known.trial(connection, caller.project_id, trial)
        found = await find(Call(connection, needs.known, known, body.lease_id), body.key)
    assert found.id is not None
    if not found.committed:
        # Without a connection: the storage may take its time.
        await check_there(needs.storage, body.key, found.size)
    async with needs.hot.connection() as connection:
        call = Call(connection, needs.known, known, body.lease_id)
        return await commit_checkpoint(call, body.key, found.id)
