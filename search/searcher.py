"""The seam between a study and what proposes its configs.

A searcher is a pure function of its history: the same problem, seed, batch number, trials, pending
set, memo and count give the same suggestions, in any process.  What it must remember between two
batches it writes in a memo (JSON, versioned, at most MAX_MEMO_BYTES) that may be dropped at a cost
in time, never in correctness.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar

from search.problem import Problem
from search.trial import Trial, TrialState
from search.values import JSON, Config, Wire

if TYPE_CHECKING:
    import numpy as np

MAX_MEMO_BYTES = 2**20


class Feature(StrEnum):
    """What a problem may ask of its searcher."""

    CONDITIONS = "conditions"
    SEVERAL_OBJECTIVES = "several_objectives"
    OUTCOME_CONSTRAINTS = "outcome_constraints"
    PARAMETER_CONSTRAINTS = "parameter_constraints"
    PREFERENCES = "preferences"
    PRIORS = "priors"


@dataclass(frozen=True, slots=True, kw_only=True)
class Memo:
    """What a searcher wrote down for its next batch; a version it does not know is ignored."""

    version: int
    data: JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """A config to try, and why: origin["by"] names who proposed it."""

    config: Config
    origin: Mapping[str, JSON]


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """All that a suggestion may depend on.

    `trials` holds every trial of the study in order of number; the queued and running ones are
    pending points.  `reserved` holds configs suggested but not yet asked for: pending too, and not
    to be suggested again.  `batch` counts the batches of the study from 0.  `preferences` holds the
    numbers of two trials for every answer of a person, in the order given: (better, worse).
    """

    problem: Problem
    trials: Sequence[Trial] = ()
    reserved: Sequence[Config] = ()
    batch: int = 0
    memo: Memo | None = None
    preferences: Sequence[tuple[int, int]] = ()

    def rng(self) -> np.random.Generator:
        """The random generator of this batch, independent of every other batch's."""
        import numpy as np

        return np.random.default_rng(
            np.random.SeedSequence(self.problem.seed, spawn_key=(self.batch,))
        )

    def taken(self) -> Iterator[Config]:
        """Every config that must not be suggested again."""
        yield from (trial.config for trial in self.trials)
        yield from self.reserved

    def pending(self) -> Iterator[Config]:
        """Every config whose outcome is still to come."""
        for trial in self.trials:
            if trial.state in (TrialState.QUEUED, TrialState.RUNNING):
                yield trial.config
        yield from self.reserved


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What a searcher answers.

    Fewer suggestions than were asked for need `exhausted`, which says that the space holds no
    other point; the study is then complete once its trials have ended.
    """

    suggestions: Sequence[Suggestion]
    memo: Memo | None = None
    exhausted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Searcher(Wire, ABC):
    """Proposes configs.  Concrete searchers are final, frozen, and their fields are settings.

    A searcher's module and settings use the standard library only; what is heavy is imported
    inside `suggest`, so that the API can read settings without loading numpy, scipy or torch.
    To vary a searcher, wrap it; do not subclass it.
    """

    features: ClassVar[frozenset[Feature]]

    def supports(self) -> frozenset[Feature]:
        """What these settings can serve: the class's features, unless parts of it serve less."""
        return self.features

    @abstractmethod
    def suggest(self, history: History, count: int) -> Batch:
        """`count` new configs, none of them in `history.taken()`."""


def features_of(problem: Problem) -> Iterator[tuple[Feature, str]]:
    """What the problem asks of its searcher, each with the sentence that says so."""
    if problem.space.conditional:
        yield Feature.CONDITIONS, "it does not take conditional parameters"
    if len(problem.objectives) > 1:
        yield Feature.SEVERAL_OBJECTIVES, f"it takes one objective, not {len(problem.objectives)}"
    if problem.constraints:
        yield Feature.OUTCOME_CONSTRAINTS, "it does not take constraints on outcomes"
    if problem.space.constraints:
        yield Feature.PARAMETER_CONSTRAINTS, "it does not take constraints between parameters"
    if problem.space.believes:
        yield Feature.PRIORS, "it does not take priors on parameters, or weights of choices"
    if problem.by_preference:
        yield Feature.PREFERENCES, "it learns from metrics, not from preferences"
