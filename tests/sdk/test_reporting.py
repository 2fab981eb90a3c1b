"""Buffer, reporter and keeper, with a clock that stands still and no thread."""

import math
import threading

import httpx
import pytest
from trimtab._buffer import BATCH_STEPS, Buffer, to_wire
from trimtab._keeper import Keeper
from trimtab._reporter import FLUSH_SECONDS, FLUSH_STEPS, Reporter
from trimtab._retry import Retry
from trimtab.decision import Decision
from trimtab.errors import ConnectionFailed, InvalidRequest, LeaseLost, Released


@pytest.fixture
def reporter(lease, clock):
    return lambda **asked: Reporter(lease(**asked), clock)


def steps(fake):
    return [m["step"] for m in fake.measured["tr_0"]]


# the buffer


def test_a_second_report_at_a_step_adds_metrics_and_changes_none():
    buffer = Buffer()
    buffer.add(3, {"loss": 1.0}, 0.5)
    buffer.add(3, {"loss": 2.0, "accuracy": 0.9}, 0.7)
    assert buffer.take() == [
        {"step": 3, "values": {"loss": 1.0, "accuracy": 0.9}, "elapsed_seconds": 0.5}
    ]
    assert len(buffer) == 0


def test_what_was_not_sent_comes_back_before_what_came_later():
    buffer = Buffer()
    buffer.add(0, {"loss": 1.0}, 0.0)
    batch = buffer.take()
    buffer.add(1, {"loss": 2.0}, 1.0)
    buffer.add(0, {"loss": 9.0, "late": 1.0}, 1.0)
    buffer.put_back(batch)
    assert [(m["step"], m["values"]) for m in buffer.take()] == [
        (0, {"loss": 1.0, "late": 1.0}),
        (1, {"loss": 2.0}),
    ]


def test_a_full_buffer_keeps_every_other_step_and_the_last():
    buffer = Buffer(most=10)
    for step in range(11):
        buffer.add(step, {"loss": float(step)}, 0.0)
    assert [m["step"] for m in buffer.take()] == [0, 2, 4, 6, 8, 10]
    assert buffer.given_up == 5


def test_a_buffer_never_grows_beyond_its_size():
    buffer = Buffer(most=100)
    for step in range(10_000):
        buffer.add(step, {"loss": 1.0}, 0.0)
        assert len(buffer) <= 100
    taken = [m["step"] for m in buffer.take()]
    assert taken[-1] == 9_999
    assert buffer.given_up == 10_000 - len(taken)


def test_a_batch_carries_what_one_request_may():
    buffer = Buffer()
    for step in range(BATCH_STEPS + 5):
        buffer.add(step, {"loss": 1.0}, 0.0)
    assert [len(buffer.take()) for _ in range(3)] == [BATCH_STEPS, 5, 0]
    wide = {f"m{n}": 1.0 for n in range(200)}
    for step in range(60):
        buffer.add(step, wide, 0.0)
    assert [len(buffer.take()) for _ in range(4)] == [25, 25, 10, 0]


def test_numbers_that_json_lacks_travel_as_text():
    buffer = Buffer()
    buffer.add(0, {"a": math.nan, "b": math.inf, "c": -math.inf, "d": 0.5}, 0.0)
    (measurement,) = to_wire(buffer.take())
    assert measurement["values"] == {"a": "NaN", "b": "Infinity", "c": "-Infinity", "d": 0.5}


# the reporter


def test_below_the_milestone_nothing_is_sent(fake, reporter):
    made = reporter(until=5)
    assert [made.report(step, {"loss": 1.0}) for step in range(5)] == [Decision(until=5)] * 5
    assert fake.requests == []
    assert made.pending == 5


def test_without_a_milestone_nothing_is_sent(fake, reporter):
    made = reporter(until=None)
    for step in range(1000):
        made.report(step, {"loss": 1.0})
    assert fake.requests == []


def test_at_the_milestone_all_is_sent_and_the_answer_is_returned(fake, reporter):
    fake.until = 2
    made = reporter(until=2)
    decisions = [made.report(step, {"loss": 1.0}) for step in range(3)]
    assert steps(fake) == [0, 1, 2]
    assert decisions[2] == Decision(until=12)
    assert len(fake.calls("/measurements")) == 1


def test_a_step_past_the_milestone_waits_as_well(fake, reporter):
    fake.until = 2
    reporter(until=2).report(7, {"loss": 1.0})
    assert steps(fake) == [7]


def test_once_stopped_no_report_waits_any_more(fake, reporter):
    fake.until = 0
    fake.decision = {"kind": "stop", "reason": "slow"}
    made = reporter(until=0)
    assert made.report(0, {"loss": 1.0}).stop
    assert made.report(50, {"loss": 1.0}) == Decision("stop", 10, "slow")
    assert steps(fake) == [0]


def test_a_stop_stays_whatever_comes_after(reporter):
    made = reporter()
    made.request("stop", "first")
    made.request("release", "second")
    assert made.decision == Decision("stop", None, "first")
    other = reporter()
    other.request("release", "first")
    other.request("stop", "second")
    assert other.decision.kind == "stop"


def test_a_release_is_shown_once_and_then_interrupts(fake, reporter):
    made = reporter()
    made.request("release", "paused")
    assert made.report(0, {"loss": 1.0}).kind == "release"
    with pytest.raises(Released, match="paused"):
        made.report(1, {"loss": 1.0})


