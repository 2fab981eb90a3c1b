"""The seam between a study and what proposes its configs.

A searcher is a pure function of its history: the same problem, seed, batch number, trials, pending
set, memo and count give the same suggestions, in any process.  What it must remember between two
batches it writes in a memo (JSON, versioned, at most MAX_MEMO_BYTES) that may be dropped at a cost
in time, never in correctness.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar

from search.context import same_context
from search.errors import Path
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
    CONTEXTS = "contexts"
    GRADIENTS = "gradients"
    PARAMETER_CONSTRAINTS = "parameter_constraints"
    PREFERENCES = "preferences"
    PRIORS = "priors"


class Aid(StrEnum):
    """What a problem gives its searcher to be used; to leave it aside is not to serve it."""

    TRANSFER = "transfer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Memo:
    """What a searcher wrote down for its next batch; a version it does not know is ignored."""

    version: int
    data: JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """A config to try, and why: origin["by"] names who proposed it.

    `until` is the step up to which it is to run; None is a full run.
    """

    config: Config
    origin: Mapping[str, JSON]
    until: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """All that a suggestion may depend on.

    `trials` holds every trial of the study in order of number; the queued and running ones are
    pending points.  `reserved` holds configs suggested but not yet asked for: pending too, and not
    to be suggested again.  `batch` counts the batches of the study from 0.  `context` is what this
    batch is asked for in: its suggestions, and `reserved`, are configs for that context.
    `preferences` holds the numbers of two trials for every answer of a person, in the order given:
    (better, worse).  `budget` is how many trials the study may have in all, imported ones aside, as
    it stands when the batch is computed; None is no limit.
    """

    problem: Problem
    trials: Sequence[Trial] = ()
    reserved: Sequence[Config] = ()
    batch: int = 0
    memo: Memo | None = None
    preferences: Sequence[tuple[int, int]] = ()
    context: Config = field(default_factory=dict)
    budget: int | None = None

    def rng(self) -> np.random.Generator:
        """The random generator of this batch, independent of every other batch's."""
        import numpy as np

        return np.random.default_rng(
            np.random.SeedSequence(self.problem.seed, spawn_key=(self.batch,))
        )

    def taken(self) -> Iterator[Config]:
        """Every config that must not be suggested again, in this batch's context."""
        yield from (trial.config for trial in self.trials if self.here(trial.context))
        yield from self.reserved

    def here(self, context: Config) -> bool:
        """Whether a context is that of this batch."""
        return not self.problem.context or same_context(context, self.context)

    def pending(self) -> Iterator[Config]:
        """Every config whose outcome is still to come, in whatever context."""
        yield from (config for config, _ in self.under_way())

    def under_way(self) -> Iterator[tuple[Config, Config]]:
        """Every config whose outcome is still to come, with its context."""
        for trial in self.trials:
            if trial.state in (TrialState.QUEUED, TrialState.RUNNING):
                yield trial.config, trial.context
        yield from ((config, self.context) for config in self.reserved)


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
class Objection:
    """Why a searcher cannot serve a problem; `at` leads to the setting that stands against it.

    It is empty where the searcher serves no such problem, whatever its settings.
    """

    reason: str
    at: Path = ()

    def under(self, part: str) -> Objection:
        """The same, of a searcher that is itself the setting `part` of another."""
        return replace(self, at=(part, *self.at))


@dataclass(frozen=True, slots=True, kw_only=True)
class Searcher(Wire, ABC):
    """Proposes configs.  Concrete searchers are final, frozen, and their fields are settings.

    A searcher's module and settings use the standard library only; what is heavy is imported
    inside `suggest`, so that the API can read settings without loading numpy, scipy or torch.
    To vary a searcher, wrap it; do not subclass it.
    """

    features: ClassVar[frozenset[Feature]]
    aids: ClassVar[frozenset[Aid]] = frozenset()

    def supports(self) -> frozenset[Feature]:
        """What these settings can serve: the class's features, unless parts of it serve less."""
        return self.features

    def objections(self, problem: Problem) -> tuple[Objection, ...]:
        """Why these settings cannot serve the problem, whatever the features that it asks for."""
        return ()

    def planned_steps(self) -> tuple[int, int] | None:
        """The least steps and those of a full run, where it plans how far each trial runs."""
        return None

    @abstractmethod
    def suggest(self, history: History, count: int) -> Batch:
        """`count` new configs, none of them in `history.taken()`."""


def features_of(problem: Problem) -> Iterator[tuple[Feature | Aid, str]]:
    """What the problem asks of its searcher, or gives it, each with the sentence that says so."""
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
    if problem.has_gradients:
        yield Feature.GRADIENTS, "it does not learn from derivatives of the objective"
    if problem.context:
        yield Feature.CONTEXTS, "it does not take a context that is given with the ask"
    if problem.earlier:
        yield Aid.TRANSFER, "it does not learn from earlier studies"


def objections_to(problem: Problem, searcher: Searcher) -> tuple[Objection, ...]:
    """Why the searcher cannot serve the problem, and which setting is to blame."""
    supported = searcher.supports() | searcher.aids
    lacking = (
        Objection(reason=reason)
        for feature, reason in features_of(problem)
        if feature not in supported
    )
    return (*lacking, *searcher.objections(problem))


def unsupported(problem: Problem, searcher: Searcher) -> tuple[str, ...]:
    """Why the searcher cannot serve the problem, a sentence each; empty when it can."""
    return tuple(objection.reason for objection in objections_to(problem, searcher))
