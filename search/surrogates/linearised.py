"""A trained network, linearised in its weights: the Laplace approximation.

About weights w* near the most probable ones the network is f(x; w*) + J(x) (w - w*).  With weights
w ~ N(0, I / d) and noise v this linear model has a posterior in closed form, and that is the model:
a Gaussian process with covariance J(x) J(x')' / d and mean f(x; w*) - J(x) w* before the
observations.  (The generalised Gauss-Newton approximation to the curvature at w* gives the same.)
d and v are those with the largest marginal likelihood on a grid, by the eigenvalues of J J'.
MacKay, "A Practical Bayesian Framework for Backpropagation Networks", 1992; Immer and others,
"Improving Predictions of Bayesian Neural Nets via Local Linearization", 2021.
"""

from dataclasses import dataclass
from itertools import product
from typing import final

import numpy as np

from search.scales import Floats
from search.surrogates.adam import descend
from search.surrogates.gaussian import Covariance, Gaussian
from search.surrogates.inputs import network_inputs
from search.surrogates.network import Network
from search.surrogates.regression import Regression
from search.surrogates.surrogate import Observed

VARIANCES = np.exp(np.linspace(np.log(1e-2), np.log(1e2), 17))  # of the weights, 1 / d
NOISES = np.exp(np.linspace(np.log(1e-4), 0.0, 17))  # v
NOISE = 0.1  # the standard deviation that training supposes
STARTS = 4  # networks trained; the most probable one is linearised


@final
@dataclass(frozen=True, slots=True)
class Linearised(Covariance):
    """`variance` J(x) J(x')' of a network at weights w, and its trend."""

    network: Network
    w: Floats
    owners: list[int]
    variance: float

    def cross(self, A: Floats, B: Floats) -> Floats:
        found: Floats = self.variance * (self._jacobian(A) @ self._jacobian(B).T)
        return found

    def diagonal(self, A: Floats) -> Floats:
        found: Floats = self.variance * np.square(self._jacobian(A)).sum(axis=1)
        return found

    def trend(self, X: Floats) -> Floats:
        """The mean before the observations: the linear model's at weights 0."""
        inputs = network_inputs(X, self.owners)
        found: Floats = self.network.outputs(self.w[None], inputs)[0] - self._jacobian(X) @ self.w
        return found

    def _jacobian(self, X: Floats) -> Floats:
        return self.network.jacobian(self.w, network_inputs(X, self.owners))


def fit(
    observed: Observed, hidden: tuple[int, ...], *, steps: int, rng: np.random.Generator
) -> Gaussian:
    """The network trained, linearised, and given the observations."""
    X = network_inputs(observed.X, observed.owners)
    network = Network((X.shape[1], *hidden, 1))
    problem = Regression(network, X, observed.y, NOISE)
    start = rng.standard_normal((STARTS, network.size))
    trained = descend(lambda w: problem(w)[1], start, steps, 0.05)
    w = trained[int(problem(trained)[0].argmin())]
    return linearise(Linearised(network, w, observed.owners, 1.0), observed)


def linearise(unit: Linearised, observed: Observed) -> Gaussian:
    """The posterior, with the most probable variance of the weights and noise."""
    variance, noise = most_probable(unit, observed)
    covariance = Linearised(unit.network, unit.w, unit.owners, variance)
    return Gaussian.of(covariance, observed.X, observed.y, noise, covariance.trend)


def most_probable(unit: Linearised, observed: Observed) -> tuple[float, float]:
    """1 / d and v."""
    residual = observed.y - unit.trend(observed.X)
    sizes, axes = np.linalg.eigh(unit.cross(observed.X, observed.X))
    along = np.square(axes.T @ residual)

    def misfit(pair: tuple[float, float]) -> float:
        """Minus twice the log marginal likelihood, but for a constant."""
        total = pair[0] * np.maximum(sizes, 0.0) + pair[1]
        return float((along / total + np.log(total)).sum())

    return min(product(VARIANCES.tolist(), NOISES.tolist()), key=misfit)
