"""How much each model of an ensemble is to be trusted, by how well it ranks what was measured.

Feurer and others, "Practical Transfer Learning for Bayesian Optimization", 2018 (RGPE).  A model is
weighed by how often it is the one that gets the fewest pairs of results the wrong way round, over
draws from what it believes.  A model of the study's own results is asked about each result as if
that had been left out.  Only ranks count, so that studies on other scales can help.

The paper holds a value left out against the other results themselves, which a model that predicts
their middle whatever it is asked passes three times in four.  Here it is held against the values
that those had when they were left out: such a model then does no better than a coin.
"""

import numpy as np
from scipy.linalg import cho_solve

from search.gp.posterior import Posterior
from search.scales import Floats

DRAWS = 256
DILUTION = 95.0  # the percentile of the own model's wrong pairs that a useful model's median meets
JITTER = 1e-6


def weights(losses: Floats, pairs: int) -> Floats:
    """The share of draws in which each model has the fewest wrong pairs; they add up to 1.

    `losses` is models x draws, the study's own model last, out of so many pairs.  A model whose
    median exceeds the own model's 95th percentile gets none: many poor models would otherwise
    outweigh a good one.  Neither does one that a coin would beat.  A draw in which the own model is
    among the best is its; the others share theirs.
    """
    own = losses[-1]
    useful = np.median(losses, axis=1) <= min(np.percentile(own, DILUTION), pairs / 2)
    useful[-1] = True
    losses = np.where(useful[:, None], losses, np.inf)
    best = losses == losses.min(axis=0)
    best[:-1] &= ~best[-1]
    shares: Floats = np.mean(best / best.sum(axis=0), axis=1)
    return shares


def wrong_pairs(draws: Floats, y: Floats) -> Floats:
    """How many pairs of results each draw, a row of what it says of them, puts in wrong order."""
    rows, columns = np.nonzero(y[:, None] < y)
    wrong: Floats = (draws[:, rows] >= draws[:, columns]).sum(axis=1).astype(np.float64)
    return wrong


def ordered_pairs(y: Floats) -> int:
    """How many pairs of results differ."""
    return int(np.count_nonzero(y[:, None] < y))


def drawn(model: Posterior, features: Floats, rng: np.random.Generator) -> Floats:
    """Draws of the function at rows of features, DRAWS x rows."""
    belief = model.believe(features)
    scaled = features / model.scale
    squared = np.square(scaled[:, None, :] - scaled).sum(axis=2)
    covariance = model.kernel.correlation(squared) - belief.V.T @ belief.V
    values, vectors = np.linalg.eigh(covariance + JITTER * np.eye(len(features)))
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    found: Floats = belief.mean + rng.standard_normal((DRAWS, len(features))) @ root.T
    return found


def drawn_left_out(model: Posterior, y: Floats, rng: np.random.Generator) -> Floats:
    """Draws of each observation y given all others, DRAWS x observations.

    With K the covariance of the observations, a = K^-1 (y - m) and k_i the diagonal of K^-1, it has
    mean y_i - a_i / k_i and variance 1 / k_i (Rasmussen and Williams, 2006, eq. 5.12).
    """
    n = len(model.a)
    inverse = cho_solve((model.L[:n, :n], True), np.eye(n), check_finite=False).diagonal()
    noise = rng.standard_normal((DRAWS, n))
    found: Floats = y - model.a / inverse + noise / np.sqrt(inverse)
    return found
