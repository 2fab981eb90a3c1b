"""One batch that learns from earlier studies as well, from history to suggestions.

A weighted mixture of models, one for each earlier study and one of the study's own results, weighed
by how well they rank those results (ranking.py).  What keeps a misleading earlier study from doing
harm: a model that ranks worse than the study's own, or than a coin, is left out; with all of them
left out the batch is one without earlier studies; and every ASIDE-th suggestion is made without
them anyway, the second of the study first.  So a study that is misled is one without earlier
studies and with one trial, or a few, less.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from search.bayes import transfer_memo as memos
from search.bayes.acquire import maximise
from search.bayes.mixture import Mixture
from search.bayes.sources import sources
from search.bayes.suggest import suggest as suggest_alone
from search.bayes.weighing import Weighed, weigh
from search.candidates import Candidates
from search.encoding import Cube
from search.fresh import topped_up
from search.gp.threads import one_thread
from search.outcomes import lessons
from search.scales import Floats
from search.searcher import Batch, History, Suggestion
from search.searchers.sobol import Sobol

if TYPE_CHECKING:
    from search.searchers.botorch import BoTorch

ASIDE = 3  # every so many suggestions one is made without earlier studies
MAX_PENDING = 256
NUMERICAL = (ArithmeticError, np.linalg.LinAlgError)


def suggest(settings: BoTorch, history: History, count: int) -> Batch:
    """`count` configs with the help of earlier studies, where they help."""
    cube = Cube(history.problem.space)
    found = sources(history.problem, cube)
    memo = memos.read(history.memo, [max(source.owners) + 1 for source in found])
    helped = _helped(history, count) if found else 0
    if not helped:
        return _alone(settings, history, count, memo)
    try:
        with one_thread(), np.errstate(divide="raise", over="raise", invalid="raise"):
            memo = memo.fitted(history.problem, found, settings.fit_evaluations)
            weighed = weigh(history, cube, found, memo.at, settings.fit_evaluations)
            picks = _search(settings, history, weighed, helped) if weighed else []
    except NUMERICAL as error:
        because = f"the models of earlier studies failed: {type(error).__name__}: {error}"
        return _saying(_alone(settings, history, count, memo), because[:500])
    proposed = [pick.config for pick in picks]
    later = replace(history, reserved=[*history.reserved, *proposed])
    rest = _alone(settings, later, count - len(picks), memo)
    return topped_up(history, [*picks, *rest.suggestions], count, rest.memo)


def _helped(history: History, count: int) -> int:
    """How many of the suggestions earlier studies take part in."""
    begin = len(history.trials) + len(history.reserved)
    return sum((begin + k) % ASIDE != 1 for k in range(count))


def _alone(settings: BoTorch, history: History, count: int, memo: memos.Remembered) -> Batch:
    """Suggestions without earlier studies, though with all results.

    Sobol points come first, as in a study that has none: what a misleading study has led to is a
    poor place to begin.
    """
    if not count:
        return Batch(suggestions=(), memo=memos.write(memo))
    history = replace(history, memo=memo.alone)
    if _results_alone(history) < 2:
        batch = Sobol().suggest(history, count)
    else:
        batch = suggest_alone(settings, history, count)
    return replace(batch, memo=memos.write(replace(memo, alone=batch.memo)))


def _saying(batch: Batch, because: str) -> Batch:
    said = [replace(s, origin={"because": because, **s.origin}) for s in batch.suggestions]
    return replace(batch, suggestions=said)


def _results_alone(history: History) -> int:
    """How many results there are that no earlier study has led to."""
    led = {trial.number for trial in history.trials if "transfer" in trial.origin}
    taught = lessons(history.problem, history.trials)
    return sum(lesson.measured and lesson.number not in led for lesson in taught)


def _search(settings: BoTorch, history: History, weighed: Weighed, count: int) -> list[Suggestion]:
    """Suggestions by the mixture."""
    cube, rng = weighed.cube, history.rng()
    pending = cube.features(cube.encode(history.pending())[-MAX_PENDING:])
    mixture = weighed.mixture.pending(pending)
    candidates = Candidates(cube, cube.encode(history.taken()), rng)
    made: list[Suggestion] = []
    while len(made) < count:
        found = maximise(_score(cube, mixture), candidates, weighed.best, settings.candidates)
        if found is None:
            break
        row, value = found
        features = cube.features(row[None])
        mean, variance = mixture.believe(features)
        told = weighed.told(history, features, value, float(mean[0]), math.sqrt(variance[0]))
        made.append(Suggestion(config=cube.decode(row), origin=told))
        candidates.take(row)
        mixture = mixture.pending(features)
    return made


def _score(cube: Cube, mixture: Mixture) -> Callable[[Floats], Floats]:
    return lambda rows: mixture.acquisition(cube.features(rows))
