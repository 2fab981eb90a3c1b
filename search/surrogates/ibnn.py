"""The settings of the infinite-width network; search/surrogates/infinite.py holds the work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, final

from search.settings import check_range
from search.surrogates.surrogate import Model, Observed, Surrogate
from search.values import Whole

if TYPE_CHECKING:
    import numpy as np


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class InfiniteWidth(Surrogate):
    """A Bayesian network of infinite width, with `depth` hidden layers."""

    depth: Whole = 3
    fit_evaluations: Whole = 60
    kind: Literal["ibnn"] = "ibnn"

    def __post_init__(self) -> None:
        check_range("depth", self.depth, 1, 10)
        check_range("fit_evaluations", self.fit_evaluations, 10, 10_000)

    def fit(self, observed: Observed, rng: np.random.Generator) -> Model:
        from search.surrogates.infinite import fit

        return fit(observed, self.depth, self.fit_evaluations)
