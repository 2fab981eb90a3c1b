"""Comparing two ways of doing something on the same seeds."""

from collections.abc import Sequence
from statistics import median

import numpy as np

RESAMPLES = 10_000


def paired(ours: Sequence[float], theirs: Sequence[float], seed: int = 0) -> dict[str, float]:
    """How the first differs from the second, seed by seed; lower is better.

    `difference` is the median of the paired differences, with the 95% interval of a bootstrap over
    the seeds; `wins` counts the seeds on which the first is lower, ties as half.
    """
    differences = np.subtract(ours, theirs)
    rng = np.random.default_rng(seed)
    drawn = rng.choice(differences, (RESAMPLES, len(differences)))
    low, high = np.quantile(np.median(drawn, axis=1), [0.025, 0.975])
    return {
        "median": median(ours),
        "median_of_the_other": median(theirs),
        "difference": float(np.median(differences)),
        "low": float(low),
        "high": float(high),
        "wins": float((differences < 0).sum() + 0.5 * (differences == 0).sum()),
        "of": len(differences),
    }
