"""One batch of CMA-ES, from history to suggestions."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

from search.cma import memo
from search.cma.layout import Layout
from search.cma.members import Generation, Trials, loss_of
from search.cma.progress import Progress, advanced
from search.cma.run import begin, first_run
from search.encoding import Cube, config_key
from search.fresh import leftovers, patience, take_fresh
from search.gp.threads import one_thread
from search.scales import Floats
from search.searcher import Batch, History, Suggestion
from search.values import JSON, Config

if TYPE_CHECKING:
    from search.searchers.cmaes import CMAES

FEW = {"by": "random", "because": "few untried configs are left"}


def suggest(settings: CMAES, history: History, count: int) -> Batch:
    """`count` draws of the generation that is under way."""
    layout, trials = Layout.of(Cube(history.problem.space)), Trials.of(history)
    seen = {*trials.known, *map(config_key, history.reserved)}
    found: list[Suggestion] = []
    kept = None
    if layout.order:
        with one_thread():
            start = _start(settings, history, trials)
            progress = _progress(settings, history, layout, start)
            progress, generation = advanced(progress, trials)
            kept = memo.write(progress)
            if not progress.spent:
                drawn = _draws(progress, generation, start)
                found = take_fresh(islice(drawn, patience(count)), seen, count)
    rest = leftovers(history.problem.space, seen, count - len(found), history.rng())
    found += [Suggestion(config=config, origin=FEW) for config in rest]
    return Batch(suggestions=found, memo=kept, exhausted=len(found) < count)


def _progress(
    settings: CMAES, history: History, layout: Layout, start: int | str | None
) -> Progress:
    """Where the memo says that the study is, else its beginning."""
    seed = history.problem.seed
    if (remembered := memo.read(history.memo, settings, layout, seed)) is not None:
        return remembered
    run = first_run(settings, layout)
    row = _row(history, layout, start)
    return Progress(settings, layout, run, begin(settings, layout, run, seed, row))


def _draws(
    progress: Progress, generation: Generation, start: int | str | None
) -> Iterator[Suggestion]:
    """Draws that are not trials yet; beyond the population too, for whoever asks meanwhile."""
    number = 0
    while True:
        if number not in generation.own:
            drawn = generation.drawn(number)
            origin: dict[str, JSON] = {
                "by": "cmaes",
                "restart": progress.run.number,
                "generation": progress.distribution.generation,
                "draw": number,
                "row": drawn.draw.row.tolist(),
            }
            if progress.run.number == progress.distribution.generation == 0:
                origin["start"] = start
            yield Suggestion(config=drawn.config, origin=origin)
        number += 1


def _start(settings: CMAES, history: History, trials: Trials) -> int | str | None:
    """Where the first run begins: at a trial, by its number, at the defaults, or in the middle.

    What the first trial of the run says is what counts, however many results came since.
    """
    first = [trial for trial in trials.own.get((0, 0), {}).values() if "start" in trial.origin]
    if first:
        said = min(first, key=lambda trial: trial.number).origin["start"]
        number = isinstance(said, int) and 0 <= said < len(history.trials)
        return said if number or said == "defaults" else None  # type: ignore[return-value]
    losses = [(loss_of(history.problem, trial), trial.number) for trial in history.trials]
    best = min(losses, default=(math.inf, 0))
    if settings.x0 == "best" and math.isfinite(best[0]):
        return best[1]
    return "defaults" if history.problem.space.defaults() is not None else None


def _row(history: History, layout: Layout, start: int | str | None) -> Floats | None:
    config: Config | None = None
    if start == "defaults":
        config = history.problem.space.defaults()
    elif isinstance(start, int):
        config = history.trials[start].config
    return None if config is None else layout.row(layout.cube.encode([config])[0])
