"""Choosing the points of a batch, one after the other, by noisy expected improvement.

Points that are pending, and those chosen before in the batch, count as observed with an outcome
not yet known: every sample of the posterior gives them one.  Ament and others, "Unexpected
Improvements to Expected Improvement", 2023, give the acquisition function.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from botorch.acquisition.logei import qLogNoisyExpectedImprovement
from botorch.sampling.normal import SobolQMCNormalSampler
from linear_operator.utils.cholesky import psd_safe_cholesky
from torch import Tensor

from search.bayes.anchored import Anchored, Solvable
from search.candidates import Candidates
from search.maximise import maximise
from search.scales import Floats

__all__ = ["Pick", "choose", "contenders", "maximise"]

SAMPLES = 128
CONTESTS = 1024
MAX_PENDING = 128  # the latest; more would cost time and say little that these do not
MAX_BASELINE = 64
CHUNK = 4_000_000  # numbers in the covariances of the candidates scored at a time
FULL_EFFORT = 4  # points of a batch that get all the candidates; more share as many


@dataclass(frozen=True, slots=True)
class Pick:
    """A row chosen, the acquisition there, and what the model expects of it."""

    row: Floats
    acquisition: float
    mean: float
    sd: float
    prior: float = 0.0  # what of the acquisition is the user's belief


def choose(
    observed: Solvable,
    candidates: Candidates,
    *,
    best: Floats,
    pending: Floats,
    count: int,
    effort: int,
) -> Iterator[Pick]:
    """Up to `count` rows, fewer only if the candidates run out of untried ones.

    `best` holds the rows observed to be best, best first, and `effort` is how many candidates are
    scored for a point of a small batch.
    """
    baseline = contenders(observed)
    anchors = torch.cat([baseline, _features(candidates, pending[-MAX_PENDING:])])
    share = max(200, min(effort, effort * FULL_EFFORT // count))
    for _ in range(count):
        score = _score(observed, anchors, candidates)
        found = maximise(score, candidates, best, share)
        if found is None:
            return
        row, value = found
        x = _features(candidates, row[None])
        mean, sd = observed.marginal(x)
        prior = float(candidates.favour(row[None])[0])
        yield Pick(row=row, acquisition=value, mean=float(mean), sd=float(sd), prior=prior)
        candidates.take(row)
        anchors = torch.cat([anchors, x])


def _score(
    observed: Solvable, anchors: Tensor, candidates: Candidates
) -> Callable[[Floats], Floats]:
    acquisition = qLogNoisyExpectedImprovement(
        model=Anchored(observed, anchors),
        X_baseline=anchors,
        sampler=SobolQMCNormalSampler(torch.Size([SAMPLES]), seed=len(anchors)),
        prune_baseline=False,
        cache_root=True,
    )

    def score(rows: Floats) -> Floats:
        size = max(1, CHUNK // (len(anchors) + 1) ** 2)
        X = _features(candidates, rows).unsqueeze(-2)
        chunks = [X[start : start + size] for start in range(0, len(X), size)]
        with torch.no_grad():
            found: Floats = torch.cat([acquisition(chunk) for chunk in chunks]).numpy()
        return found + candidates.favour(rows)

    return score


def contenders(observed: Solvable) -> Tensor:
    """The observed points that may be the best, at most MAX_BASELINE: those that most often were.

    The rest would only make the acquisition dearer.  (BoTorch's prune_inferior_points does the
    same, but keeps the wrong points when there are more than its maximum.)
    """
    mean, V = observed.solve(observed.X)
    root = psd_safe_cholesky(observed.joint(observed.X, V))
    draws = mean + torch.randn(CONTESTS, len(mean)).to(mean) @ root.T
    wins = torch.bincount(draws.argmax(dim=1), minlength=len(mean))
    order = torch.argsort(-wins, stable=True)[:MAX_BASELINE]
    return observed.X[order[wins[order] > 0]]


def _features(candidates: Candidates, rows: Floats) -> Tensor:
    return torch.from_numpy(candidates.cube.features(rows))
