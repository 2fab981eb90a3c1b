"""The settings of ageing evolution; search/evolution/ageing.py holds the work."""

import math
from dataclasses import dataclass
from typing import ClassVar, Literal, final

from search.searcher import Batch, Feature, History, Searcher
from search.settings import check_range
from search.values import Whole


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Evolution(Searcher):
    """Mutates the best of a few draws from the youngest trials; old ones die, however good.

    `population` is how many trials are alive and `sample` how many of them compete to be the
    parent of the next: by default a quarter, and two at least.  A study with fewer than twice
    `population` trials keeps the younger half of them alive, at least 20, and draws as large a part
    of it.
    """

    features: ClassVar[frozenset[Feature]] = frozenset({Feature.CONDITIONS})

    population: Whole = 100
    sample: Whole | None = None
    kind: Literal["evolution"] = "evolution"

    def __post_init__(self) -> None:
        check_range("population", self.population, 2, 10_000)
        if self.sample is not None:
            check_range("sample", self.sample, 1, self.population)

    @property
    def competing(self) -> int:
        """How many compete in a population that is complete."""
        return self.sample or max(2, math.ceil(self.population / 4))

    def suggest(self, history: History, count: int) -> Batch:
        from search.evolution.ageing import suggest

        return suggest(self, history, count)
