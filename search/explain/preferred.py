"""What a study by preference is explained by: the utility that people's answers speak for.

It has no unit, and only differences count: of two configs whose utilities are d apart the better
one is preferred with the chance Phi(d / sqrt(2)).  All are told less that of the best so far.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from botorch.models.pairwise_gp import PairwiseGP
from scipy.stats import binom

from search.bayes.preference import Answered, first_answers
from search.bayes.preference_model import ahead, without
from search.bayes.suggest import NUMERICAL, alone
from search.encoding import Cube
from search.explain.explanation import Answers
from search.explain.surrogate import FIT_EVALUATIONS, NoModel
from search.outcomes import Lesson
from search.preferences import Pair, utilities
from search.problem import Problem
from search.scales import Floats
from search.searcher import History
from search.trial import Trial

CHUNK = 256  # rows predicted at a time, whose covariances among each other are worked out too
FEWEST = 8  # answers, to judge a model by
CHANCE = 0.05  # that a coin foretells as many


def compared(trials: Sequence[Trial], pairs: Sequence[Pair]) -> list[Lesson]:
    """Each trial in an answer, and as its loss how little the answers speak for it."""
    found = utilities(pairs)
    return [
        Lesson(number=trial.number, config=trial.config, loss=-found[trial.number], measured=True)
        for trial in trials
        if trial.number in found
    ]


@dataclass(frozen=True, slots=True)
class Taste:
    """The model of the latest answers, a Landscape."""

    answered: Answered
    model: PairwiseGP
    scale: float = 1.0

    @classmethod
    def of(cls, problem: Problem, trials: Sequence[Trial], pairs: Sequence[Pair]) -> Taste:
        """Fitted to the answers; raises NoModel."""
        cube = Cube(problem.space)
        if not cube.free:
            raise NoModel("no parameter has more than one value")
        if len(pairs) < (wanted := first_answers(cube)):
            raise NoModel(f"fewer than {wanted} preferences have been given")
        history = History(problem=problem, trials=trials, preferences=pairs)
        with _torch():
            answered = Answered.of(cube, history)
            if not answered.pairs:
                raise NoModel("no preference tells two configs apart")
            return cls(answered, answered.model(FIT_EVALUATIONS))

    def __len__(self) -> int:
        return len(self.answered.numbers)

    @property
    def cube(self) -> Cube:
        """The cube of the space."""
        return self.answered.cube

    def mean(self, rows: Floats) -> Floats:
        """What `moments` says of the mean."""
        return self.moments(rows)[0]

    def moments(self, rows: Floats) -> tuple[Floats, Floats]:
        """Mean and standard deviation of the utility at rows of the unit cube."""
        features = self.cube.features(self.cube.snap(rows))
        best = self.cube.features(self.answered.incumbent)
        with _torch(), torch.no_grad():
            found = [
                self._ahead(np.concatenate([features[start : start + CHUNK], best]))
                for start in range(0, len(rows), CHUNK)
            ]
        mean, sd = np.concatenate(found, axis=1)
        return mean, sd

    def _ahead(self, features: Floats) -> Floats:
        """Mean and standard deviation of each utility but the last less that one."""
        posterior: Any = self.model.posterior(torch.from_numpy(features))
        mean, K = posterior.mean.flatten().numpy(), posterior.covariance_matrix.numpy()
        variance = K.diagonal() + K[-1, -1] - 2.0 * K[-1]
        return np.stack([mean - mean[-1], np.sqrt(np.maximum(variance, 0.0))])[:, :-1]

    def metric(self, y: float) -> float:
        """Higher is better, as it is."""
        return y

    def checked(self) -> Answers:
        """How many answers the model foretells from those about other pairs of trials.

        Its hyperparameters stay those of the fit to all.
        """
        pairs = self.answered.pairs
        with _torch():
            right = sum(self._foretells(pair) for pair in pairs)
        share, warning = right / len(pairs), _warning(len(pairs), right)
        return Answers(answers=len(pairs), foretold=share, warning=warning)

    def _foretells(self, pair: Pair) -> bool:
        others = [one for one in self.answered.pairs if set(one) != set(pair)]
        if not others:
            return False
        X = torch.from_numpy(self.cube.features(self.answered.rows))
        better, worse = (X[[place]] for place in pair)
        return ahead(without(self.model, X, torch.tensor(others)), better, worse).mean > 0


@contextmanager
def _torch() -> Iterator[None]:
    """As suggestions are made; numerical trouble is raised as NoModel."""
    try:
        with alone(seed=0):
            yield
    except NUMERICAL as error:
        raise NoModel(f"the model failed: {type(error).__name__}: {error}"[:500]) from None


def _warning(answers: int, right: int) -> str | None:
    if answers < FEWEST:
        return f"the model rests on {answers} answers: fewer than {FEWEST} say little about it"
    if binom.sf(right - 1, answers, 0.5) > CHANCE:
        return (
            f"the model is poor: it foretells {right} of {answers} answers from the others, hardly "
            f"more than a coin does"
        )
    return None
