"""Playing one task with one solver: the loop between asks and tells, and the value it comes to."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from bench.search.hypervolume import hypervolume
from bench.search.session import Session
from bench.search.tasks.task import Curve, Evaluate, Seen, Task


class Solver(Protocol):
    """What a loop needs of a session."""

    def ask(self) -> tuple[int, dict[str, object]]: ...
    def report(self, number: int, step: int, value: float) -> bool: ...
    def tell(
        self, number: int, values: Sequence[float] | None, *, stopped: bool = False
    ) -> None: ...
    def best(self) -> int | None: ...


@dataclass
class Played:
    """The trials of a study, by number; those that were stopped early have no true values."""

    seen: dict[int, Seen] = field(default_factory=dict)
    stopped: int = 0
    spent: int = 0  # trials or, where they report, steps


@dataclass(frozen=True)
class Result:
    """What a study came to: the value to be scored, and what it took."""

    value: float
    trials: int
    stopped: int
    cpu_seconds: float  # of the solver, all trials together


def play(task: Task, session: Session, seed: int) -> Result:
    """One study of the task's budget.  The seed is the solver's, and that of the noise."""
    session.start(
        task.space,
        seed=seed,
        budget=task.trials,
        objectives=task.objectives,
        parallel=task.parallel,
        steps=task.steps,
    )
    before = session.cpu
    if task.load_curve is not None:
        played = run_curves(task, session, task.load_curve())
    else:
        assert task.load is not None
        played = run_trials(task, session, task.load(), seed)
    best = session.best()
    return Result(
        value=value_of(task, played, best),
        trials=len(played.seen) + played.stopped,
        stopped=played.stopped,
        cpu_seconds=session.cpu - before,
    )


def run_trials(task: Task, solver: Solver, evaluate: Evaluate, seed: int) -> Played:
    """Trials of equal length: with `parallel` running, the one begun first ends first."""
    played = Played()
    running: deque[tuple[int, Seen]] = deque()
    for index in range(task.budget):
        if len(running) == task.parallel:
            _finish(played, solver, running.popleft())
        number, config = solver.ask()
        running.append((number, evaluate(config, noise_seed(seed, index))))
    while running:
        _finish(played, solver, running.popleft())
    played.spent = task.budget
    return played


def _finish(played: Played, solver: Solver, trial: tuple[int, Seen]) -> None:
    number, seen = trial
    solver.tell(number, seen.told)
    played.seen[number] = seen


def run_curves(task: Task, solver: Solver, curve: Curve) -> Played:
    """Trials that report after each step, until the steps of the budget are spent.

    A trial that the budget cuts off counts for nothing.
    """
    played = Played()
    while played.spent < task.budget:
        number, config = solver.ask()
        value, step, stop = float("inf"), 0, False
        for value in curve(config):
            stop = solver.report(number, step, value)
            step, played.spent = step + 1, played.spent + 1
            if stop or played.spent >= task.budget:
                break
        full = step == task.steps
        solver.tell(number, [value], stopped=not full)
        if full:
            played.seen[number] = Seen.exactly(value)
        else:
            played.stopped += 1
    return played


def noise_seed(seed: int, index: int) -> int:
    """The seed of the noise of a study's index-th trial: the same for every solver."""
    return seed * 100_003 + index


def value_of(task: Task, played: Played, best: int | None) -> float:
    """The value that a study is scored on, lower is better.

    One objective: the true value of the trial that the solver recommends, or of the one with the
    lowest value told.  Several: the hypervolume of all trials, with its sign turned.
    """
    if task.objectives > 1:
        return -hypervolume([seen.true for seen in played.seen.values()], task.reference)
    chosen = best if best in played.seen else min(played.seen, key=lambda n: played.seen[n].told)
    return played.seen[chosen].true[0]
