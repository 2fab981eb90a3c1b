"""What every scheduler promises.  Fill the one hole, `scheduler`, to hold one to it."""

import math
from typing import ClassVar

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from search.registry import SchedulerSettings
from search.scheduler import Continue, Scheduler, Standing, Standings, Stop

SETTINGS = TypeAdapter(SchedulerSettings)

losses = st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.just(math.inf))
# One property runs in every class that fills the hole.
shared = settings(suppress_health_check=[HealthCheck.differing_executors])


def standings(step, values):
    entries = [Standing(number=number, loss=loss) for number, loss in enumerate(values)]
    return Standings(step=step, entries=entries)


class SchedulerContract:
    """Subclass it and set `scheduler`."""

    scheduler: ClassVar[Scheduler]
    judges: ClassVar[bool] = True

    @shared
    @given(st.integers(0, 10**6))
    def test_the_first_milestone_is_a_step(self, number):
        first = self.scheduler.first_step(number)
        assert (first is not None) is self.judges
        assert first is None or first >= 0
        assert self.scheduler.bracket(number) >= 0

    @shared
    @given(st.integers(0, 10**6), st.lists(losses, min_size=1, max_size=40), st.randoms())
    def test_decisions_depend_on_the_standings_and_nothing_else(self, step, values, random):
        table = standings(step, values)
        shuffled = Standings(step=step, entries=random.sample(table.entries, len(values)))
        for number in range(len(values)):
            decision = self.scheduler.decide(table, number)
            assert decision == self.scheduler.decide(shuffled, number)
            match decision:
                case Continue(until=until):
                    assert until is None or until > step
                case Stop(reason=reason):
                    assert reason
                    assert self.judges

    @shared
    @given(st.integers(0, 10**6), st.lists(losses, min_size=1, max_size=40))
    def test_the_best_trial_is_never_stopped(self, step, values):
        best = min(range(len(values)), key=values.__getitem__)
        if math.isfinite(values[best]):
            assert isinstance(self.scheduler.decide(standings(step, values), best), Continue)

    @shared
    @given(st.lists(losses, max_size=40))
    def test_a_loss_that_is_not_finite_ends_the_trial(self, others):
        decision = self.scheduler.decide(standings(9, [math.inf, *others]), 0)
        assert isinstance(decision, Stop) is self.judges

    def test_settings_survive_the_wire(self):
        assert SETTINGS.validate_json(SETTINGS.dump_json(self.scheduler)) == self.scheduler
