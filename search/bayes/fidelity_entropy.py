"""What a measurement at some depth tells of the lowest loss that a full run could have.

A lower bound on the mutual information (Moss and others, "GIBBON: General-purpose Information-Based
Bayesian Optimisation", 2021): with r^2 the squared correlation of the measurement with a full run's
loss at the same config, y* the lowest loss, g = (mean - y*) / sd of the full run and
h = phi(g) / Phi(g),

    -1/2 E_y* ln(1 - r^2 h (g + h)).

Divided by what the measurement costs it is what the search climbs.  In comparison with a knowledge
gradient there is no inner optimisation and no sampling: y* follows a Gumbel distribution fitted to
the quartiles of the lowest of many configs' losses taken as independent (Wang and Jegelka,
"Max-value Entropy Search", 2017), of which fixed quantiles stand for the draws.
"""

import math

import numpy as np
from scipy.special import log_ndtr

from search.scales import Floats

QUANTILES = 10
BISECTIONS = 50
SMALLEST = 1e-300


def information(mean: Floats, sd: Floats, squared: Floats, lowest: Floats) -> Floats:
    """The bound for each config, in nats; `squared` is r^2, `lowest` the values of y*."""
    g = (mean - lowest[:, None]) / sd
    h = np.exp(-0.5 * np.square(g) - 0.5 * math.log(2 * math.pi) - log_ndtr(g))
    inside = np.clip(squared * h * (g + h), 0.0, 1.0 - 1e-12)
    found: Floats = -0.5 * np.log1p(-inside).mean(axis=0)
    return np.maximum(found, SMALLEST)


def lowest_values(mean: Floats, sd: Floats) -> Floats:
    """QUANTILES of the distribution of the lowest among independent normal values."""
    quartiles = np.array([_lowest_quantile(mean, sd, q) for q in (0.25, 0.5, 0.75)])
    # Of the lowest value y* it is -y* that is Gumbel: P(y* > z) = exp(-exp((z - m) / s)).
    inner = np.log(-np.log1p(-np.array([0.25, 0.5, 0.75])))
    spread = (quartiles[2] - quartiles[0]) / (inner[2] - inner[0])
    middle = quartiles[1] - spread * inner[1]
    places = (np.arange(QUANTILES) + 0.5) / QUANTILES
    found: Floats = middle + spread * np.log(-np.log1p(-places))
    return found


def _lowest_quantile(mean: Floats, sd: Floats, q: float) -> float:
    """z with P(all values > z) = 1 - q, by bisection."""
    low, high = float((mean - 10 * sd).min()), float((mean + 5 * sd).min())
    for _ in range(BISECTIONS):
        middle = 0.5 * (low + high)
        if float(log_ndtr((mean - middle) / sd).sum()) > math.log1p(-q):
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)
