"""Which settings of Bayesian optimisation suit which problem, and why others do not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from search.parameters import FloatParameter, IntParameter
from search.problem import Problem
from search.searcher import Objection, features_of
from search.searchers.aims import MAX_FOR_HYPERVOLUME, Acquisition
from search.searchers.ways import USUAL, default_of, excluded, given, way_of
from search.space import SearchSpace

if TYPE_CHECKING:
    from search.searchers.botorch import BoTorch

LOOK_AHEAD = ("jes", "kg", "mes")
FEW = 2000  # configs, as few as can be scored one by one


def acquisition_for(wanted: Acquisition, problem: Problem) -> Acquisition:
    """What "auto" stands for in this problem; any other name stands for itself."""
    if wanted != "auto":
        return wanted
    if len(problem.objectives) == 1:
        return "log_nei"
    return "log_nehvi" if len(problem.objectives) <= MAX_FOR_HYPERVOLUME else "parego"


def objections(settings: BoTorch, problem: Problem) -> tuple[Objection, ...]:
    """Why these settings cannot serve this problem; empty when they can."""
    return (
        *_to_the_acquisition(settings, problem),
        *_to_the_noise(settings, problem),
        *_to_the_way(settings, problem),
        *_to_the_fidelity(settings, problem),
        *_to_preferences(settings, problem),
        *_to_gradients(settings, problem),
        *_to_idle_settings(settings),
    )


def _to_the_acquisition(settings: BoTorch, problem: Problem) -> Iterator[Objection]:
    name, count = settings.acquisition, len(problem.objectives)
    reasons = []
    if name in (*LOOK_AHEAD, "log_nei") and count > 1:
        reasons.append(f"takes one objective, not {count}")
    if name in ("log_nehvi", "parego") and count == 1:
        reasons.append("needs several objectives")
    if name == "log_nehvi" and count > MAX_FOR_HYPERVOLUME:
        reasons.append(f"takes up to {MAX_FOR_HYPERVOLUME} objectives, not {count}")
    if name in LOOK_AHEAD and problem.constraints:
        reasons.append("does not take constraints on outcomes")
    if name in LOOK_AHEAD and settings.input_noise:
        reasons.append("does not take input_noise")
    for reason in reasons:
        yield Objection(reason=f"acquisition {name!r} {reason}", at=("acquisition",))


def _to_preferences(settings: BoTorch, problem: Problem) -> Iterator[Objection]:
    if not problem.by_preference:
        return
    if settings.acquisition != "auto":
        named = f"acquisition {settings.acquisition!r}"
        yield Objection(reason=f"{named} needs a metric, not preferences", at=("acquisition",))
    for name in given(settings, "cost", "input_noise"):
        yield Objection(reason=f"{name} needs a metric, not preferences", at=(name,))


def _to_gradients(settings: BoTorch, problem: Problem) -> Iterator[Objection]:
    if not problem.has_gradients:
        return
    if problem.constraints:
        yield Objection(reason="with gradients it does not take constraints on outcomes")
    if problem.earlier:
        yield Objection(reason="with gradients it does not learn from earlier studies")
    if settings.surrogate is None and settings.fidelity is None:
        yield from excluded(settings, "gradients", USUAL, ("cost", "input_noise"))


def _to_the_noise(settings: BoTorch, problem: Problem) -> Iterator[Objection]:
    parameters = {p.name: p for p in problem.space.parameters}
    for name in settings.input_noise or {}:
        if name not in parameters:
            reason = f"input_noise names {name!r}, which is not a parameter"
            yield Objection(reason=reason, at=("input_noise", name))
        elif not isinstance(parameters[name], FloatParameter | IntParameter):
            reason = f"input_noise names {name!r}, and only numbers can waver"
            yield Objection(reason=reason, at=("input_noise", name))
    if settings.input_noise:
        for constraint in problem.constraints:
            if None not in (constraint.at_most, constraint.at_least):
                named = f"{constraint.metric!r} has two"
                reason = f"input_noise takes constraints with one bound, {named}"
                yield Objection(reason=reason, at=("input_noise",))


def _to_the_way(settings: BoTorch, problem: Problem) -> Iterator[Objection]:
    """What the searches that model one metric in a way of their own leave out."""
    way = way_of(settings, problem)
    if way is None:
        return
    at = (way.setting,) if way.setting else ()
    for feature, reason in features_of(problem):
        if feature in settings.features | settings.aids and feature not in way.serves:
            yield Objection(reason=f"with {way.name} {reason}", at=at)
    yield from excluded(settings, way.name, way.acquisitions, way.excludes)
    for name in way.idle:
        if getattr(settings, name) != default_of(settings, name):
            yield Objection(reason=f"with {way.name} nothing reads {name}", at=(name,))


def _to_the_fidelity(settings: BoTorch, problem: Problem) -> Iterator[Objection]:
    if settings.fidelity is not None and _few(problem.space):
        yield Objection(
            reason=f"fidelity needs a space of more than {FEW} configs: one that is run in part is "
            "not run again",
            at=("fidelity",),
        )


def _to_idle_settings(settings: BoTorch) -> Iterator[Objection]:
    """What others of the settings leave without effect."""
    risk, cost = settings.risk, settings.cost
    if risk is not None and risk.measure == "mean" and risk.level != default_of(risk, "level"):
        reason = "risk.level is that of a value at risk, and the mean has none"
        yield Objection(reason=reason, at=("risk", "level"))
    if cost is not None and cost.cooling is not None and not cost.power:
        reason = "cost.cooling lets the power fall to 0, where it is already"
        yield Objection(reason=reason, at=("cost", "cooling"))


def _few(space: SearchSpace) -> bool:
    from search.walk import size

    count = size(space)
    return count is not None and count <= FEW
