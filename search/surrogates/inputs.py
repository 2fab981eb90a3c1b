"""Features as a network takes them: centred, and every parameter about as large."""

from collections import Counter

import numpy as np

from search.scales import Floats


def network_inputs(X: Floats, owners: list[int]) -> Floats:
    """Numbers from -1 to 1, and a choice's columns 0 or 1: either adds at most 1 to |x|^2."""
    columns = Counter(owners)
    alone = np.array([columns[owner] == 1 for owner in owners])
    return np.where(alone, 2.0 * X - 1.0, np.sqrt(2.0) * X)
