"""Looking for the lowest point of a smooth function of a few numbers, with bounded work."""

from collections.abc import Callable

from scipy.optimize import minimize

from search.scales import Floats

LINE_SEARCH = 4  # evaluations of one line search


def climb(
    value_and_gradient: Callable[[Floats], tuple[float, Floats]],
    start: Floats,
    bounds: object,
    evaluations: int,
) -> tuple[float, Floats]:
    """The lowest value that L-BFGS-B finds, and where, in at most so many evaluations, 9 or more.

    SciPy stops between line searches only, and one that finds nothing is followed by another.
    """
    options = {
        "maxfun": max(0, evaluations - 2 * LINE_SEARCH),
        "maxls": LINE_SEARCH,
        "ftol": 1e-5,
    }
    found = minimize(
        value_and_gradient, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options
    )
    return float(found.fun), found.x
