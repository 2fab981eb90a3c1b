"""The life of a trial: every state meets every event, in the database as in the table."""

import pytest

from search.trial import TrialState
from service.errors import LeaseLost, ServiceError
from service.schemas.trials import Failed, Infeasible, Stopped
from service.trials.cancel import cancel, retry
from service.trials.lifecycle import (
    MAX_ATTEMPTS,
    TRANSITIONS,
    Aftermath,
    Event,
    Loss,
    Refusal,
    after_expiry,
    after_release,
)
from tests.leases.world import Run, World

PAIRS = [(state, event) for state in TrialState for event in Event]


async def bring(world: World, state: TrialState) -> Run:
    """A trial in the state, whose latest lease is the run's."""
    study = await world.study(max_attempts=4)
    run = await world.begin(study, worker="w1")
    await run.report(0, loss=1.0)
    if state is TrialState.QUEUED:
        await world.expire(run)
        await world.now(run)
    elif state is TrialState.COMPLETED:
        await run.tell()
    elif state is TrialState.STOPPED:
        await run.tell(Stopped())
    elif state is TrialState.INFEASIBLE:
        await run.tell(Infeasible(reason="no"))
    elif state is TrialState.FAILED:
        await run.tell(Failed())
    elif state is TrialState.CANCELLED:
        async with run.call() as call:
            await cancel(call.connection, world.known, run.trial, "enough")
    return run


async def act(world: World, run: Run, event: Event) -> Refusal | None:
    """Let the event happen; the refusal, if it is refused."""
    match event:
        case Event.CLAIM:
            return None if await world.ask(run.study) else Refusal.NOTHING
        case Event.REPORT:
            await run.report(1, loss=1.0)
        case Event.HEARTBEAT:
            await run.beat()
        case Event.TELL_COMPLETED:
            await run.tell(loss=2.0)
        case Event.TELL_STOPPED:
            await run.tell(Stopped(reason="again"))
        case Event.TELL_INFEASIBLE:
            await run.tell(Infeasible(reason="again"))
        case Event.TELL_FAILED:
            await run.tell(Failed(reason="timeout"))
        case Event.RELEASE:
            await run.release()
        case Event.EXPIRE:
            return None if await world.expire(run) else Refusal.NOTHING
        case Event.EXPIRE_STOPPING:
            await world.rows("update lease set request = 'stop'")
            return None if await world.expire(run) else Refusal.NOTHING
        case Event.EXPIRE_LAST:
            await world.rows("update trial set lost = 3")
            return None if await world.expire(run) else Refusal.NOTHING
        case Event.CANCEL:
            async with run.call() as call:
                await cancel(call.connection, world.known, run.trial, "enough")
        case Event.RETRY:
            async with run.call() as call, call.connection.transaction():
                await retry(call.connection, run.trial)
    return None


@pytest.mark.parametrize("state", list(TrialState))
async def test_the_database_does_what_the_table_says(world: World, state: TrialState) -> None:
    for event in Event:
        await meet(world, state, event)
    await world.check()


async def meet(world: World, state: TrialState, event: Event) -> None:
    """A trial in the state meets the event."""
    run = await bring(world, state)
    expected = TRANSITIONS[state, event]
    try:
        refusal = await act(world, run, event)
    except ServiceError as error:
        told = state not in (TrialState.QUEUED, TrialState.RUNNING, TrialState.CANCELLED)
        # The teller itself hears which of the two refusals it is.
        code = LeaseLost.code if error.code == "already_told" and told else error.code
        refusal = Refusal(code)
    if state is TrialState.CANCELLED and event is Event.CANCEL:
        assert refusal is None  # a repeat does nothing
    elif isinstance(expected, Refusal):
        assert refusal is expected, event
        assert await world.state(run) == state, event
    else:
        assert refusal is None, event
        assert await world.state(run) == expected, event


def test_every_state_meets_every_event() -> None:
    assert set(TRANSITIONS) == set(PAIRS)


def test_nothing_leads_out_of_a_final_state() -> None:
    for (state, _), becomes in TRANSITIONS.items():
        if state.final:
            assert isinstance(becomes, Refusal) or becomes is state


def loss(**changes: object) -> Loss:
    values = {
        "attempt": 1, "lost": 0, "max_attempts": 4, "request": None, "study_state": "active",
    }  # fmt: skip
    return Loss(**{**values, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        (loss(), ("queued", None, True)),
        (loss(lost=2, attempt=3), ("queued", None, True)),
        (loss(lost=3, attempt=4), ("failed", "lost", True)),
        (loss(max_attempts=1), ("failed", "lost", True)),
        (loss(poison=True), ("failed", "poison", True)),
        (loss(request="stop"), ("stopped", "asked to stop", False)),
        (loss(request="stop", lost=3), ("stopped", "asked to stop", False)),
        (loss(request="release"), ("queued", None, False)),
        (loss(request="release", lost=3), ("queued", None, False)),
        (loss(study_state="stopped"), ("stopped", "its study is stopped", False)),
        (loss(study_state="paused"), ("queued", None, True)),
        (loss(attempt=MAX_ATTEMPTS, lost=1), ("failed", "lost", True)),
    ],
)
def test_what_becomes_of_a_trial_whose_lease_runs_out(
    case: Loss, expected: tuple[str, str | None, bool]
) -> None:
    found = after_expiry(case)
    assert (found.state, found.reason, found.counts_as_lost) == expected


def test_release_uses_up_no_attempt_until_there_were_very_many() -> None:
    assert after_release(loss(lost=3, attempt=19)) == Aftermath(state=TrialState.QUEUED)
    assert after_release(loss(attempt=MAX_ATTEMPTS)).state is TrialState.FAILED
    assert after_release(loss(request="stop")).state is TrialState.STOPPED


def test_the_delay_doubles_up_to_ten_minutes() -> None:
    delays = [after_expiry(loss(lost=n, max_attempts=100, attempt=1)).delay for n in range(12)]
    assert delays[:4] == [1, 2, 4, 8]
    assert delays[-1] == 600
