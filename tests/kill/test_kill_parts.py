"""kill -9 of all that `trimtab up` runs, in the middle of managed studies with 3 s leases."""

from typing import Any

import psutil
import pytest

from tests.kill import processes
from tests.kill.checks import check_always, check_ended, check_log, requests
from tests.kill.notes import Note
from tests.kill.study import Study, agent_of, close, hand_over
from tests.kill.upstart import Up
from tests.kill.waiting import await_found

FITTING = "select 1 from batch where state = 'running' and study_id in (select id from study)"


@pytest.fixture(scope="module")
def study(up: Up) -> Study:
    """One long study, in which one part after the other is killed."""
    return begun(up, "parts", trials=None, searcher={"kind": "auto", "initial": 4})


def test_a_killed_child(up: Up, study: Study) -> None:
    note = middle(study)
    processes.kill(psutil.Process(note.pid))
    check_always(study, storage=up.home.checkpoints)  # before anybody measures again
    assert await_next(study, note) == note.attempt + 1
    check_always(study, storage=up.home.checkpoints)


def test_a_killed_agent(up: Up, study: Study) -> None:
    note = middle(study)
    agent = agent_of(up.fleet(), note)
    theirs = processes.offspring(agent)
    assert note.pid in {process.pid for process in theirs}
    processes.kill(agent)
    check_always(study, storage=up.home.checkpoints)
    # Nobody trains on behind a dead agent's back.
    await_found(lambda: not any(map(processes.alive, theirs)), seconds=5, what="its children's end")
    assert await_next(study, note) == note.attempt + 1
    check_always(study, storage=up.home.checkpoints)


def test_an_agent_that_is_stopped_past_its_lease_and_woken(up: Up, study: Study) -> None:
    note = middle(study)
    agent = agent_of(up.fleet(), note)
    frozen = [agent, *processes.offspring(agent)]
    refused = refusals(up)
    for process in frozen:
        process.suspend()
    study.await_note(note.trial, note.attempt + 1, "acknowledged")
    for process in frozen:  # in the middle of the attempt that took their place
        process.resume()
    await_found(lambda: refusals(up) > refused, seconds=20, what="a refusal of the woken")
    assert await_next(study, note) == note.attempt + 1
    check_always(study, storage=up.home.checkpoints)


def test_a_killed_suggester(up: Up, study: Study) -> None:
    middle(study)
    suggester = up.part("suggest")
    await_found(lambda: study.read(FITTING), seconds=60, what="a batch that is being computed")
    processes.kill(suggester)
    check_always(study, storage=up.home.checkpoints)
    assert up.part("suggest") != suggester
    # More than were suggested ahead: two that ran, two in the buffer.
    study.await_finished(finished(study) + 5)
    check_always(study, storage=up.home.checkpoints)


def test_a_killed_api(up: Up, study: Study) -> None:
    note = middle(study)
    api = up.part("serve")
    processes.kill(api)
    check_always(study, storage=up.home.checkpoints)
    assert up.part("serve") != api
    assert await_next(study, note) == note.attempt  # our own absence costs nobody a lease
    check_always(study, storage=up.home.checkpoints)


def test_a_killed_fleet(up: Up, study: Study) -> None:
    note = middle(study)
    fleet = up.fleet()
    theirs = processes.offspring(fleet)
    processes.kill(fleet)
    check_always(study, storage=up.home.checkpoints)
    assert up.fleet() != fleet
    await_next(study, note)
    study.await_finished(finished(study) + 2)
    check_always(study, storage=up.home.checkpoints)
    await_found(lambda: not any(map(processes.alive, theirs)), seconds=60, what="the old Ray's end")


def test_the_study_comes_to_its_end(up: Up, study: Study) -> None:
    with up.client() as client:
        trials = close(client, study)
    study.await_end()
    check_ended(study, trials=trials, storage=up.home.checkpoints)
    check_log(up.api_log)


def test_a_killed_postgres(up: Up) -> None:
    study = begun(up, "postgres", trials=8)
    note = middle(study)
    postmaster = up.postmaster()
    processes.kill(postmaster)
    assert await_next(study, note) == note.attempt
    assert up.postmaster() != postmaster
    study.await_end()
    check_ended(study, trials=8, storage=up.home.checkpoints)
    assert {attempt for (attempt,) in study.read("select attempt from trial")} == {1}
    check_log(up.api_log)


def test_trimtab_up_itself_is_killed_and_then_everything_at_once(up: Up) -> None:
    study = begun(up, "up", trials=10)
    middle(study)
    parts = [up.part("serve"), up.part("suggest"), up.fleet()]
    others = processes.offspring(up.fleet())
    up.kill()
    for process in parts:
        await_found(
            lambda p=process: not processes.alive(p), seconds=10, what=f"its end: {process}"
        )
    up.start()
    middle(study)
    check_always(study, storage=up.home.checkpoints)
    up.fleet()
    up.kill()
    processes.kill(*processes.started_in(up.folder))  # as when the power fails
    up.start()
    study.await_end()
    check_ended(study, trials=10, storage=up.home.checkpoints)
    check_log(up.api_log)
    up.fleet()
    await_found(lambda: not any(map(processes.alive, others)), seconds=60, what="the old Ray's end")


def begun(up: Up, name: str, *, trials: int | None, **options: Any) -> Study:
    """A managed study that runs from now on."""
    with up.client() as client:
        made = hand_over(client, name, trials=trials, **options)
    return Study(made, up.database_url, up.code / "notes.jsonl")


def finished(study: Study) -> int:
    """How many of its trials have ended."""
    return study.read("select count(*) from trial where finished_at is not null")[0][0]


def middle(study: Study) -> Note:
    """The moment to kill: some trials have ended since the last time, and one is half-way."""
    return study.await_middle(finished=max(2, finished(study) + 1))


def await_next(study: Study, note: Note) -> int:
    """Wait until the trial that was half-way has ended; the attempt that ended it."""
    query = (
        f"select attempt from trial where finished_at > '-infinity' and public_id = '{note.trial}'"
    )

    def ended() -> int | None:
        standing = study.standing()
        rows = study.read(query) if standing else []
        return rows[0][0] if rows else None

    return await_found(ended, seconds=90, what=f"the end of the trial of {note}")


def refusals(up: Up) -> int:
    """How often the API has answered that a lease is lost."""
    return sum(request["status"] == 409 for request in requests(up.api_log))
