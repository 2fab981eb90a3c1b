"""When an attempt is over, without processes and without waiting."""

import pytest

from workers.events import Event, Gone, Leave, Lost, Requested, Said
from workers.settings import Timings
from workers.watch import Died, Finished, Forgotten, GivenBack, Halted, Overdue, Verdict, Watch

T = Timings(settle=1, telling=30, stop_grace=10, release_grace=20)
ENDING = Said("ending")
ENDED = Said("ended", {"healthy": True})
STOP, RELEASE = Requested("stop", "enough"), Requested("release", "paused")


def play(*events: tuple[float, Event], until: float = 1e6, most: float | None = None) -> object:
    """The verdict and when it fell; the watch itself when nothing has decided by `until`."""
    watch = Watch(timings=T, began=0.0, max_seconds=most)
    for at, event in events:
        if (late := due(watch, at)) is not None:
            return late
        step = watch.after(event, at)
        if not isinstance(step, Watch):
            return at, step
        watch = step
    return due(watch, until) or watch


def due(watch: Watch, now: float) -> tuple[float, Verdict] | None:
    deadline = watch.deadline()
    if deadline is None or deadline > now:
        assert watch.expired(now) is None
        return None
    verdict = watch.expired(deadline)
    assert verdict is not None
    return deadline, verdict


@pytest.mark.parametrize(
    ("events", "most", "expected"),
    [
        pytest.param([(5, ENDING), (6, ENDED)], 9, (6, Finished(healthy=True)), id="as it should"),
        pytest.param([(5, Said("ended"))], None, (5, Finished(healthy=False)), id="unhealthy"),
        pytest.param([(5, Gone(-9))], None, (5, Died(-9)), id="killed"),
        pytest.param([(5, ENDING), (6, Gone(1))], None, (6, Died(1)), id="died while telling"),
        pytest.param([], 9, (9, Overdue(9)), id="too long"),
        pytest.param([(5, ENDING), (50, ENDED)], 9, (50, Finished(True)), id="telling is not late"),
        pytest.param([(5, Lost())], None, (6, Forgotten()), id="cancelled"),
        pytest.param([(5, Lost()), (5.5, Gone(1))], None, (5.5, Forgotten()), id="lost, then dead"),
        pytest.param([(5, ENDING), (6, Lost())], None, (36, Forgotten()), id="told, then silent"),
        pytest.param(
            [(5, Lost()), (5.5, ENDING)], None, (35.5, Forgotten()), id="lost, telling, silent"
        ),
        pytest.param(
            [(5, ENDING), (6, Lost()), (7, ENDED)], None, (7, Finished(True)), id="told in between"
        ),
        pytest.param([(5, STOP)], None, (15, Halted("enough")), id="does not stop"),
        pytest.param([(5, STOP), (8, STOP)], None, (15, Halted("enough")), id="asked twice"),
        pytest.param([(5, STOP), (9, ENDING), (60, ENDED)], None, (60, Finished(True)), id="stops"),
        pytest.param([(5, STOP)], 9, (9, Overdue(9)), id="stop and too long"),
        pytest.param([(5, RELEASE)], None, (25, GivenBack("paused")), id="does not release"),
        pytest.param([(5, Leave("bye"))], None, (5, GivenBack("bye")), id="leave"),
        pytest.param([(5, ENDING), (6, Leave("bye"))], None, (7, GivenBack("bye")), id="leave now"),
        pytest.param(
            [(5, ENDING), (6, Leave("bye")), (6.5, ENDED)], None, (6.5, Finished(True)), id="told"
        ),
    ],
)
def test_how_an_attempt_ends(
    events: list[tuple[float, Event]], most: float | None, expected: tuple[float, Verdict]
) -> None:
    assert play(*events, most=most) == expected


def test_nothing_ends_an_attempt_that_runs() -> None:
    assert isinstance(play((1, Said("other")), until=8.9, most=9), Watch)
