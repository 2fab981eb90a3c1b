"""The commands that look at studies."""

import itertools
from pathlib import Path
from typing import Annotated

import typer

from trimtab._view import config_text, number, why
from trimtab.cli.output import console, print_json, print_table
from trimtab.cli.server import connect
from trimtab.models import LogItem, StudyItem, TrialInfo

PANEL = "Studies"
Name = Annotated[str, typer.Argument(metavar="STUDY", help="Name or id of the study.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print a JSON object on each line.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (studies, trials, best, explain, watch, logs, export):
        app.command(rich_help_panel=PANEL)(command)


def studies(
    context: typer.Context,
    state: Annotated[str | None, typer.Option(help="active, paused, stopped or completed.")] = None,
    tag: Annotated[str | None, typer.Option(help="Only those with this tag.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the studies.

    \b
    trimtab studies --state active
    trimtab studies --tag baseline --json
    """
    found = connect(context).studies(state=state, tag=tag)
    if as_json:
        return print_json(found)
    columns = ("study", "state", "trials", "running", "best", "tags")
    return print_table(columns, map(_study_row, found), "no studies")


def trials(
    context: typer.Context,
    study: Name,
    *,
    state: Annotated[str | None, typer.Option(help="Only trials in this state.")] = None,
    sort: Annotated[
        str | None,
        typer.Option(help="number, value, created or finished; with a - in front, downwards."),
    ] = None,
    where: Annotated[
        str | None, typer.Option(help='Conditions, such as "lr<0.01,optimizer=adamw".')
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List a study's trials.

    \b
    trimtab trials digits --state failed
    trimtab trials digits --sort=-value --limit 10
    trimtab trials digits --where "lr<0.01,optimizer=adamw"
    """
    opened = connect(context).study(study)
    found = itertools.islice(opened.results(state=state, where=where, sort=sort), limit)
    if as_json:
        return print_json(found)
    metrics = [objective.metric for objective in opened.info.objectives]
    rows = (_trial_row(trial, metrics) for trial in found)
    columns = ("trial", "state", *metrics, "step", "config", "reason")
    return print_table(columns, rows, "no trials")


def best(context: typer.Context, study: Name, as_json: AsJson = False) -> None:
    """Print the best completed trial: its values and its config.

    \b
    trimtab best digits
    trimtab best digits --json | jq .config
    """
    opened = connect(context).study(study)
    trial = opened.best
    if trial is None:
        typer.echo(
            f"trimtab: {study} has no completed trial yet: try `trimtab watch {study}`", err=True
        )
        raise typer.Exit(1)
    if as_json:
        return print_json([trial])
    rows: list[tuple[str, object]] = [("trial", trial.number)]
    rows += [(metric, number(value)) for metric, value in trial.values.items()]
    if trial.mean is not None:
        rows += [("expected", f"{number(trial.mean)} ± {number(trial.sd)}")]
    tried = {**trial.config, **trial.context}
    rows += [(name, number(v) if isinstance(v, float) else v) for name, v in tried.items()]
    return print_table(("", ""), rows, "")


def explain(
    context: typer.Context,
    study: Name,
    metric: Annotated[
        str | None, typer.Option(help="An objective's or a constraint's; the first objective.")
    ] = None,
    timeout: Annotated[float, typer.Option(min=0, help="Seconds to wait for it.")] = 60.0,
    as_json: AsJson = False,
) -> None:
    """Say which parameters matter and how, and how far to trust that.

    \b
    trimtab explain digits
    trimtab explain digits --metric latency
    trimtab explain digits --json | jq .warnings
    """
    found = connect(context).study(study).explain(metric, timeout=timeout)
    if as_json:
        return print_json([found])
    return console().print(found)


def watch(context: typer.Context, study: Name) -> None:
    """Look at a study while it runs; Ctrl-C ends the look, not the study.

    \b
    trimtab watch digits
    """
    from trimtab._watch import watch as show

    opened = connect(context).study(study)
    try:
        show(opened, console=console())
    except KeyboardInterrupt:
        typer.echo(f"{study} goes on.")


def logs(
    context: typer.Context,
    study: Name,
    trial: Annotated[int, typer.Argument(min=0, help="The trial's number.")],
) -> None:
    """Print the end of a trial's log, attempt by attempt, and the error it ended with.

    \b
    trimtab logs digits 17
    """
    opened = connect(context).study(study)
    info = opened.result(trial)
    for attempt in opened.logs(info):
        _print_log(attempt)
    reason = f" ({info.reason})" if info.reason else ""
    typer.echo(f"== trial {info.number} is {info.state}{reason}")
    if info.message:
        typer.echo(info.message.rstrip())


def export(
    context: typer.Context,
    study: Name,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A file; else it is printed.")
    ] = None,
    form: Annotated[str, typer.Option("--format", "-f", help="csv or jsonl.")] = "csv",
) -> None:
    """Write all of a study's trials as a table.

    \b
    trimtab export digits --output digits.csv
    trimtab export digits --format jsonl | head
    """
    if form not in {"csv", "jsonl"}:
        raise typer.BadParameter("choose csv or jsonl", param_hint="--format")
    text = connect(context).study(study).export(output, format=form)
    typer.echo(text if text is not None else f"wrote {output}", nl=text is None)


def _study_row(study: StudyItem) -> tuple[object, ...]:
    total = f" of {study.budget.trials}" if study.budget.trials else ""
    value = f"{study.objectives[0].metric}={number(study.best.value)}" if study.best else ""
    reason = f" ({why(study.state_reason)})" if study.state_reason else ""
    return (
        study.name,
        study.state + reason,
        f"{study.trials.finished}{total}",
        study.trials.running,
        value,
        ", ".join(study.tags),
    )


def _trial_row(trial: TrialInfo, metrics: list[str]) -> tuple[object, ...]:
    values = (number(trial.values.get(metric)) for metric in metrics)
    step, config = trial.last_step, config_text({**trial.config, **trial.context})
    return (trial.number, trial.state, *values, step, config, trial.reason)


def _print_log(attempt: LogItem) -> None:
    ends = ", ".join(part for part in (attempt.end_reason, attempt.exit) if part)
    typer.echo(f"== attempt {attempt.attempt} on {attempt.worker}{': ' + ends if ends else ''}")
    if attempt.log_tail:
        typer.echo(attempt.log_tail.rstrip())
