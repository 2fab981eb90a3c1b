"""One batch of the Gaussian process searcher, from history to suggestions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from search.candidates import Candidates
from search.fallback import sobol_instead
from search.fresh import topped_up
from search.gp import memo
from search.gp.acquire import Pick, choose
from search.gp.ensemble import Aims, Ensemble
from search.gp.joint import Joint
from search.gp.known import FIT_POINTS, Known
from search.gp.memo import Fitted
from search.gp.threads import one_thread
from search.origin import origin_of
from search.outcomes import Lesson, lessons
from search.searcher import Batch, History, Suggestion
from search.targets import Targets

if TYPE_CHECKING:
    from search.searchers.gp import GP

MAX_PENDING = 256  # the latest; more would cost time and say little that these do not
NUMERICAL = (ArithmeticError, np.linalg.LinAlgError)


def suggest(settings: GP, history: History, count: int) -> Batch:
    """`count` configs by expected improvement, or Sobol points that say why not."""
    joint = Joint.of(history.problem)
    taught = lessons(history.problem, history.trials)
    if sum(lesson.measured for lesson in taught) < 2:
        return sobol_instead(history, count, "fewer than two trials have a finite result")
    if not joint.cube.free:
        return sobol_instead(history, count, "no parameter has more than one value")
    try:
        with one_thread(), np.errstate(divide="raise", over="raise", invalid="raise"):
            found, fitted = _search(settings, history, joint, taught, count)
    except NUMERICAL as error:
        because = f"the model failed: {type(error).__name__}: {error}"
        return sobol_instead(history, count, because[:500])
    # A fit on all lessons follows from the history alone; one on some of them is kept.
    kept = memo.write(fitted) if len(taught) > FIT_POINTS else None
    return topped_up(history, found, count, kept)


def _search(
    settings: GP, history: History, joint: Joint, taught: Sequence[Lesson], count: int
) -> tuple[list[Suggestion], Fitted]:
    rng, cube = history.rng(), joint.cube
    tried = cube.encode(trial.config for trial in history.trials)
    place = {trial.number: place for place, trial in enumerate(history.trials)}
    rows = tried[[place[lesson.number] for lesson in taught]]
    elsewhere = [not history.here(lesson.context) for lesson in taught]
    known = Known.of(joint, taught, rows, elsewhere)
    fitted = _remembered(history, known) or known.fit(settings.fit_evaluations, rng)
    known = known.nearby(fitted.members[0], rng)
    ensemble, aims = _ensemble(history, known, fitted)
    here = [history.here(trial.context) for trial in history.trials]
    taken = np.concatenate([tried[here], cube.encode(history.reserved)])
    candidates = Candidates(cube, taken, rng, settings.prior_weight / len(taught))
    best, rows_scored = known.best(ensemble), settings.candidates
    picks = choose(ensemble, candidates, best=best, count=count, rows=rows_scored)
    told = Told(history, known, ensemble, aims.plain)
    return [told.suggestion(pick) for pick in picks], fitted


def _ensemble(history: History, known: Known, fitted: Fitted) -> tuple[Ensemble, Aims]:
    """The models with what is under way, as they are to be asked in the history's context."""
    joint, (ensemble, aims) = known.joint, known.ensemble(fitted)
    rows = known.rows
    if pending := list(history.under_way())[-MAX_PENDING:]:
        waiting = joint.cube.encode(config for config, _ in pending)
        ensemble = ensemble.pending(joint.features(waiting, (context for _, context in pending)))
        rows = np.concatenate([rows, waiting])
    if joint.contexts is not None:
        (asked,) = joint.columns([history.context], 1)
        ensemble = ensemble.asked_in(asked, joint.cube.features(rows))
    return ensemble, aims


def _remembered(history: History, known: Known) -> Fitted | None:
    """The last fit, where it was on part of the lessons and is recent enough."""
    last = memo.read(history.memo) if len(known) > FIT_POINTS else None
    return last if last is not None and last.serves(len(known), known.joint.free) else None


@dataclass(frozen=True, slots=True)
class Told:
    """What a suggestion says of itself, in the units of the metric."""

    history: History
    known: Known
    ensemble: Ensemble
    aims: Targets

    def suggestion(self, pick: Pick) -> Suggestion:
        """The pick as a config, with its reasons."""
        numbers = {
            "acquisition": pick.acquisition,
            "sd": pick.sd * self.aims.scale,
            "expected_gain": pick.gain * self.aims.scale,
        }
        if self.history.problem.space.believes:
            numbers["prior"] = pick.prior
        nearest = self.known.numbers[int(np.argmax(self.ensemble.similarity(pick.features)))]
        origin = origin_of(
            "gp",
            self.history,
            numbers,
            model_trials=len(self.known),
            nearest=nearest,
            loss=self.aims.loss(pick.mean),
        )
        return Suggestion(config=self.known.joint.cube.decode(pick.row), origin=origin)
