"""Expected improvement in logarithms, right in the far tails too.

EI = sd h(z) with z = (best - mean) / sd and h(z) = phi(z) + z Phi(z).  Far below zero both terms
of h all but cancel; there  ln h = ln phi(z) + ln(1 - q),  q = |z| sqrt(pi/2) erfcx(|z| / sqrt(2)),
and further out the asymptotic series  1 - q = z^-2 (1 - 3 z^-2 + 15 z^-4 - 105 z^-6 + ...).  Ament
and others, "Unexpected Improvements to Expected Improvement", 2023, say why it matters.
"""

import math

import numpy as np
from scipy.special import erfcx, ndtr

from search.scales import Floats

NEAR, FAR = -1.0, -100.0  # where one formula hands over to the next
LOG_ROOT_TWO_PI = 0.5 * math.log(2 * math.pi)


def log_expected_improvement(mean: Floats, sd: Floats, best: float) -> Floats:
    """By how much a normal value may be expected to fall below `best`, in logarithms."""
    return np.log(sd) + log_h((best - mean) / sd)


def log_h(z: Floats) -> Floats:
    """ln(phi(z) + z Phi(z)), to about 12 digits for any finite z."""
    log_phi = -0.5 * np.square(z) - LOG_ROOT_TWO_PI
    found = np.empty_like(z)
    near, far = z > NEAR, z < FAR
    found[near] = np.log(np.exp(log_phi[near]) + z[near] * ndtr(z[near]))
    middle = ~(near | far)
    found[middle] = log_phi[middle] + _log_rest(-z[middle])
    found[far] = log_phi[far] + _log_rest_series(z[far])
    return found


def _log_rest(size: Floats) -> Floats:
    rest: Floats = np.log1p(-size * math.sqrt(math.pi / 2) * erfcx(size / math.sqrt(2)))
    return rest


def _log_rest_series(z: Floats) -> Floats:
    w = 1.0 / np.square(z)
    rest: Floats = np.log(w) + np.log1p(w * (-3.0 + w * (15.0 - 105.0 * w)))
    return rest
