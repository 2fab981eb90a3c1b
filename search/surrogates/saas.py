"""The settings of the sparse Gaussian process; search/surrogates/sparse.py holds the work."""

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
class Saas(Surrogate):
    """Gaussian processes that expect few of many parameters to matter."""

    fit_evaluations: Whole = 480
    kind: Literal["saas"] = "saas"

    def __post_init__(self) -> None:
        check_range("fit_evaluations", self.fit_evaluations, 160, 100_000)

    def fit(self, observed: Observed, rng: np.random.Generator) -> Model:
        from search.surrogates.sparse import fit

        return fit(observed, self.fit_evaluations, rng)
