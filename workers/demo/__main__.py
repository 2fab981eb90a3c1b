"""`make demo`: tune a network on this machine, and watch."""

import signal
from types import FrameType
from typing import Annotated

import typer
from trimtab import Client, Run, StudyHalted, TrimtabError
from trimtab.home import home

from workers.demo.digits import create, hand_over, unfinished
from workers.demo.summary import summary
from workers.demo.underneath import NotStarted, Underneath

INTERRUPTED = 130


def demo(
    trials: Annotated[int, typer.Option(min=1, help="How many trials to run.")] = 40,
    new: Annotated[
        bool, typer.Option("--new", help="Stop an unfinished demo instead of going on with it.")
    ] = False,
) -> None:
    """Tune a small network on this machine, with everything that Trimtab has."""
    signal.signal(signal.SIGTERM, _like_ctrl_c)
    try:
        typer.echo("Starting Trimtab:")
        with Underneath(home(), typer.echo), Client(patience=60) as client:
            _watch(client, trials=trials, new=new)
    except KeyboardInterrupt:
        typer.echo("Stopped. Nothing is lost: the next `make demo` goes on from here.")
        raise typer.Exit(INTERRUPTED) from None
    except (NotStarted, StudyHalted, TrimtabError, OSError) as error:
        typer.echo(f"The demo failed: {error}", err=True)
        raise typer.Exit(1) from None


def _watch(client: Client, *, trials: int, new: bool) -> None:
    run = _begin(client, trials=trials, new=new)
    study = run.wait(progress=True)
    defaults = next((trial for trial in study.results() if trial.number == 0), None)
    typer.echo(summary(study.info, study.best, defaults, client.url, str(home())))


def _begin(client: Client, *, trials: int, new: bool) -> Run:
    study = unfinished(client)
    if study is not None and new:
        study.stop("the demo was started anew")
        study = None
    if study is None:
        study = create(client, trials)
        typer.echo(f"Made the study {study.name}: {trials} trials, two at a time.")
    else:
        done, budget = study.info.trials.finished, study.info.budget.trials
        typer.echo(
            f"Going on with {study.name}: {done} of {budget} trials have ended. "
            "(`make demo NEW=1` starts another.)"
        )
    typer.echo("The first trial waits for Ray, which takes some seconds to start.\n")
    return hand_over(study)


def _like_ctrl_c(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    typer.run(demo)
