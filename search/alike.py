"""Which of the configs tried is most like another."""

import numpy as np

from search.scales import Floats


def most_alike(features: Floats, known: Floats, lengths: Floats | float = 1.0) -> int:
    """The place of the known row, n x c, least far from the features of one config.

    With length scales for the columns it is the one that a stationary kernel correlates most.
    """
    distance = np.square((known - features) / lengths).sum(axis=1)
    return int(np.argmin(distance))
