"""One batch for a study by preference: configs worth comparing with the best so far.

The next config is the one for which the better of the two, it and the best so far, has the highest
expected utility (EUBO): Lin and others, "Preference Exploration for Efficient Bayesian Optimization
with Multiple Outcomes", 2022; with more than two, qEUBO: Astudillo and others, "qEUBO: A
Decision-Theoretic Acquisition Function for Preferential Bayesian Optimization", 2023.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import torch
from botorch.acquisition.preference import (
    AnalyticExpectedUtilityOfBestOption,
    qExpectedUtilityOfBestOption,
)
from botorch.models.pairwise_gp import PairwiseGP
from botorch.sampling.normal import SobolQMCNormalSampler
from torch import Tensor

from search.bayes.acquire import FULL_EFFORT, maximise
from search.bayes.preference_model import ahead, fit_preferences
from search.bayes.suggest import NUMERICAL, alone
from search.candidates import Candidates
from search.encoding import Cube
from search.fallback import sobol_instead
from search.fresh import topped_up
from search.origin import origin_of
from search.preferences import favourite
from search.scales import Floats
from search.searcher import Batch, History, Suggestion
from search.trial import TrialState

if TYPE_CHECKING:
    from search.searchers.botorch import BoTorch

MODEL_PAIRS = 100  # the latest; the model costs the cube of the trials in them
MOST_OPEN = 8  # configs still to be compared that a suggestion keeps away from; the latest
MOST_FIRST = 10
SAMPLES = 128
DEARER = 4  # times as much a candidate costs here, and so many fewer are scored
CHUNK = 500  # candidates scored at a time


@dataclass(frozen=True, slots=True)
class Answered:
    """What the answers are about: the configs that were compared, as rows, and the best of them."""

    cube: Cube
    numbers: Sequence[int]
    rows: Floats
    pairs: Sequence[tuple[int, int]]  # places in `numbers`
    best: int  # a place too

    @classmethod
    def of(cls, cube: Cube, history: History) -> Answered:
        """Of the latest answers; the best is the favourite of all of them."""
        latest = list(history.preferences)[-MODEL_PAIRS:]
        found = favourite(history.preferences)
        assert found is not None
        numbers = sorted({found[0], *(number for pair in latest for number in pair)})
        place = {number: k for k, number in enumerate(numbers)}
        configs = {trial.number: trial.config for trial in history.trials}
        rows = cube.encode(configs[number] for number in numbers)
        pairs = [(place[better], place[worse]) for better, worse in latest]
        # A config against itself, run twice, says nothing of any other.
        apart = [(a, b) for a, b in pairs if not np.array_equal(rows[a], rows[b])]
        return cls(cube, numbers, rows, apart, place[found[0]])

    def model(self, evaluations: int) -> PairwiseGP:
        """The model of these answers."""
        X, A = torch.from_numpy(self.cube.features(self.rows)), torch.tensor(self.pairs)
        return fit_preferences(X, A, self.cube.owners, evaluations)

    @property
    def incumbent(self) -> Floats:
        """The row of the best so far."""
        return self.rows[self.best : self.best + 1]


def first_answers(cube: Cube) -> int:
    """How many comparisons a model is made of at least.

    A model of fewer looks for the best in the corners.  On a quadratic of four parameters, one
    that began at the first answer was after 20 as far as one that began at the fifth, in the
    median, and twice as far off in the worst of 12 studies.
    """
    return min(1 + len(cube.free), MOST_FIRST)


def suggest_preferred(settings: BoTorch, history: History, count: int) -> Batch:
    """`count` configs to compare with the best so far, or Sobol points that say why not."""
    cube = Cube(history.problem.space)
    wanted = first_answers(cube)
    if len(history.preferences) < wanted:
        because = f"fewer than {wanted} preferences have been given"
        return sobol_instead(history, count, because)
    if not cube.free:
        return sobol_instead(history, count, "no parameter has more than one value")
    rng = history.rng()
    try:
        with alone(seed=int(rng.integers(2**31))):
            answered = Answered.of(cube, history)
            if not answered.pairs:
                return sobol_instead(history, count, "no preference tells two configs apart")
            model = answered.model(settings.fit_evaluations)
            weight = settings.prior_weight / len(history.preferences)
            candidates = Candidates(cube, cube.encode(history.taken()), rng, weight)
            effort = settings.candidates // DEARER
            share = max(200, min(effort, effort * FULL_EFFORT // count))
            chosen = _choose(model, answered, candidates, history, share)
            found = list(islice(chosen, count))
    except NUMERICAL as error:
        because = f"the model failed: {type(error).__name__}: {error}"
        return sobol_instead(history, count, because[:500])
    return topped_up(history, found, count, None)


def _open(cube: Cube, history: History) -> Floats:
    """The rows of what may still be compared: pending, or completed and in no answer."""
    compared = {number for pair in history.preferences for number in pair}
    waiting = [
        trial.config
        for trial in history.trials
        if trial.state is TrialState.COMPLETED and trial.number not in compared
    ]
    return cube.encode([*waiting, *history.pending()])[-MOST_OPEN:]


def _choose(
    model: PairwiseGP,
    answered: Answered,
    candidates: Candidates,
    history: History,
    effort: int,
) -> Iterator[Suggestion]:
    """One suggestion after the other, until the candidates run out of untried ones."""
    waiting = _open(answered.cube, history)
    while True:
        others = np.concatenate([answered.incumbent, waiting])
        score = _score(model, candidates, others)
        picked = maximise(score, candidates, answered.incumbent, effort)
        if picked is None:
            return
        row, value = picked
        yield _suggestion(model, answered, history, row, value)
        candidates.take(row)
        waiting = np.concatenate([waiting, row[None]])[-MOST_OPEN:]


def _score(model: PairwiseGP, candidates: Candidates, others: Floats) -> Callable[[Floats], Floats]:
    """The expected utility of the best of a candidate and the others, the best so far first."""
    cube = candidates.cube
    utility = expected_best(model, torch.from_numpy(cube.features(others)))

    def score(rows: Floats) -> Floats:
        X = torch.from_numpy(cube.features(rows)).unsqueeze(-2)
        with torch.no_grad():
            found: Floats = torch.cat([utility(chunk) for chunk in torch.split(X, CHUNK)]).numpy()
        return found + candidates.favour(rows)

    return score


def expected_best(model: PairwiseGP, others: Tensor) -> Callable[[Tensor], Tensor]:
    """EUBO with one other, exactly and less the other's own mean; qEUBO with more, by sampling."""
    if len(others) == 1:
        exact: Callable[[Tensor], Tensor] = AnalyticExpectedUtilityOfBestOption(
            model, previous_winner=others
        )
        return exact
    sampled: Callable[[Tensor], Tensor] = qExpectedUtilityOfBestOption(
        model,
        sampler=SobolQMCNormalSampler(torch.Size([SAMPLES]), seed=len(others)),
        X_pending=others,
    )
    return sampled


def _suggestion(
    model: PairwiseGP, answered: Answered, history: History, row: Floats, value: float
) -> Suggestion:
    """The row as a config, with what to compare it with and how that is expected to end."""
    cube = answered.cube
    points = [torch.from_numpy(cube.features(r)) for r in (row[None], answered.incumbent)]
    expected = ahead(model, *points)
    told = origin_of(
        "botorch",
        history,
        {"acquisition": value, "sd": expected.sd, "chance": expected.chance},
        model_trials=len(answered.numbers),
        nearest=None,
        loss=-expected.mean,
    )
    origin = {**told, "compare_with": answered.numbers[answered.best]}
    return Suggestion(config=cube.decode(row), origin=origin)
