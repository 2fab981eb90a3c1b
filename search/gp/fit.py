"""Length scales and noise, by maximum a posteriori.

    y   n   standardised losses, lower is better
    l   p   one length scale for every free parameter, however many columns it has
    v       the variance of the noise, which stands for all that the kernel cannot explain
    E       diagonal: the squares of the standard errors that are known, 0 where none is

With K = C(l) + (v + NUGGET) I + E, and the constant mean m = 1'K^-1 y / 1'K^-1 1 that generalised
least squares gives, the fit minimises over ln l and ln v

    (y - m)'K^-1 (y - m) / 2 + ln|K| / 2
        + sum_i [(ln l_i - sqrt(2) - ln(p) / 2)^2 / 6 + ln l_i] + (ln v + 4)^2 / 2 + ln v.

The priors are those of Hvarfner and others, "Vanilla Bayesian Optimization Performs Great in High
Dimensions", 2024.  There is no output scale, since y is standardised.  Because m is itself a
minimum, it adds nothing to the gradient, and neither does E, which is given.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg.blas import dsyr
from scipy.linalg.lapack import dpotrf, dpotri, dpotrs
from scipy.optimize import minimize

from search.gp.kernels import Kernel, by_group, pairs
from search.scales import Floats

NUGGET = 1e-6
LENGTH = 0.025, math.exp(6)  # bounds of l
NOISE = math.exp(-11), math.e  # bounds of v
ITERATIONS = 50
# A relative decrease below it ends a climb: hundredths of a nat, on which no prediction depends.
TOLERANCE = 1e-4
LINE_SEARCH = 10  # evaluations by which a line search under way may exceed its share


@dataclass(frozen=True, slots=True)
class Hyperparameters:
    """What a fit finds."""

    lengths: tuple[float, ...]
    noise: float

    @property
    def sound(self) -> bool:
        """Whether a model can be built with them."""
        return all(
            LENGTH[0] * 0.999 <= length <= LENGTH[1] * 1.001 for length in self.lengths
        ) and (NOISE[0] * 0.999 <= self.noise <= NOISE[1] * 1.001)


def cold_starts(free: int) -> list[Hyperparameters]:
    """Where a fit begins that knows nothing: a wiggly function and a smooth one."""
    wiggly = math.exp(math.sqrt(2) + 0.5 * math.log(free) - 3)
    smooth = 0.6 * math.sqrt(free)
    return [
        Hyperparameters(lengths=(wiggly,) * free, noise=math.exp(-5)),
        Hyperparameters(lengths=(smooth,) * free, noise=math.exp(-6)),
    ]


class Points:
    """The squared distances between some points, parameter by parameter: shared by all fits."""

    def __init__(self, X: Floats, owners: list[int]) -> None:
        self.n = len(X)
        self.D = by_group(X, owners)
        self.rows, self.columns = pairs(self.n)
        # Where the pairs lie in a matrix whose columns are contiguous, as LAPACK has it.
        self.flat = self.rows + self.columns * self.n


class Evidence:
    """What a fit minimises, as a function of theta = (ln l, ln v), with its gradient."""

    def __init__(
        self, points: Points, y: Floats, kernel: Kernel, known: Floats | float = 0.0
    ) -> None:
        self.points, self.kernel, self.known = points, kernel, known
        self._sides = np.stack([y, np.ones_like(y)], axis=1)

    def __call__(self, theta: Floats) -> tuple[float, Floats]:
        """The value and its gradient; raises LinAlgError where K cannot be factored."""
        points = self.points
        weights = np.exp(-2.0 * theta[:-1])
        correlation, slope = self.kernel.with_slope(weights @ points.D)
        noise = math.exp(theta[-1])
        L = self._factor(correlation, noise)
        a, fit = self._residual(L)
        value = 0.5 * fit + float(np.log(L.diagonal()).sum())
        inverse = ensured(dpotri(L, lower=1, overwrite_c=1))
        # K^-1 - aa', of which the lower triangle holds what the gradient takes.
        pull = dsyr(-1.0, a, a=inverse, lower=1, overwrite_a=1)
        prior, gradient = log_prior(theta)
        gradient[:-1] += weights * (points.D @ (pull.ravel(order="F")[points.flat] * slope))
        gradient[-1] += 0.5 * noise * float(pull.diagonal().sum())
        return value + prior, gradient

    def mean(self, at: Hyperparameters) -> float:
        """The constant mean that goes with the hyperparameters; raises LinAlgError."""
        weights = np.array(at.lengths) ** -2.0
        L = self._factor(self.kernel.correlation(weights @ self.points.D), at.noise)
        return self._mean(ensured(dpotrs(L, self._sides, lower=1)))

    def _mean(self, solved: Floats) -> float:
        return float(solved[:, 0].sum() / solved[:, 1].sum())

    def _factor(self, correlation: Floats, noise: float) -> Floats:
        n = self.points.n
        K = np.zeros(n * n)
        K[self.points.flat] = correlation
        K[:: n + 1] = 1.0 + noise + NUGGET + self.known
        return ensured(dpotrf(K.reshape(n, n, order="F"), lower=1, clean=0, overwrite_a=1))

    def _residual(self, L: Floats) -> tuple[Floats, float]:
        """a = K^-1 (y - m), and (y - m)'a."""
        solved = ensured(dpotrs(L, self._sides, lower=1))
        m = self._mean(solved)
        a: Floats = solved[:, 0] - m * solved[:, 1]
        return a, float((self._sides[:, 0] - m) @ a)


def log_prior(theta: Floats) -> tuple[float, Floats]:
    """What the priors add to the objective at theta, and its gradient."""
    off = (theta - (math.sqrt(2) + 0.5 * math.log(len(theta) - 1))) / 3.0
    off[-1] = 0.0
    quiet = float(theta[-1]) + 4.0
    value = 1.5 * float(off @ off) + float(theta.sum()) + 0.5 * quiet * quiet
    off += 1.0
    off[-1] += quiet
    return value, off


def fit(evidence: Evidence, starts: Sequence[Hyperparameters], evaluations: int) -> Hyperparameters:
    """The most probable hyperparameters found from the starts, each with its share of evaluations.

    A climb that uses up its share is not a failure: what it reached is used.
    """
    options = {
        "maxiter": ITERATIONS,
        "maxfun": max(1, evaluations // len(starts) - LINE_SEARCH),
        "ftol": TOLERANCE,
        "maxls": LINE_SEARCH,
    }
    bounds = _bounds(len(starts[0].lengths))
    climbs = [
        minimize(evidence, _theta(at), jac=True, method="L-BFGS-B", bounds=bounds, options=options)
        for at in starts
    ]
    best = min(climbs, key=lambda climb: float(climb.fun))
    if not math.isfinite(best.fun):
        raise FloatingPointError("the marginal likelihood has no finite maximum")
    found = np.exp(best.x)
    return Hyperparameters(lengths=tuple(found[:-1].tolist()), noise=float(found[-1]))


def _theta(at: Hyperparameters) -> Floats:
    theta: Floats = np.log(np.array([*at.lengths, at.noise]))
    return theta


def _bounds(p: int) -> Floats:
    bounds: Floats = np.log(np.array([LENGTH] * p + [NOISE]))
    return bounds


def ensured(answer: tuple[Floats, int]) -> Floats:
    """What LAPACK found; raises LinAlgError when it says that it could not."""
    found, info = answer
    if info != 0:
        raise np.linalg.LinAlgError(f"the covariance is not positive definite (info {info})")
    return found
