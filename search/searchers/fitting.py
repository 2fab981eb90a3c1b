"""Which settings of Bayesian optimisation suit which problem, and why others do not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from search.parameters import FloatParameter, IntParameter
from search.problem import Problem
from search.searchers.aims import MAX_FOR_HYPERVOLUME, Acquisition
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


def objections(settings: BoTorch, problem: Problem) -> tuple[str, ...]:
    """Why these settings cannot serve this problem, a sentence each; empty when they can."""
    return (
        *_to_the_acquisition(settings, problem),
        *_to_the_noise(settings, problem),
        *_to_a_single_model(settings, problem),
        *_to_the_fidelity(settings, problem),
        *_to_preferences(settings, problem),
        *_to_gradients(settings, problem),
    )


def _to_the_acquisition(settings: BoTorch, problem: Problem) -> Iterator[str]:
    name, count = settings.acquisition, len(problem.objectives)
    if name in (*LOOK_AHEAD, "log_nei") and count > 1:
        yield f"acquisition {name!r} takes one objective, not {count}"
    if name in ("log_nehvi", "parego") and count == 1:
        yield f"acquisition {name!r} needs several objectives"
    if name == "log_nehvi" and count > MAX_FOR_HYPERVOLUME:
        yield f"acquisition {name!r} takes up to {MAX_FOR_HYPERVOLUME} objectives, not {count}"
    if name in LOOK_AHEAD and problem.constraints:
        yield f"acquisition {name!r} does not take constraints on outcomes"
    if name in LOOK_AHEAD and settings.input_noise:
        yield f"acquisition {name!r} does not take input_noise"


def _to_preferences(settings: BoTorch, problem: Problem) -> Iterator[str]:
    if problem.by_preference:
        if settings.acquisition != "auto":
            yield f"acquisition {settings.acquisition!r} needs a metric, not preferences"
        for name in ("cost", "input_noise", "fidelity", "surrogate"):
            if getattr(settings, name):
                yield f"{name} needs a metric, not preferences"


def _to_gradients(settings: BoTorch, problem: Problem) -> Iterator[str]:
    if not problem.has_gradients:
        return
    if problem.constraints:
        yield "with gradients it does not take constraints on outcomes"
    if problem.earlier:
        yield "with gradients it does not learn from earlier studies"
    if settings.acquisition not in ("auto", "log_nei"):
        yield f"with gradients it does not take acquisition {settings.acquisition!r}"
    for name in ("cost", "input_noise", "fidelity", "surrogate"):
        if getattr(settings, name):
            yield f"with gradients it does not take {name}"


def _to_the_noise(settings: BoTorch, problem: Problem) -> Iterator[str]:
    parameters = {p.name: p for p in problem.space.parameters}
    for name in settings.input_noise or {}:
        if name not in parameters:
            yield f"input_noise names {name!r}, which is not a parameter"
        elif not isinstance(parameters[name], FloatParameter | IntParameter):
            yield f"input_noise names {name!r}, and only numbers can waver"
    if settings.input_noise:
        for constraint in problem.constraints:
            if None not in (constraint.at_most, constraint.at_least):
                yield f"input_noise takes constraints with one bound, {constraint.metric!r} has two"


def _to_a_single_model(settings: BoTorch, problem: Problem) -> Iterator[str]:
    """What the searches that model one metric in a way of their own leave out."""
    named = [name for name in ("surrogate", "fidelity") if getattr(settings, name) is not None]
    if not named and not problem.earlier:
        return
    what = named[0] if named else "what earlier studies taught"
    if len(named) > 1:
        yield "it takes a surrogate or fidelity, not both"
    if named and problem.earlier:
        yield f"with {what} it does not learn from earlier studies"
    if len(problem.objectives) > 1 or problem.constraints:
        yield f"with {what} it takes one objective and no constraints on outcomes"
    if problem.space.believes:
        yield f"with {what} it does not take priors on parameters, or weights of choices"
    if settings.acquisition not in ("auto", "log_nei"):
        yield f"with {what} it does not take acquisition {settings.acquisition!r}"
    for name in ("cost", "input_noise"):
        if getattr(settings, name):
            yield f"with {what} it does not take {name}"


def _to_the_fidelity(settings: BoTorch, problem: Problem) -> Iterator[str]:
    if settings.fidelity is not None and _few(problem.space):
        yield (
            f"fidelity needs a space of more than {FEW} configs: one that is run in part is "
            "not run again"
        )


def _few(space: SearchSpace) -> bool:
    from search.walk import size

    count = size(space)
    return count is not None and count <= FEW
