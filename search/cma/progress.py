"""How far the runs of a study have come, from the history or from the memo."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from search.cma.distribution import Distribution
from search.cma.layout import Layout
from search.cma.members import Draw, Generation, Trials, ranked
from search.cma.run import Run, begin, next_run
from search.scales import Floats

if TYPE_CHECKING:
    from search.searchers.cmaes import CMAES

BARREN = 3  # runs in a row without a new config: there are hardly any left


@dataclass(frozen=True, slots=True)
class Progress:
    """A run and its distribution; both change with every generation that is complete."""

    settings: CMAES
    layout: Layout
    run: Run
    distribution: Distribution

    @property
    def spent(self) -> bool:
        """Whether the runs find nothing new any more."""
        return self.run.barren >= BARREN


def advanced(progress: Progress, trials: Trials) -> tuple[Progress, Generation]:
    """Told of every generation that is complete, and the one that is not."""
    generation = trials.generation(progress.run, progress.distribution)
    while not progress.spent and (draws := generation.complete()) is not None:
        progress = _told(progress, trials, draws)
        generation = trials.generation(progress.run, progress.distribution)
    return progress, generation


def _told(progress: Progress, trials: Trials, draws: Sequence[Draw]) -> Progress:
    rows, values, measured = ranked(trials.problem, draws)
    distribution, fresh = progress.distribution, any(draw.own for draw in draws)
    distribution.tell(rows, values)
    spent = list(progress.run.spent)
    spent[progress.run.small] += len(draws)
    run = replace(
        progress.run,
        fresh=progress.run.fresh or fresh,
        best=_better(progress.run, rows[0], values[0]) if measured else progress.run.best,
        spent=(spent[0], spent[1]),
        told=1 + max((draw.number for draw in draws if not draw.late), default=-1),
    )
    if fresh and distribution.sound and not distribution.converged:
        return replace(progress, run=run)
    return restarted(progress, run, trials.problem.seed)


def restarted(progress: Progress, run: Run, seed: int) -> Progress:
    """At the beginning of the run after `run`."""
    after = next_run(progress.settings, progress.layout, run, seed)
    distribution = begin(progress.settings, progress.layout, after, seed, None)
    return replace(progress, run=after, distribution=distribution)


def _better(run: Run, row: Floats, loss: float) -> tuple[float, Floats]:
    return run.best if run.best is not None and run.best[0] <= loss else (loss, row)
