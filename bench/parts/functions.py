"""Hartmann's function of six variables, the problem that asks and scores are measured on.

-sum_i a_i exp(-sum_j A_ij (x_j - P_ij)^2) on [0, 1]^6, with the minimum -3.32237; Dixon and Szegö,
"Towards Global Optimisation 2", 1978.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

WIDTH = 6
MINIMUM = -3.32237
METRIC = "value"

_WEIGHTS = np.array([1.0, 1.2, 3.0, 3.2])
_SHAPES = np.array(
    [
        [10, 3, 17, 3.5, 1.7, 8],
        [0.05, 10, 17, 0.1, 8, 14],
        [3, 3.5, 1.7, 10, 17, 8],
        [17, 8, 0.05, 10, 0.1, 14],
    ]
)
_CENTRES = 1e-4 * np.array(
    [
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ]
)

NAMES = tuple(f"x{index}" for index in range(WIDTH))


def hartmann(config: Mapping[str, Any]) -> float:
    """The value at a config of NAMES."""
    x = np.array([config[name] for name in NAMES])
    return float(-_WEIGHTS @ np.exp(-(_SHAPES * (x - _CENTRES) ** 2).sum(axis=1)))


def regret(value: float) -> float:
    """How far above the minimum a value lies."""
    return max(value - MINIMUM, 1e-9)
