"""A study drawn for the terminal: pure, from what was read to what rich prints."""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from trimtab.models import Curve, StudyInfo, TrialInfo, Value

BARS = "▁▂▃▄▅▆▇█"
ROWS = 12
STYLES = {
    "running": "cyan",
    "completed": "green",
    "stopped": "yellow",
    "failed": "red",
    "infeasible": "magenta",
    "cancelled": "dim",
    "queued": "dim",
}


def render(
    info: StudyInfo,
    trials: Mapping[int, TrialInfo],
    curves: Sequence[Curve],
    now: datetime,
) -> RenderableType:
    """The study as it stands: a headline, how far it is, the best so far, and the latest trials."""
    parts: list[RenderableType] = [_headline(info, now)]
    if info.budget.trials:
        bar = ProgressBar(info.budget.trials, info.trials.finished, width=60)
        parts.append(Padding(bar, 0))  # a bar alone ends no line
    parts.append(_best(info))
    parts.append(trial_table(info, latest(trials), {c.number: c for c in curves}))
    return Group(*parts)


def trial_table(info: StudyInfo, trials: Sequence[TrialInfo], curves: Mapping[int, Curve]) -> Table:
    """A row for each trial."""
    metric = info.objectives[0].metric
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("trial", "state", metric, "curve", "step", "config", "by"):
        table.add_column(column, no_wrap=column != "config", overflow="fold")
    best = info.best.number if info.best else None
    for trial in trials:
        table.add_row(
            f"{trial.number}{' *' if trial.number == best else ''}",
            Text(trial.state, STYLES.get(trial.state, "")),
            number(trial.values.get(metric)),
            sparkline(curves[trial.number].values) if trial.number in curves else "",
            "" if trial.last_step is None else str(trial.last_step),
            config_text({**trial.config, **trial.context}),
            str(trial.origin.get("by", "")),
        )
    return table


def latest(trials: Mapping[int, TrialInfo], rows: int = ROWS) -> list[TrialInfo]:
    """The trials to show: the running ones first, then the youngest."""
    order = sorted(trials.values(), key=lambda t: (t.state != "running", -t.number))
    return order[:rows]


def sparkline(values: Sequence[float], width: int = 16) -> str:
    """The values as a row of bars, the lowest to the highest; non-finite ones are gaps."""
    last = len(values) - 1
    few = last < width
    shown = values if few else [values[i * last // (width - 1)] for i in range(width)]
    finite = [value for value in shown if math.isfinite(value)]
    if not finite:
        return ""
    low, span = min(finite), max(finite) - min(finite)
    return "".join(
        BARS[round((value - low) / span * 7) if span else 3] if math.isfinite(value) else " "
        for value in shown
    )


def time_left(info: StudyInfo, now: datetime) -> float | None:
    """Seconds until the budget is used up at the pace so far; None when nobody can say."""
    if info.started_at is None:
        return None
    spent = (now - info.started_at).total_seconds()
    limits = []
    if info.budget.hours:
        limits.append(info.budget.hours * 3600 - spent)
    if info.budget.trials and info.trials.finished:
        left = info.budget.trials - info.trials.finished
        limits.append(left * spent / info.trials.finished)
    return max(0.0, min(limits)) if limits else None


def number(value: float | None) -> str:
    """A number in few digits."""
    return "" if value is None else f"{value:.5g}"


def config_text(config: Mapping[str, Value]) -> str:
    """A config in one line."""
    return "  ".join(
        f"{name}={number(value) if isinstance(value, float) else value}"
        for name, value in config.items()
    )


def duration(seconds: float) -> str:
    """Seconds as 1:02:03 or 2:03."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


# Why a study ended, where a word of the service says so; anything else was written by a person.
REASONS = {
    "trials": "all trials have run",
    "hours": "its time is up",
    "target": "the target is reached",
    "exhausted": "no untried config is left",
}


def why(reason: str) -> str:
    """The reason of a study's state in words."""
    return REASONS.get(reason, reason)


def _headline(info: StudyInfo, now: datetime) -> Text:
    counts = info.trials
    parts = [
        f"{count} {name}"
        for name, count in counts.model_dump().items()
        if count and isinstance(count, int)
    ]
    line = Text.assemble((info.name, "bold"), "  ", info.state)
    if info.state_reason:
        line.append(f" ({why(info.state_reason)})")
    line.append("  " + (", ".join(parts) or "no trials yet"))
    left = time_left(info, now)
    if left is not None and info.finished_at is None:
        line.append(f"  about {duration(left)} left", "dim")
    return line


def _best(info: StudyInfo) -> Text:
    if info.best is None:
        return Text("no completed trial yet", "dim")
    metric = info.objectives[0].metric
    return Text.assemble(
        "best ",
        (f"{metric} = {number(info.best.value)}", "bold green"),
        f"  trial {info.best.number}  ",
        config_text({**info.best.config, **info.best.context}),
    )
