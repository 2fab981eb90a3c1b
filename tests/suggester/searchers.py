"""Searchers that misbehave, for the suggester's tests; its children find them here."""

import os
import time
from dataclasses import dataclass
from typing import ClassVar, Literal, final

from search.searcher import Batch, Feature, History, Searcher, Suggestion


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Slow(Searcher):
    """Takes its time, then proposes the lower end of the first parameter."""

    features: ClassVar[frozenset[Feature]] = frozenset()
    seconds: float
    kind: Literal["slow"] = "slow"

    def suggest(self, history: History, count: int) -> Batch:
        time.sleep(self.seconds)
        return Batch(
            suggestions=[
                Suggestion(config={"x": (1 + n) / 1024}, origin={"by": "slow"})
                for n in range(count)
            ]
        )


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Broken(Searcher):
    """Raises, dies, or answers what nobody can use."""

    features: ClassVar[frozenset[Feature]] = frozenset()
    how: str
    kind: Literal["broken"] = "broken"

    def suggest(self, history: History, count: int) -> Batch:
        if self.how == "dies":
            os._exit(3)
        if self.how == "raises":
            raise ZeroDivisionError("no more ideas")
        if self.how == "prints":
            print("a library says hello")
            os.write(1, b"and so does its C part\n")
            return Batch(suggestions=[Suggestion(config={"x": 0.5}, origin={"by": "broken"})])
        config = {"outside": 2.0, "nan": float("nan")}[self.how]
        return Batch(suggestions=[Suggestion(config={"x": config}, origin={"by": "broken"})])
