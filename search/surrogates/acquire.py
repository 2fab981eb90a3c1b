"""Choosing the points of a batch by noisy expected improvement, whatever the surrogate.

The anchors are the observed points that may be the best, the pending ones and those chosen before
in the batch: nobody knows their loss, but every draw s of the model has one, and so a lowest value
b_s.  Given its values at the anchors a draw is normal at x, with a closed expected improvement on
b_s; their mean over the draws is what the chosen point maximises, in logarithms:

    a(x) = ln mean_s EI(m_s(x), sd_s(x), b_s)

Letham and others, "Constrained Bayesian Optimization with Noisy Experiments", 2019, section 4, have
it with one normal distribution; at a pending point the variance is gone, so points of a batch keep
away from each other.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from search.candidates import Candidates
from search.gp.improvement import log_h
from search.maximise import ELITE, maximise
from search.scales import Floats
from search.surrogates.surrogate import Draws, Model

DRAWS = 64
CONTESTS = 256
MAX_PENDING = 128  # the latest; more would cost time and say little that these do not
MAX_BASELINE = 32
CHUNK = 512  # rows scored at a time
FULL_EFFORT = 4  # points of a batch that get all the candidates; more share as many


@dataclass(frozen=True, slots=True)
class Pick:
    """A row chosen, the acquisition there, and what is expected of it in standard units."""

    row: Floats
    acquisition: float
    mean: float
    sd: float


def choose(
    model: Model,
    candidates: Candidates,
    *,
    observed: Floats,
    pending: Floats,
    count: int,
    effort: int,
) -> Iterator[Pick]:
    """Up to `count` rows, fewer only if the candidates run out of untried ones.

    `observed` and `pending` hold rows, the observed ones best first; `effort` is about how many
    candidates are scored for a point of a small batch.
    """
    rng, features = candidates.rng, candidates.cube.features
    baseline = contenders(model, features(observed), rng)
    anchors = np.concatenate([baseline, features(pending[-MAX_PENDING:])])
    share = max(200, min(effort, effort * FULL_EFFORT // count))
    for _ in range(count):
        score = scorer(model.anchored(anchors, DRAWS, rng), features)
        found = maximise(score, candidates, observed[:ELITE], share)
        if found is None:
            return
        row, value = found
        x = features(row[None])
        mean, sd = model.moments(x)
        yield Pick(row=row, acquisition=value, mean=float(mean[0]), sd=float(sd[0]))
        candidates.take(row)
        anchors = np.concatenate([anchors, x])


def contenders(model: Model, X: Floats, rng: np.random.Generator) -> Floats:
    """The rows of X that may be the best, at most MAX_BASELINE: those that most often were."""
    values = model.anchored(X, CONTESTS, rng).values
    wins = np.bincount(values.argmin(axis=1), minlength=len(X))
    order = np.argsort(-wins, kind="stable")[:MAX_BASELINE]
    return X[order[wins[order] > 0]]


def scorer(draws: Draws, features: Callable[[Floats], Floats]) -> Callable[[Floats], Floats]:
    """The acquisition of rows, given draws at the anchors."""
    best = draws.values.min(axis=1)

    def score(rows: Floats) -> Floats:
        X = features(rows)
        chunks = [X[start : start + CHUNK] for start in range(0, len(X), CHUNK)]
        return np.concatenate([log_improvement(draws, best, chunk) for chunk in chunks])

    return score


def log_improvement(draws: Draws, best: Floats, X: Floats) -> Floats:
    """The logarithm of what the draws expect, on average, to gain on their best at rows of X."""
    mean, sd = draws.believe(X)
    logs = np.log(sd) + log_h((best[:, None] - mean) / sd)
    found: Floats = np.logaddexp.reduce(logs, axis=0) - math.log(len(best))
    return found
