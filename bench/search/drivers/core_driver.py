"""A searcher of ours called in this process, every suggestion computed from all that is known.

The argument is the searcher's settings as JSON; the scheduler, where trials report steps, is ours
by default (`auto`).
"""

import math
import sys
from dataclasses import replace

from protocol import Solver, serve
from pydantic import TypeAdapter

from search.problem import Objective, Problem
from search.registry import SearcherSettings
from search.scheduler import Standing, Standings, Stop
from search.schedulers.auto import AutoScheduler
from search.searcher import History
from search.space import SearchSpace
from search.trial import Measurement, Trial, TrialState

METRIC = "value"


class Core(Solver):
    """One study: its trials, the memo of the latest batch, and what stands at each milestone."""

    def __init__(self, study, searcher):
        self._searcher = searcher
        self._problem = problem_of(study)
        self._budget = study.budget
        self._trials = []
        self._memo = None
        self._batch = 0
        self._scheduler = AutoScheduler()
        self._standings = {}
        self._until = {}
        self._curves = {}

    def ask(self):
        number = len(self._trials)
        history = History(
            problem=self._problem,
            trials=tuple(self._trials),
            batch=self._batch,
            memo=self._memo,
            budget=self._budget,
        )
        batch = self._searcher.suggest(history, 1)
        self._memo, self._batch = batch.memo, self._batch + 1
        chosen = batch.suggestions[0]
        self._trials.append(
            Trial(
                number=number,
                config=chosen.config,
                state=TrialState.RUNNING,
                origin=chosen.origin,
            )
        )
        self._until[number] = self._scheduler.first_step(number)
        self._curves[number] = []
        return Number(number), dict(chosen.config)

    def tell(self, handle, values, *, stopped=False):
        finite = values is not None and all(map(math.isfinite, values))
        state = TrialState.STOPPED if stopped else TrialState.COMPLETED
        self._trials[handle] = replace(
            self._trials[handle],
            state=state if finite else TrialState.INFEASIBLE,
            values=self._named(values) if finite else {},
            measurements=tuple(self._curves[handle]),
        )

    def report(self, handle, step, value):
        self._curves[handle].append(Measurement(step=step, values={METRIC: value}))
        until = self._until[handle]
        return until is not None and step >= until and self._decide(handle, step, value)

    def replay(self, trials):
        for config, values in trials:
            self._trials.append(
                Trial(
                    number=len(self._trials),
                    config=config,
                    state=TrialState.COMPLETED,
                    values=self._named(values),
                    origin={"by": "import"},
                )
            )

    def _named(self, values):
        metrics = [objective.metric for objective in self._problem.objectives]
        return dict(zip(metrics, values, strict=True))

    def _decide(self, handle, step, value):
        place = (self._scheduler.bracket(handle), step)
        entries = self._standings.setdefault(place, [])
        loss = value if math.isfinite(value) else math.inf
        entries.append(Standing(number=int(handle), loss=loss))
        decision = self._scheduler.decide(Standings(step=step, entries=entries), handle)
        if isinstance(decision, Stop):
            return True
        self._until[handle] = decision.until
        return False


class Number(int):
    """A trial's number, as a handle of its own."""


def problem_of(study):
    """The study as our search layer states it."""
    space = TypeAdapter(SearchSpace).validate_python({"parameters": study.space})
    metrics = [METRIC] if study.objectives == 1 else metrics_of(study.objectives)
    return Problem(
        space=space, objectives=[Objective(metric=metric) for metric in metrics], seed=study.seed
    )


def metrics_of(count):
    """What several objectives are called."""
    return [f"{METRIC}{index}" for index in range(count)]


if __name__ == "__main__":
    chosen = TypeAdapter(SearcherSettings).validate_json(sys.argv[1])
    serve(lambda study: Core(study, chosen))
