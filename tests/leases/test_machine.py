"""Any sequence of calls, lost answers and dead workers, against the model."""

import asyncio
import uuid
from collections.abc import Coroutine, Iterator
from typing import Any, ClassVar, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, multiple, rule

from service.errors import AlreadyTold, InvalidRequest, LeaseLost, WrongState
from service.leases.known import KnownStudy
from service.leases.metrics import Measured
from service.schemas.trials import Completed, Failed, Infeasible, Stopped
from service.trials.cancel import cancel
from tests.leases.model import MAX_ATTEMPTS, Says, Trial
from tests.leases.world import Run, World, open_world

ERRORS = {
    LeaseLost: Says.LEASE_LOST,
    AlreadyTold: Says.ALREADY_TOLD,
    WrongState: Says.WRONG_STATE,
    InvalidRequest: Says.INVALID,
}
VALUES = st.sampled_from([0.25, 0.5, 1.0])
WORKERS = st.sampled_from(["w1", "w2", "w3"])
BATCHES = st.dictionaries(st.integers(0, 5), VALUES, min_size=1, max_size=3)
Answer = TypeVar("Answer")


class Machine(RuleBasedStateMachine):
    """The server and the model side by side."""

    world: ClassVar[World]
    runner: ClassVar[asyncio.Runner]
    leases = Bundle("leases")

    def __init__(self) -> None:
        super().__init__()
        self.study: KnownStudy = self.do(
            self.world.study(max_attempts=MAX_ATTEMPTS, max_failed=1000)
        )
        self.trials: dict[int, Trial] = {}
        self.runs: dict[int, Run] = {}
        self.buffered = 0

    def do(self, what: Coroutine[Any, Any, Answer]) -> Answer:
        return self.runner.run(what)

    def says(self, what: Coroutine[Any, Any, Answer]) -> tuple[Says, Answer | None]:
        try:
            return Says.OK, self.do(what)
        except tuple(ERRORS) as error:
            return ERRORS[type(error)], None

    @initialize(target=leases, workers=st.lists(WORKERS, min_size=2, max_size=4))
    def begin(self, workers: list[str]) -> Any:
        self.suggest(len(workers) + 1)
        return multiple(*(self.take(worker) for worker in workers))

    @rule(count=st.integers(1, 3))
    def suggest(self, count: int) -> None:
        self.do(self.world.suggest(self.study, count))
        self.buffered += count

    @rule(target=leases, worker=WORKERS, lost_answer=st.booleans())
    def ask(self, worker: str, lost_answer: bool) -> Any:
        name = self.ask_for_one(worker)
        if lost_answer and isinstance(name, int):
            self.ask_again(name)
        return name

    def take(self, worker: str) -> int | None:
        lease = uuid.uuid4()
        run = self.do(self.world.ask(self.study, lease=lease, worker=worker))
        queued = [trial for trial in self.trials.values() if trial.state == "queued"]
        if run is None:
            assert not queued
            assert not self.buffered
            return None
        if queued:
            trial = self.trials[run.number]
            assert trial in queued
        else:
            assert run.number == len(self.trials)
            trial = self.trials[run.number] = Trial(run.number)
            self.buffered -= 1
        name = len(self.runs)
        trial.claim(name, worker)
        assert run.attempt == trial.attempt
        self.runs[name] = run
        return name

    @rule(name=leases)
    def ask_again(self, name: int) -> None:
        run, trial = self.runs[name], self.trials[self.runs[name].number]
        said, again = self.says(self.world.ask(self.study, lease=run.lease))
        if trial.holder == name:
            assert again is not None
            assert (again.number, again.attempt) == (run.number, run.attempt)
        else:
            assert said is Says.LEASE_LOST

    @rule(name=leases, batch=BATCHES, times=st.integers(1, 2))
    def report(self, name: int, batch: dict[int, float], times: int) -> None:
        run, trial = self.runs[name], self.trials[self.runs[name].number]
        measured = [Measured(step=step, values={"loss": v}) for step, v in batch.items()]
        for _ in range(times):
            expected, counts = trial.report(name, batch)
            said, receipt = self.says(run.send(measured))
            assert said is expected
            if receipt is not None:
                found = (receipt.accepted, receipt.already, receipt.conflicting)
                assert found == counts
                assert receipt.request == trial.request

    @rule(name=leases)
    def beat(self, name: int) -> None:
        trial = self.trials[self.runs[name].number]
        said, held = self.says(self.runs[name].beat())
        assert said is (Says.OK if trial.holder == name else Says.LEASE_LOST)
        assert held is None or held.request == trial.request

    @rule(
        name=leases,
        kind=st.sampled_from(["completed", "stopped", "failed", "infeasible"]),
        value=st.none() | VALUES,
        times=st.integers(1, 2),
    )
    def tell(self, name: int, kind: str, value: float | None, times: int) -> None:
        run, trial = self.runs[name], self.trials[self.runs[name].number]
        values = {} if value is None else {"loss": value}
        outcome = {
            "completed": Completed(values=values),
            "stopped": Stopped(values=values),
            "failed": Failed(reason="oom"),
            "infeasible": Infeasible(reason="no"),
        }[kind]
        if kind in {"failed", "infeasible"}:
            value = None  # they carry none
        for _ in range(times):
            expected = trial.tell(name, kind, value)
            said, verdict = self.says(run.tell(outcome))
            assert said is expected
            assert verdict is None or verdict.state == kind

    @rule(name=leases)
    def release(self, name: int) -> None:
        run, trial = self.runs[name], self.trials[self.runs[name].number]
        expected = trial.release(name)
        said, _ = self.says(run.release())
        assert said is expected
        self.do(self.world.now(run))

    @rule(name=leases)
    def expire(self, name: int) -> None:
        run, trial = self.runs[name], self.trials[self.runs[name].number]
        if trial.holder != name:
            assert self.do(self.world.expire(run)) is None
            return
        trial.expire()
        assert self.do(self.world.expire(run)) == trial.state
        self.do(self.world.now(run))

    @rule(target=leases, name=leases, worker=WORKERS, released=st.booleans())
    def lose_and_take(self, name: int, worker: str, released: bool) -> Any:
        if released:
            self.release(name)
        else:
            self.expire(name)
        return self.ask_for_one(worker)

    def ask_for_one(self, worker: str) -> Any:
        taken = self.take(worker)
        return multiple() if taken is None else taken

    @rule(name=leases, request=st.sampled_from(["stop", "release"]))
    def ask_for_it(self, name: int, request: str) -> None:
        run, trial = self.runs[name], self.trials[self.runs[name].number]
        update = "update lease set request = %s, request_reason = 'test' where lease_id = %s"
        self.do(self.world.rows(update, request, run.lease))
        if trial.holder == name:
            trial.request = request

    @rule(name=leases)
    def cancel(self, name: int) -> None:
        run, trial = self.runs[name], self.trials[self.runs[name].number]
        expected = trial.cancel()
        said, _ = self.says(self._cancel(run))
        assert said is expected

    async def _cancel(self, run: Run) -> None:
        async with run.call() as call:
            await cancel(call.connection, self.world.known, run.trial, "test")

    def teardown(self) -> None:
        # Each example has its own study: what the model says of it is what the tables say.
        self.do(self._compare())

    async def _compare(self) -> None:
        query = (
            "select number, state, attempt, lost, objective from trial"
            " where study_id = %s order by number"
        )
        stored = await self.world.rows(query, self.study.id)
        expected = [(t.number, t.state, t.attempt, t.lost, t.value) for t in self.trials.values()]
        assert stored == expected
        query = (
            "select t.number, m.step, m.attempt, m.value from metric m"
            " join trial t on t.id = m.trial_id where t.study_id = %s order by 1, 2"
        )
        points = [
            (t.number, step, *t.points[step])
            for t in self.trials.values()
            for step in sorted(t.points)
        ]
        assert await self.world.rows(query, self.study.id) == points
        count = await self.world.count(self.study)
        states = [t.state for t in self.trials.values()]
        assert count["next_number"] == len(states)
        assert count["running"] == states.count("running")
        assert count["finished"] == len(states) - states.count("running") - states.count("queued")
        assert count["failed"] == states.count("failed")


Machine.TestCase.settings = settings(
    max_examples=100,
    stateful_step_count=50,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture
def machine(database_url: str) -> Iterator[type[Machine]]:
    with asyncio.Runner() as runner:
        opened = open_world(database_url, size=3)
        Machine.world = runner.run(opened.__aenter__())
        Machine.runner = runner
        yield Machine
        runner.run(Machine.world.check())
        runner.run(opened.__aexit__(None, None, None))


def test_whatever_happens_is_what_the_model_says(machine: type[Machine]) -> None:
    machine.TestCase("runTest").runTest()
