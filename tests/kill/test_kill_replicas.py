"""kill -9 of the API's replicas, in the middle of a managed study with 3 s leases."""

import psycopg

from tests.kill import processes
from tests.kill.byhand import ByHand
from tests.kill.checks import check_always, check_ended, check_log
from tests.kill.study import LEASE_SECONDS, Study, agent_of, hand_over
from tests.kill.waiting import await_found

TRIALS = 11
REPLICAS = ("api-1", "api-2")
# The second beat since the service is back: a look at the leases lies between the two.
LOOKED = "select up_since > {} and last_ok > up_since + interval '0.5 s' from liveness"
RUN_OUT = "select count(*) > 0 and bool_and(expires_at < clock_timestamp()) from lease"


def test_killed_replicas(by_hand: ByHand) -> None:
    for name in REPLICAS:
        by_hand.serve(name)
    by_hand.suggest()
    by_hand.fleet()
    with by_hand.client() as client:
        made = hand_over(client, "replicas", trials=TRIALS)
    notes = by_hand.folder / "code" / "notes.jsonl"
    study = Study(made, by_hand.database_url, notes)

    one_of_two(by_hand, study)
    the_only_one(by_hand, study)

    study.await_end()
    check_ended(study, trials=TRIALS, storage=by_hand.storage)
    # An absence of ours is no worker's fault: no lease was taken from anybody.
    assert {attempt for (attempt,) in study.read("select attempt from trial")} == {1}
    for name in REPLICAS:
        check_log(by_hand.log(name))


def one_of_two(by_hand: ByHand, study: Study) -> None:
    """Kill the busier one, then, when it is back, the other one."""
    study.await_middle()
    first = max(REPLICAS, key=by_hand.connections)
    assert by_hand.connections(first) > 0
    other = next(name for name in REPLICAS if name != first)
    finished = study.await_finished(2)
    by_hand.kill(first)
    study.await_finished(finished + 2)
    check_always(study, storage=by_hand.storage)
    by_hand.serve(first)
    study.await_middle()
    by_hand.kill(other)
    check_always(study, storage=by_hand.storage)


def the_only_one(by_hand: ByHand, study: Study) -> None:
    """Kill the one that is left for longer than a lease.

    One worker tries all the time to renew its lease; the other one comes back only when the API has
    looked after expired leases again.
    """
    note = study.await_middle()
    late = agent_of(by_hand.process("fleet"), note)
    silent = [late, *processes.offspring(late)]
    for process in silent:
        process.suspend()
    by_hand.kill(next(name for name in REPLICAS if by_hand.runs(name)))
    await_row(study, RUN_OUT, seconds=LEASE_SECONDS + 5, what="leases that have run out")
    before = study.read("select quote_literal(last_ok) from liveness")[0][0]
    by_hand.serve(REPLICAS[0])
    await_row(study, LOOKED.format(before), seconds=20, what="a look at expired leases")
    for process in silent:
        process.resume()
    by_hand.serve(REPLICAS[1])


def await_row(study: Study, statement: str, *, seconds: float, what: str) -> None:
    """Wait until the statement finds that it is so."""
    with psycopg.connect(study.database_url, autocommit=True) as connection:
        await_found(lambda: connection.execute(statement).fetchone()[0], seconds=seconds, what=what)
