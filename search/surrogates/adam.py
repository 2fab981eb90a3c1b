"""Adam with a step that falls to nothing, for many sets of weights at once.

Kingma and Ba, "Adam: A Method for Stochastic Optimization", 2015, algorithm 1.
"""

from collections.abc import Callable

import numpy as np

from search.scales import Floats

DECAY, DECAY_OF_SQUARES, TINY = 0.9, 0.999, 1e-8


def descend(gradient: Callable[[Floats], Floats], start: Floats, steps: int, rate: float) -> Floats:
    """Where so many steps lead; the rate falls along half a cosine, from `rate` to 0."""
    w = start.copy()
    mean, square = np.zeros_like(w), np.zeros_like(w)
    for step in range(1, steps + 1):
        g = gradient(w)
        mean += (1 - DECAY) * (g - mean)
        square += (1 - DECAY_OF_SQUARES) * (np.square(g) - square)
        size = 0.5 * rate * (1 + np.cos(np.pi * (step - 1) / steps)) / (1 - DECAY**step)
        w -= size * mean / (np.sqrt(square / (1 - DECAY_OF_SQUARES**step)) + TINY)
    return w
