"""The ways of their own in which Bayesian optimisation models one metric, and what each takes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from search.problem import Problem
from search.searcher import Aid, Feature, Objection
from search.values import Wire

if TYPE_CHECKING:
    from search.searchers.botorch import BoTorch

USUAL = ("auto", "log_nei")  # expected improvement, by either name


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """A model that takes the place of the usual one.

    `setting` is the setting that asks for it, None where the study does.  `acquisitions` are those
    it can go by, `excludes` the settings that it cannot serve, and `idle` those it does not read.
    """

    name: str
    setting: str | None
    serves: frozenset[Feature | Aid]
    acquisitions: tuple[str, ...]
    excludes: tuple[str, ...]
    idle: tuple[str, ...]


SURROGATE = Way(
    name="a surrogate",
    setting="surrogate",
    serves=frozenset({Feature.CONDITIONS}),
    acquisitions=USUAL,
    excludes=("fidelity", "cost", "input_noise"),
    idle=("fit_evaluations", "prior_weight"),
)
FIDELITY = Way(
    name="fidelity",
    setting="fidelity",
    serves=frozenset({Feature.CONDITIONS, Feature.PARAMETER_CONSTRAINTS}),
    acquisitions=("auto",),  # it goes by what a run tells of the best full run
    excludes=("cost", "input_noise"),
    idle=("prior_weight",),
)
EARLIER = Way(
    name="what earlier studies taught",
    setting=None,
    # Derivatives are refused on their own account.
    serves=frozenset(
        {Feature.CONDITIONS, Feature.GRADIENTS, Feature.PARAMETER_CONSTRAINTS, Aid.TRANSFER}
    ),
    acquisitions=USUAL,
    excludes=("cost", "input_noise"),
    idle=("prior_weight",),
)


def way_of(settings: BoTorch, problem: Problem) -> Way | None:
    """The way that the settings or the study ask for, if any; the first of several."""
    if settings.surrogate is not None:
        return SURROGATE
    if settings.fidelity is not None:
        return FIDELITY
    return EARLIER if problem.earlier and not problem.has_gradients else None


def excluded(
    settings: BoTorch, what: str, acquisitions: tuple[str, ...], names: tuple[str, ...]
) -> Iterator[Objection]:
    """Objections to another acquisition than these, and to the named settings, where given."""
    if settings.acquisition not in acquisitions:
        named = f"acquisition {settings.acquisition!r}"
        yield Objection(reason=f"with {what} it does not take {named}", at=("acquisition",))
    for name in given(settings, *names):
        yield Objection(reason=f"with {what} it does not take {name}", at=(name,))


def given(settings: BoTorch, *names: str) -> list[str]:
    """Those of the named settings that are there."""
    return [name for name in names if getattr(settings, name)]


def default_of(settings: Wire, name: str) -> object:
    """What a setting is unless it is given."""
    return next(f.default for f in fields(settings) if f.name == name)  # type: ignore[arg-type]
