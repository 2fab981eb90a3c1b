"""Spaces of every kind, which every searcher must serve, and random ones for properties."""

from hypothesis import reject
from hypothesis import strategies as st

from search.errors import InvalidSpace
from search.linear import LinearConstraint
from search.normal import Normal
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


def _sum(
    *, at_least: float | None = None, at_most: float | None = None, **terms: float
) -> LinearConstraint:
    return LinearConstraint(terms=terms, at_least=at_least, at_most=at_most)


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
# Spaces with more than parameters: `space` knows them too.
CONSTRAINED: dict[str, tuple[tuple[Parameter, ...], tuple[LinearConstraint, ...]]] = {
    "mixture": (
        (
            *(FloatParameter(name=f"x{k}", low=0, high=1) for k in range(5)),
            OPTIMIZER,
            FloatParameter(name="momentum", low=0, high=1, when=_when("optimizer", "sgd")),
        ),
        (_sum(at_most=0.01, **{f"x{k}": 1 for k in range(5)}),),
    ),
    "slice": (
        (
            FloatParameter(name="a", low=0, high=1),
            FloatParameter(name="b", low=0, high=1),
            FloatParameter(name="lr", low=1e-5, high=1e-1, log=True),
        ),
        (_sum(at_least=0.999, at_most=1.001, a=1, b=1), _sum(at_most=0.05, lr=1, b=0.05)),
    ),
    "exact": (
        (
            IntParameter(name="first", low=0, high=40),
            IntParameter(name="second", low=1, high=64, log=True),
            FloatParameter(name="share", low=0, high=1, step=0.25),
            FloatParameter(name="rest", low=-100, high=100),
        ),
        (
            _sum(at_least=32, at_most=32, first=1, second=1),
            _sum(at_least=1, at_most=1, share=1, rest=1),
        ),
    ),
}
BELIEVED: dict[str, tuple[Parameter, ...]] = {
    "priors": (
        ChoiceParameter(name="optimizer", choices=("adamw", "sgd", "lion"), weights=(6, 3, 1)),
        FloatParameter(name="lr", low=1e-5, high=1, log=True, prior=Normal(mean=1e-3, sd=0.5)),
        FloatParameter(
            name="momentum",
            low=0,
            high=1,
            when=_when("optimizer", "sgd"),
            prior=Normal(mean=0.9, sd=0.05),
        ),
        IntParameter(name="layers", low=1, high=30, prior=Normal(mean=4, sd=2)),
        IntParameter(name="width", low=8, high=512, log=True, prior=Normal(mean=64, sd=0.3)),
        FloatParameter(name="dropout", low=0, high=0.9, step=0.1, prior=Normal(mean=0, sd=0.2)),
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
TINY_CONSTRAINED: dict[str, tuple[tuple[Parameter, ...], tuple[LinearConstraint, ...]]] = {
    "tiny sum": (
        (*(IntParameter(name=name, low=0, high=9) for name in "abc"), OPTIMIZER),
        (_sum(at_least=2, at_most=2, a=1, b=1, c=1), _sum(at_most=0, a=1, b=-1)),
    ),
    "tiny float": (
        (FloatParameter(name="x", low=0, high=9), IntParameter(name="n", low=1, high=3)),
        (_sum(at_least=4, at_most=4, x=1, n=1),),
    ),
    "tiny lattice": (
        tuple(FloatParameter(name=name, low=0, high=1, step=0.1) for name in "abcdef"),
        (_sum(at_most=0.1, a=1, b=1, c=1, d=1, e=1, f=1),),
    ),
    "nothing": (
        tuple(IntParameter(name=name, low=0, high=9) for name in "ab"),
        (_sum(at_least=5, at_most=5, a=2, b=2),),
    ),
}
TINY_SIZES |= {"tiny sum": 12, "tiny float": 3, "tiny lattice": 7, "nothing": 0}


def space(name: str) -> SearchSpace:
    """One of the spaces above."""
    constrained = CONSTRAINED | TINY_CONSTRAINED
    if name in constrained:
        parameters, constraints = constrained[name]
        return SearchSpace(parameters=parameters, constraints=constraints)
    return SearchSpace(parameters=(SPACES | BELIEVED | TINY)[name])


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
