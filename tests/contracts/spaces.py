"""Spaces of every kind, which every searcher must serve, and random ones for properties."""

from hypothesis import reject
from hypothesis import strategies as st

from search.errors import InvalidSpace
from search.parameters import (
    ChoiceParameter,
    Condition,
    FloatParameter,
    IntParameter,
    Parameter,
    PermutationParameter,
)
from search.space import SearchSpace


def _when(parameter: str, *values: object) -> tuple[Condition, ...]:
    return (Condition(parameter=parameter, values=values),)


OPTIMIZER = ChoiceParameter(name="optimizer", choices=("adamw", "sgd", "lion"))

SPACES: dict[str, tuple[Parameter, ...]] = {
    "float": (FloatParameter(name="x", low=-1, high=3),),
    "log": (FloatParameter(name="lr", low=1e-6, high=1e-1, log=True),),
    "int": (IntParameter(name="n", low=-200, high=200),),
    "log int": (IntParameter(name="width", low=1, high=4096, log=True),),
    "step": (
        FloatParameter(name="dropout", low=0, high=0.9, step=0.1),
        IntParameter(name="units", low=16, high=250, step=16),
    ),
    "choice": (
        ChoiceParameter(name="act", choices=tuple("abcdefghijklmnopqrstuvwxyz")),
        ChoiceParameter(name="mixed", choices=(None, True, 1, 2.5, "x")),
    ),
    "ordered": (
        ChoiceParameter(name="batch", choices=tuple(2**k for k in range(40)), ordered=True),
    ),
    "bool": (
        ChoiceParameter(name="nesterov", choices=(False, True)),
        FloatParameter(name="x", low=0, high=1),
    ),
    "fixed": (
        ChoiceParameter(name="data", choices=("digits",)),
        FloatParameter(name="floor", low=2.5, high=2.5),
        IntParameter(name="n", low=1, high=300),
    ),
    "nested": (
        OPTIMIZER,
        FloatParameter(name="lr", low=1e-5, high=1, log=True),
        FloatParameter(name="momentum", low=0, high=0.99, when=_when("optimizer", "sgd")),
        ChoiceParameter(name="nesterov", choices=(False, True), when=_when("optimizer", "sgd")),
        IntParameter(name="layers", low=1, high=3),
        IntParameter(name="second", low=8, high=64, log=True, when=_when("layers", 2, 3)),
        ChoiceParameter(
            name="kind",
            choices=("a", "b", "c"),
            when=(*_when("nesterov", True), *_when("layers", 3)),
        ),
    ),
}
SPACES["permutation"] = (
    PermutationParameter(name="order", items=("fetch", "parse", "train", "test", "report")),
    OPTIMIZER,
    PermutationParameter(name="layers", items=(1, True, None, "x"), when=_when("optimizer", "sgd")),
    FloatParameter(name="x", low=0, high=1),
)
TINY: dict[str, tuple[Parameter, ...]] = {
    "one point": (ChoiceParameter(name="only", choices=(7,)),),
    "tiny": (IntParameter(name="n", low=1, high=3), ChoiceParameter(name="c", choices=("a", "b"))),
    "tiny permutation": (PermutationParameter(name="order", items=("a", "b", "c")),),
    "tiny nested": (
        OPTIMIZER,
        IntParameter(name="n", low=1, high=4, log=True, when=_when("optimizer", "sgd")),
    ),
}
TINY_SIZES = {"one point": 1, "tiny": 6, "tiny nested": 6, "tiny permutation": 6}


def space(name: str) -> SearchSpace:
    """One of the spaces above."""
    return SearchSpace(parameters=(SPACES | TINY)[name])


@st.composite
def parameters(draw: st.DrawFn, name: str) -> Parameter:
    """Any parameter of a reasonable range."""
    kinds = ["float", "log", "step", "int", "log int", "stride", "choice", "permutation"]
    kind = draw(st.sampled_from(kinds))
    match kind:
        case "float":
            low, high = sorted(draw(st.tuples(*[st.floats(-1e6, 1e6)] * 2)))
            return _wide_enough(name, low, high, log=False)
        case "log":
            low, high = sorted(draw(st.tuples(*[st.floats(1e-9, 1e9)] * 2)))
            return _wide_enough(name, low, high, log=True)
        case "step":
            low, step = draw(st.floats(-100, 100)), draw(st.floats(1e-3, 10))
            return FloatParameter(name=name, low=low, high=low + draw(st.floats(0, 50)), step=step)
        case "choice":
            choices = draw(st.lists(st.integers(0, 50), min_size=1, max_size=6, unique=True))
            return ChoiceParameter(name=name, choices=choices, ordered=draw(st.booleans()))
        case "permutation":
            return PermutationParameter(name=name, items=range(draw(st.integers(2, 12))))
        case "log int":
            low, high = sorted(draw(st.tuples(*[st.integers(1, 10**9)] * 2)))
            return IntParameter(name=name, low=low, high=high, log=True)
        case _:
            low, high = sorted(draw(st.tuples(*[st.integers(-(10**9), 10**9)] * 2)))
            step = draw(st.integers(1, 7)) if kind == "stride" else 1
            return IntParameter(name=name, low=low, high=high, step=step)


def _wide_enough(name: str, low: float, high: float, *, log: bool) -> FloatParameter:
    try:
        return FloatParameter(name=name, low=low, high=high, log=log)
    except InvalidSpace:
        reject()


@st.composite
def spaces(draw: st.DrawFn) -> SearchSpace:
    """Any space of up to five parameters, some of them conditional on a switch or on each other."""
    made: list[Parameter] = [ChoiceParameter(name="switch", choices=("on", "off", "auto"))]
    for k in range(draw(st.integers(1, 4))):
        parameter = draw(parameters(f"p{k}"))
        made.append(_conditional(parameter, draw(st.sampled_from([None, *made]))))
    return SearchSpace(parameters=made)


def _conditional(parameter: Parameter, parent: Parameter | None) -> Parameter:
    from dataclasses import replace

    match parent:
        case ChoiceParameter(name=name, choices=choices):
            return replace(parameter, when=_when(name, choices[0]))
        case IntParameter(name=name, low=low):
            return replace(parameter, when=_when(name, low))
        case _:
            return parameter