def test_an_older_answer_does_not_bring_a_milestone_back(fake, reporter):
    fake.until = 2
    made = reporter(until=2)
    made.report(2, {"loss": 1.0})
    assert made.decision.until == 12
    made.beat()  # answered from before: until 2
    assert made.decision.until == 12


def test_a_cancelled_flush_keeps_everything(fake, reporter):
    made = reporter()
    made.report(0, {"loss": 1.0})
    cancel = threading.Event()
    cancel.set()
    made.flush(cancel)
    assert made.pending == 1
    made.flush()
    assert steps(fake) == [0]


def test_a_flush_that_may_give_up_keeps_everything(fake, reporter):
    fake.script["/measurements"] = [httpx.ConnectError("refused")] * 100
    made = reporter()
    made.report(0, {"loss": 1.0})
    with pytest.raises(ConnectionFailed):
        made.flush(retry=Retry(patience=5.0))
    assert made.pending == 1


def test_what_the_server_refuses_is_raised_at_the_next_report(fake, reporter, wire):
    fake.script["/measurements"] = [wire.problem(422, "invalid_request", detail="bad name")]
    made = reporter()
    made.report(0, {"loss": 1.0})
    made.flush()
    with pytest.raises(InvalidRequest, match="bad name"):
        made.report(1, {"loss": 1.0})
    assert made.report(2, {"loss": 1.0}) == Decision()


def test_a_lost_lease_is_raised_at_every_report(fake, reporter, wire):
    fake.script["heartbeat"] = [wire.problem(409, "lease_lost")]
    made = reporter()
    made.report(0, {"loss": 1.0})
    made.beat()
    assert made.pending == 0
    for _ in range(2):
        with pytest.raises(LeaseLost):
            made.report(1, {"loss": 1.0})


def test_a_decision_is_neither_true_nor_false():
    with pytest.raises(TypeError, match=r"decision\.stop"):
        bool(Decision())


# the keeper


def test_the_lease_is_renewed_after_a_third_of_its_time(fake, reporter, clock):
    made = reporter(lease_seconds=60.0)
    keeper = Keeper(made, clock)
    assert keeper.tick() == pytest.approx(20.0)
    assert fake.heartbeats == 0
    clock.time += 20.0
    assert keeper.tick() == pytest.approx(20.0)
    assert fake.heartbeats == 1


def test_a_renewal_that_the_server_shortens_is_followed(fake, reporter, clock):
    fake.lease_seconds = 3.0
    keeper = Keeper(reporter(lease_seconds=60.0), clock)
    clock.time += 20.0
    assert keeper.tick() == pytest.approx(1.0)


def test_measurements_wait_five_seconds_and_then_renew_the_lease_too(fake, reporter, clock):
    made = reporter(lease_seconds=60.0)
    keeper = Keeper(made, clock)
    clock.time += 10.0
    made.report(0, {"loss": 1.0})
    assert keeper.tick() == pytest.approx(FLUSH_SECONDS)
    assert fake.requests == []
    clock.time += FLUSH_SECONDS
    assert keeper.tick() == pytest.approx(20.0)
    assert steps(fake) == [0]
    assert fake.heartbeats == 0


def test_a_hundred_steps_do_not_wait(fake, reporter, clock):
    made = reporter()
    woken = []
    made.wake = lambda: woken.append(made.pending)
    for step in range(FLUSH_STEPS):
        made.report(step, {"loss": 1.0})
    assert woken == [FLUSH_STEPS]
    Keeper(made, clock).tick()
    assert len(steps(fake)) == FLUSH_STEPS


def test_without_heartbeat_only_measurements_are_sent(fake, reporter, clock):
    made = reporter(lease_seconds=6.0)
    keeper = Keeper(made, clock, heartbeat=False)
    clock.time += 100.0
    keeper.tick()
    assert fake.requests == []
    made.report(0, {"loss": 1.0})
    clock.time += FLUSH_SECONDS
    keeper.tick()
    assert (steps(fake), fake.heartbeats) == ([0], 0)


def test_a_request_that_comes_with_a_heartbeat_surfaces_at_the_next_report(fake, reporter, clock):
    fake.request = {"kind": "stop", "reason": "enough"}
    made = reporter()
    keeper = Keeper(made, clock)
    clock.time += 20.0
    keeper.tick()
    assert made.report(0, {"loss": 1.0}) == Decision("stop", None, "enough")


# trust


def test_trust_counts_from_when_the_renewal_was_sent(fake, lease, clock):
    made = lease(lease_seconds=60.0)

    def slow(request):
        clock.time += 30.0  # the answer takes its time
        return fake.answer(request)

    clock.time += 20.0
    fake.script["heartbeat"] = [slow]
    made.heartbeat()
    assert made.renewed_at == clock.time - 30.0
    clock.time += 29.9
    assert made.trusted
    clock.time += 0.2
    assert not made.trusted


def test_a_renewal_that_failed_first_counts_from_the_try_that_succeeded(fake, lease, clock):
    made = lease()
    fake.script["heartbeat"] = [httpx.ReadTimeout("slow")]
    made.heartbeat()
    assert made.renewed_at == clock.time


def test_an_answer_that_was_overtaken_does_not_shorten_trust(fake, lease, clock):
    made = lease()

    def overtaken(request):
        clock.time += 1.0
        made.heartbeat()  # a later one, answered earlier
        clock.time += 1.0
        return fake.answer(request)

    fake.script["/measurements"] = [overtaken]
    clock.time += 10.0
    made.report([{"step": 0, "values": {"loss": 1.0}}])
    assert made.renewed_at == clock.time - 1.0
