"""A tuning study in this process, to compare searchers and schedulers at equal epochs.

The recipe trains as it does on the fleet: its own `main` is called with a trial that keeps what it
reports and asks the scheduler at its milestones.  Two trials at a time are imitated: the one before
counts as running, its outcome not yet known, when the next is suggested.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from pydantic import TypeAdapter
from trimtab.decision import Decision

from search.problem import Objective, Problem
from search.scheduler import Scheduler, Standing, Standings, Stop
from search.searcher import History, Memo, Searcher, Suggestion
from search.space import SearchSpace
from search.trial import Measurement, Trial, TrialState
from search.values import Config
from workers.recipes.torch_classifier.program import main as train
from workers.recipes.torch_classifier.space import space

METRIC = "val_loss"


@dataclass(frozen=True, slots=True)
class Task:
    """One study: what chooses, what stops, from which seed, and for how many epochs."""

    searcher: Searcher
    scheduler: Scheduler
    seed: int
    epochs_of_trial: int
    epochs: int  # after so many no trial is begun


@dataclass(frozen=True, slots=True)
class Found:
    """The best completed trial of a study, and what it took to find it."""

    val_loss: float
    val_accuracy: float
    test_loss: float
    test_accuracy: float
    number: int
    config: dict[str, object]
    trials: int
    completed: int
    epochs: int
    by: dict[str, int]  # trials by what proposed them
    best_after: list[list[float]]  # [epochs spent, best val_loss by then]


@dataclass
class Study:
    """A study as it runs."""

    task: Task
    trials: list[Trial] = field(default_factory=list)
    standings: dict[tuple[int, int], list[Standing]] = field(default_factory=dict)
    epochs: int = 0
    memo: Memo | None = None
    best_after: list[list[float]] = field(default_factory=list)

    def run(self) -> Found:
        """Run trials until the epochs are spent."""
        while self.epochs < self.task.epochs:
            self._one()
        return self._found()

    def _one(self) -> None:
        number = len(self.trials)
        suggestion = self._suggest(number)
        handle = Handle(self, number, suggestion.config)
        train(handle, {"epochs": self.task.epochs_of_trial, "split_seed": self.task.seed})  # type: ignore[arg-type]
        self.epochs += len(handle.measurements)
        self.trials.append(
            Trial(
                number=number,
                config=suggestion.config,
                state=handle.state(),
                measurements=tuple(handle.measurements),
                values=dict(handle.measurements[-1].values),
                origin=suggestion.origin,
            )
        )
        self.best_after.append([self.epochs, min(map(self._loss, self.trials))])

    def _suggest(self, number: int) -> Suggestion:
        problem = _problem(self.task.seed)
        defaults = problem.space.defaults()
        if number == 0 and defaults is not None:
            return Suggestion(config=defaults, origin={"by": "defaults"})
        history = History(problem=problem, trials=self._as_known(), batch=number, memo=self.memo)
        batch = self.task.searcher.suggest(history, 1)
        self.memo = batch.memo
        return batch.suggestions[0]

    def _as_known(self) -> list[Trial]:
        """The trials, the last of them still running."""
        last = replace(self.trials[-1], state=TrialState.RUNNING, measurements=(), values={})
        return [*self.trials[:-1], last]

    def _loss(self, trial: Trial) -> float:
        return trial.values[METRIC] if trial.state is TrialState.COMPLETED else math.inf

    def _found(self) -> Found:
        best = min(self.trials, key=self._loss)
        by: dict[str, int] = {}
        for trial in self.trials:
            name = str(trial.origin["by"])
            by[name] = by.get(name, 0) + 1
        return Found(
            val_loss=best.values[METRIC],
            val_accuracy=best.values["val_accuracy"],
            test_loss=best.values["test_loss"],
            test_accuracy=best.values["test_accuracy"],
            number=best.number,
            config=dict(best.config),
            trials=len(self.trials),
            completed=sum(trial.state is TrialState.COMPLETED for trial in self.trials),
            epochs=self.epochs,
            by=by,
            best_after=[pair for pair in self.best_after if math.isfinite(pair[1])],
        )


class Handle:
    """What the recipe sees of its trial."""

    def __init__(self, study: Study, number: int, config: Config) -> None:
        self.config = dict(config)
        self.seed = study.task.seed * 100_003 + number
        self.measurements: list[Measurement] = []
        self._study = study
        self._number = number
        self._until = study.task.scheduler.first_step(number)
        self._stopped = False

    def report(self, step: int, values: Mapping[str, float]) -> Decision:
        """Keep the measurements, and let the scheduler decide at a milestone."""
        self.measurements.append(Measurement(step=step, values=dict(values)))
        if self._until is not None and step >= self._until:
            self._decide(step, values[METRIC])
        return Decision("stop" if self._stopped else "continue", self._until)

    def load_checkpoint(self) -> None:
        """A trial begins from nothing."""

    def save_checkpoint(self, content: bytes, *, step: int) -> bool:
        """No trial is lost here, so none is kept."""
        return False

    def state(self) -> TrialState:
        """How the trial ended."""
        if self._stopped:
            return TrialState.STOPPED
        finite = math.isfinite(self.measurements[-1].values[METRIC])
        return TrialState.COMPLETED if finite else TrialState.INFEASIBLE

    def _decide(self, step: int, value: float) -> None:
        scheduler = self._study.task.scheduler
        place = (scheduler.bracket(self._number), step)
        loss = value if math.isfinite(value) else math.inf
        entries = self._study.standings.setdefault(place, [])
        entries.append(Standing(number=self._number, loss=loss))
        decision = scheduler.decide(Standings(step=step, entries=entries), self._number)
        if isinstance(decision, Stop):
            self._stopped = True
        else:
            self._until = decision.until


def _problem(seed: int) -> Problem:
    document = {"parameters": [parameter.to_json() for parameter in space()]}
    found = TypeAdapter(SearchSpace).validate_python(document)
    return Problem(space=found, objectives=[Objective(metric=METRIC)], seed=seed)
