"""A live look at a study in the terminal."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live

from trimtab._view import config_text, number, render
from trimtab.models import Changes, TrialInfo

if TYPE_CHECKING:
    from trimtab.study import Study

Check = Callable[[Changes], None]
POLL_SECONDS = 2.0  # a change is shown at once, and time goes on without one
ENDED = frozenset({"completed", "stopped", "infeasible", "failed", "cancelled"})


def watch(
    study: "Study", *, on_change: Check | None = None, console: Console | None = None
) -> None:
    """Show the study until it has ended; where there is no terminal, a line for each ended trial.

    `on_change` is called with each change, and may raise to end the show.
    """
    console = console or Console()
    if console.is_terminal:
        _live(study, on_change, console)
    else:
        _lines(study, on_change, console)


def _live(study: "Study", on_change: Check | None, console: Console) -> None:
    trials: dict[int, TrialInfo] = {}
    with Live(console=console, refresh_per_second=4) as live:
        for changes in study.changes(wait=POLL_SECONDS):
            trials.update((trial.number, trial) for trial in changes.items)
            curves = study.curves() if trials else []
            live.update(render(study.refresh(), trials, curves, datetime.now(UTC)))
            if on_change:
                on_change(changes)


def _lines(study: "Study", on_change: Check | None, console: Console) -> None:
    metric = study.info.objectives[0].metric
    shown: set[int] = set()
    for changes in study.changes(wait=POLL_SECONDS):
        for trial in changes.items:
            if trial.state in ENDED and trial.number not in shown:
                shown.add(trial.number)
                console.print(_line(trial, metric), soft_wrap=True, markup=False, highlight=False)
        if on_change:
            on_change(changes)


def _line(trial: TrialInfo, metric: str) -> str:
    value = f"  {metric}={number(trial.values[metric])}" if metric in trial.values else ""
    reason = f" ({trial.reason})" if trial.reason else ""
    return f"trial {trial.number}  {trial.state}{reason}{value}  {config_text(trial.config)}"
