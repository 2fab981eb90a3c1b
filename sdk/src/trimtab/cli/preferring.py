"""The command that takes a person's answers, in a study by preference."""

import itertools
import sys
from collections.abc import Collection, Iterator, Sequence
from typing import Annotated, Any, TypeAlias

import typer

from trimtab._judging import Preference
from trimtab._view import number
from trimtab.cli.output import print_json, print_table
from trimtab.cli.server import connect
from trimtab.cli.studies import PANEL, AsJson, Name
from trimtab.models import TrialInfo
from trimtab.study import Study

Pair: TypeAlias = tuple[TrialInfo, TrialInfo]
Asked: TypeAlias = frozenset[int]  # the numbers of two trials


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel=PANEL)(prefer)


def prefer(
    context: typer.Context,
    study: Name,
    trials: Annotated[
        list[int] | None,
        typer.Argument(min=0, metavar="TRIALS", help="Numbers of trials, the best first."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say which trials are better, in a study by preference.

    Without numbers, on a terminal, it shows two trials at a time and asks which is better.

    \b
    trimtab prefer posters 7 3        trial 7 is better than trial 3
    trimtab prefer posters 7 3 5      7 is the best of three, 5 the worst
    trimtab prefer posters            be asked, until q
    """
    _check(trials, as_json=as_json)
    opened = connect(context).study(study)
    if opened.info.objectives[0].by != "preference":
        metric = opened.info.objectives[0].metric
        raise _wrong("STUDY", f"{study} goes by {metric}, which is measured: it takes no answers")
    if not trials:
        return _converse(opened)
    answer = opened.rank(trials)
    return print_json([answer]) if as_json else typer.echo(_told(answer))


def on_terminal() -> bool:
    """Whether somebody is there to be asked."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def pairs(
    completed: Sequence[TrialInfo], compared: Collection[int], best: int | None
) -> Iterator[Pair]:
    """The pairs worth asking about, the most telling first; of completed trials, by number.

    Trials in no answer come first, the latest of them before the others, each beside the one that
    its searcher wants it compared with, else beside the best so far.  Then come all pairs, from the
    latest trials back.
    """
    known = {trial.number: trial for trial in completed}
    for trial in reversed(completed):
        wanted = trial.origin.get("compare_with", best)
        other = None if wanted is None else known.get(wanted)
        if trial.number not in compared and other is not None and other is not trial:
            yield other, trial
    for place, earlier in reversed(list(enumerate(completed))):
        yield from ((earlier, later) for later in reversed(completed[place + 1 :]))


def _check(trials: Sequence[int] | None, *, as_json: bool) -> None:
    numbers = trials or []
    if len(numbers) == 1:
        raise _wrong("TRIALS", "give two numbers at least, the best first")
    if twice := [n for n in dict.fromkeys(numbers) if numbers.count(n) > 1]:
        raise _wrong("TRIALS", f"trial {twice[0]} stands there twice")
    if not numbers and as_json:
        raise _wrong("--json", "it goes with numbers of trials")
    if not numbers and not on_terminal():
        raise _wrong("TRIALS", "nobody can be asked here: give two numbers at least, best first")


def _wrong(field: str, message: str) -> typer.BadParameter:
    return typer.BadParameter(message, param_hint=field)


def _converse(study: Study) -> None:
    """Ask until there is nothing to ask, or no more will to answer; each answer counts at once."""
    skipped: set[Asked] = set()
    while pair := _question(study, skipped):
        print_table(("", *(f"trial {trial.number}" for trial in pair), ""), _rows(pair), "")
        one, other = (str(trial.number) for trial in pair)
        said = _asked(one, other)
        if said == "q":
            return
        if said == "s":
            skipped.add(_key(pair))
        else:
            worse = other if said == one else one
            typer.echo(_told(study.prefer(int(said), int(worse))) + "\n")
    typer.echo("no two completed trials wait for an answer")


def _question(study: Study, skipped: Collection[Asked]) -> Pair | None:
    """The next pair that is in no answer together, as it stands now."""
    completed = list(study.results(state="completed", sort="number"))
    rankings = [[trial.number for trial in said.ranking] for said in study.preferences()]
    answered = {frozenset(two) for said in rankings for two in itertools.combinations(said, 2)}
    best = study.best if rankings else None
    found = pairs(completed, set(itertools.chain(*rankings)), best.number if best else None)
    waiting = (two for two in found if _key(two) not in answered and _key(two) not in skipped)
    pair = next(waiting, None)
    return pair and (study.result(pair[0]), study.result(pair[1]))


def _asked(one: str, other: str) -> str:
    """The better trial's number, s or q; who leaves by Ctrl-C or Ctrl-D has had enough too."""

    def read(said: str) -> str:
        if said.strip() not in {one, other, "s", "q"}:
            raise typer.BadParameter(f"give {one}, {other}, s or q")
        return said.strip()

    try:
        said: str = typer.prompt(
            f"Which is better, {one} or {other}? (s: skip, q: quit)", value_proc=read
        )
    except typer.Abort:
        typer.echo()
        return "q"
    return said


def _rows(pair: Pair) -> Iterator[tuple[str, str, str, str]]:
    """What is known of the two, a line each; where they differ, the line is marked."""
    for part in ("config", "values", "attributes"):
        one, other = (getattr(trial, part) for trial in pair)
        for name in {**one, **other}:
            cells = _cell(one.get(name)), _cell(other.get(name))
            yield name, *cells, "" if one.get(name) == other.get(name) else "≠"


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return number(value) if isinstance(value, float) else str(value)


def _key(pair: Pair) -> Asked:
    return frozenset(trial.number for trial in pair)


def _told(answer: Preference) -> str:
    best, *others = (str(trial.number) for trial in answer.ranking)
    return f"trial {best} is better than {', then '.join(others)}"
