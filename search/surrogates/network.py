"""Small fully connected networks with tanh units, many at once, and their derivatives.

Weights are flat, one row of P numbers for each of S networks.  Every weight is a standard normal
variable a priori: what a unit receives is multiplied by sqrt(GAIN / fan), fan the number of units
that feed it, so that networks of any width are alike (Neal, "Bayesian Learning for Neural
Networks", 1996), and wiggle enough to have a minimum within the space.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from search.scales import Floats

GAIN = 3.0


@dataclass(frozen=True, slots=True)
class Network:
    """The widths of the layers, inputs and outputs among them; between them, tanh."""

    widths: tuple[int, ...]

    @property
    def size(self) -> int:
        """P, how many weights and biases there are."""
        pairs = zip(self.widths[:-1], self.widths[1:], strict=True)
        return sum((fan + 1) * units for fan, units in pairs)

    def layers(self, w: Floats) -> Iterator[tuple[Floats, Floats]]:
        """The scaled weights, S x fan x units, and biases, S x 1 x units, of each layer."""
        start = 0
        for fan, units in zip(self.widths[:-1], self.widths[1:], strict=True):
            stop = start + fan * units
            weights = w[:, start:stop].reshape(-1, fan, units) * np.sqrt(GAIN / fan)
            yield weights, w[:, None, stop : stop + units]
            start = stop + units

    def forward(self, w: Floats, X: Floats) -> list[Floats]:
        """What enters each layer, S x n x units, and last what comes out."""
        found = [np.broadcast_to(X, (len(w), *X.shape))]
        last = len(self.widths) - 2
        for k, (weights, biases) in enumerate(self.layers(w)):
            z = found[-1] @ weights + biases
            found.append(z if k == last else np.tanh(z))
        return found

    def outputs(self, w: Floats, X: Floats) -> Floats:
        """The first output of every network, S x n."""
        return self.forward(w, X)[-1][..., 0]

    def pulled(self, w: Floats, passed: list[Floats], pull: Floats) -> Floats:
        """The gradient by w, S x P, of sum(pull * output); pull is S x n x outputs."""
        parts: list[Floats] = []
        for k, (weights, _) in reversed(list(enumerate(self.layers(w)))):
            entered = passed[k]
            by_weight = np.swapaxes(entered, 1, 2) @ pull * np.sqrt(GAIN / entered.shape[2])
            parts += [pull.sum(axis=1), by_weight.reshape(len(w), -1)]
            if k:
                pull = (pull @ np.swapaxes(weights, 1, 2)) * (1.0 - np.square(entered))
        return np.concatenate(parts[::-1], axis=1)

    def jacobian(self, w: Floats, X: Floats) -> Floats:
        """The gradients of one network's first output at each row of X, n x P."""
        each = np.repeat(w[None], len(X), axis=0)
        passed = [part[0][:, None] for part in self.forward(w[None], X)]
        pull = np.zeros((len(X), 1, self.widths[-1]))
        pull[..., 0] = 1.0
        return self.pulled(each, passed, pull)
