"""What a person's answers say of the trials that they compared, without a model of the space.

An answer ranks trials from best to worst, and is kept as its adjacent pairs.  Each trial is given a
utility u, and the chance that a is preferred to b is 1 / (1 + exp(u_b - u_a)): Bradley and Terry,
"Rank Analysis of Incomplete Block Designs", 1952.  A normal prior, wide enough that one direct
answer outweighs many against weaker trials, keeps the utilities of trials that never lost finite.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise

Pair = tuple[int, int]  # the numbers of two trials: (better, worse)
SPREAD = 5.0  # standard deviation of the prior
DIGITS = 4  # to which utilities are told apart: what the optimiser leaves is no difference


def pairs_of(rankings: Iterable[Sequence[int]]) -> list[Pair]:
    """The adjacent pairs of rankings from best to worst."""
    return [pair for ranking in rankings for pair in pairwise(ranking)]


def favourite(pairs: Sequence[Pair]) -> tuple[int, float] | None:
    """The trial of the highest utility and that utility; None without answers.

    Ties go to the lower number.
    """
    found = utilities(pairs)
    if not found:
        return None
    best = min(found, key=lambda number: (-round(found[number], DIGITS), number))
    return best, found[best]


def utilities(pairs: Sequence[Pair]) -> dict[int, float]:
    """The most probable utility of every trial in the pairs, by number; they may contradict."""
    if not pairs:
        return {}
    import numpy as np
    from scipy.optimize import minimize
    from scipy.special import expit

    numbers, places = np.unique(np.array(pairs), return_inverse=True)
    better, worse = places.reshape(-1, 2).T

    def value_and_gradient(u: np.ndarray) -> tuple[float, np.ndarray]:
        margin = u[better] - u[worse]
        surprise = expit(-margin)
        value = np.logaddexp(0, -margin).sum() + np.square(u).sum() / (2 * SPREAD**2)
        gradient = u / SPREAD**2
        gradient += np.bincount(worse, surprise, len(u)) - np.bincount(better, surprise, len(u))
        return float(value), gradient

    options = {"maxiter": 1000, "ftol": 1e-14, "gtol": 1e-8}
    start = np.zeros(len(numbers))
    done = minimize(value_and_gradient, start, jac=True, method="L-BFGS-B", options=options)
    return dict(zip(numbers.tolist(), done.x.tolist(), strict=True))
