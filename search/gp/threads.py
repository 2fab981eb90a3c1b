"""One thread for the algebra.

The order in which threads add numbers up would show in the suggestions, and a suggester shares its
machine.
"""

from contextlib import AbstractContextManager
from functools import cache

import numpy as np
import scipy.linalg
from threadpoolctl import ThreadpoolController


def one_thread() -> AbstractContextManager[object]:
    """While it is entered, NumPy and SciPy compute in one thread; as before afterwards."""
    limited: AbstractContextManager[object] = _controller().limit(limits=1, user_api="blas")
    return limited


@cache
def _controller() -> ThreadpoolController:
    """Found once: looking for libraries takes longer than a small fit."""
    assert np.linalg
    assert scipy.linalg  # loaded, both of them, or their libraries would not be found
    return ThreadpoolController()
