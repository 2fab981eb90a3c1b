"""What the SDK sends is what the server's schema takes."""

import json

import pytest
import trimtab as tt
from pydantic import TypeAdapter
from trimtab import _spec
from trimtab._import import trial_to_json
from trimtab.space import space_to_json
from trimtab.spec import method_to_json, objectives_to_json

from service.schemas.others import SpaceSample
from service.schemas.studies import StudyCreate, StudyPatch
from service.schemas.trials import Enqueue, Import

DIGITS = [
    tt.Float("lr", 1e-5, 1e-1, log=True, default=1e-3),
    tt.Float("dropout", 0, 0.5, step=0.1),
    tt.Int("width", 16, 512, log=True),
    tt.Int("depth", 1, 9, step=2, default=3),
    tt.Choice("optimizer", ["adamw", "sgd", "lion"], default="sgd"),
    tt.Ordinal("batch", [32, 64, 128]),
    tt.Bool("nesterov", default=False, when={"optimizer": "sgd"}),
    tt.Float("momentum", 0.0, 0.99, when={"optimizer": ["sgd", "lion"], "nesterov": True}),
    tt.Fixed("epochs", 50),
    tt.Choice("nothing", [None, "some"]),
    tt.Permutation("steps", ["flip", 1, True, None], default=[None, True, 1, "flip"]),
]


def read(model, body):
    """The body as the server reads it: from JSON, strictly."""
    return TypeAdapter(model).validate_json(json.dumps(body, allow_nan=False))


def create(**changes):
    given = {
        "name": "digits",
        "space": DIGITS,
        "objectives": objectives_to_json([], "accuracy", None),
        "constraints": [],
        "searcher": "auto",
        "scheduler": "auto",
        "budget": tt.Budget(),
        "first": [],
        "options": {},
    }
    return _spec.create_body(**(given | changes))


def test_a_whole_study_is_read_by_the_server_as_it_was_meant():
    body = create(
        objectives=objectives_to_json(
            [tt.Maximize("accuracy", read="best", reference=0.5), tt.Minimize("latency")],
            None,
            None,
        ),
        constraints=[tt.Constraint("latency", at_most=20), tt.Constraint("x", at_least=0.5)],
        searcher={"kind": "sobol"},
        scheduler="median",
        budget=tt.Budget(trials=100, hours=2, target=0.99),
        first=[{"lr": 0.01}],
        options={
            "max_running": 8,
            "max_attempts": 2,
            "max_failed": 5,
            "lease_seconds": 3.0,
            "seed": 7,
            "tags": ["a"],
            "notes": "n",
        },
    )
    study = read(StudyCreate, body)
    parameters = {parameter.name: parameter for parameter in study.space.parameters}
    assert list(parameters) == [p.name for p in DIGITS]
    assert (parameters["lr"].low, parameters["lr"].log, parameters["lr"].default) == (
        1e-5,
        True,
        1e-3,
    )
    assert (parameters["depth"].step, parameters["depth"].default) == (2, 3)
    assert parameters["batch"].ordered
    assert not parameters["optimizer"].ordered
    assert parameters["nesterov"].choices == (False, True)
    assert parameters["nesterov"].default is False
    assert parameters["epochs"].choices == (50,)
    first, second = parameters["momentum"].when
    assert (first.parameter, first.values) == ("optimizer", ("sgd", "lion"))
    assert (second.parameter, second.values) == ("nesterov", (True,))
    assert [(o.metric, o.goal, o.read, o.reference) for o in study.objectives] == [
        ("accuracy", "maximize", "best", 0.5),
        ("latency", "minimize", "last", None),
    ]
    assert (study.constraints[0].at_most, study.constraints[1].at_least) == (20, 0.5)
    assert (study.searcher.kind, study.scheduler.kind) == ("sobol", "median")
    assert (study.budget.trials, study.budget.hours, study.budget.target) == (100, 2.0, 0.99)
    assert (study.max_running, study.max_attempts, study.max_failed) == (8, 2, 5)
    assert (study.lease_seconds, study.seed, study.tags, study.notes) == (3.0, 7, ["a"], "n")


def test_the_smallest_study_is_read():
    study = read(StudyCreate, create(space=[tt.Float("x", 0, 1)]))
    assert (study.objectives[0].metric, study.objectives[0].goal) == ("accuracy", "maximize")


@pytest.mark.parametrize(
    "kind",
    [
        "random",
        "sobol",
        "grid",
        "botorch",
        "cmaes",
        "evolution",
        "forest",
        "gp",
        "nsga2",
        "tpe",
        "turbo",
        "auto",
    ],
)
def test_searchers_by_name(kind):
    assert read(StudyCreate, create(searcher=kind)).searcher.kind == kind


def test_a_space_to_sample_is_read():
    assert read(SpaceSample, {"space": space_to_json(DIGITS), "count": 3, "seed": 1})


@pytest.mark.parametrize(
    ("target", "arguments", "kind"),
    [
        ("train.py:main", None, "program"),
        ("folder/train.py:main", None, "program"),
        ("torch-classifier", {"dataset": "digits"}, "recipe"),
    ],
)
def test_managed_runs_are_read(target, arguments, kind):
    body = _spec.managed(
        target, arguments=arguments, resources={"gpu": 0.5}, parallel=8, max_seconds=60.0
    )
    managed = read(StudyPatch, {"managed": body}).managed
    assert (managed.run.kind, managed.parallel, managed.max_seconds) == (kind, 8, 60.0)
    assert managed.resources == {"gpu": 0.5}


def test_trials_from_elsewhere_are_read():
    given = {
        "config": {"lr": 0.1},
        "values": {"loss": float("nan")},
        "measurements": [{"step": 0, "values": {"loss": float("inf")}}],
        "tags": ["old"],
    }
    (trial,) = read(Import, {"trials": [trial_to_json(given)], "replicate": True}).trials
    assert trial.values["loss"] != trial.values["loss"]
    assert trial.measurements[0].values["loss"] == float("inf")


def test_enqueued_configs_are_read():
    assert read(Enqueue, {"configs": [{"lr": 0.1, "nesterov": True}], "replicate": False})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: tt.Float("x", 1, 0), "expected low <= high"),
        (lambda: tt.Float("x", 0, 1, log=True), "a log scale needs low > 0"),
        (lambda: tt.Float("x", 0, 1, step=0), "expected step > 0"),
        (lambda: tt.Float("x", 1, 2, log=True, step=0.5), "exclude each other"),
        (lambda: tt.Float("x", 0, 1, default=2), "is not within"),
        (lambda: tt.Float("x", "0", 1), "expected a number"),
        (lambda: tt.Float("x", 0, float("inf")), "expected a finite number"),
        (lambda: tt.Int("x", 0.5, 2), "expected a whole number"),
        (lambda: tt.Int("x", True, 2), "expected a whole number"),
        (lambda: tt.Int("x", 0, 2**60), "±2"),
        (lambda: tt.Choice("x", []), "expected a list of choices"),
        (lambda: tt.Choice("x", "abc"), "expected a list of choices"),
        (lambda: tt.Choice("x", ["a", "a"]), "given twice"),
        (lambda: tt.Choice("x", [1, 1.0]), "given twice"),
        (lambda: tt.Choice("x", ["a"], default="b"), "none of the choices"),
        (lambda: tt.Choice("x", [object()]), "a bool, a number, a text or None"),
        (lambda: tt.Choice("x", [float("nan")]), "must be finite"),
        (lambda: tt.Permutation("x", ["a"]), "2 to 12 items, got 1"),
        (lambda: tt.Permutation("x", range(13)), "2 to 12 items, got 13"),
        (lambda: tt.Permutation("x", "ab"), "expected a list of items"),
        (lambda: tt.Permutation("x", [1, 1.0]), "the item 1 is given twice"),
        (lambda: tt.Permutation("x", [[1], 2]), "each item is a bool"),
        (lambda: tt.Permutation("x", ["a", "b"], default=["a"]), "no order of the items"),
        (lambda: tt.Bool("x", default=1), "True or False"),
        (lambda: tt.Float("", 0, 1), "1 to 128 characters"),
        (lambda: tt.Float(" x", 0, 1), "without space at the ends"),
        (lambda: tt.Float("x", 0, 1, when={"a": []}), "gives no value"),
        (lambda: tt.Float("x", 0, 1, when="a"), "expected when="),
        (lambda: space_to_json([]), "at least one parameter"),
        (lambda: space_to_json(tt.Float("x", 0, 1)), "expected a list"),
        (lambda: space_to_json(["x"]), "expected tt.Float"),
        (lambda: space_to_json([tt.Bool("x"), tt.Bool("x")]), "given twice"),
        (lambda: space_to_json([tt.Float("y", 0, 1, when={"x": 1})]), "stands before it"),
        (
            lambda: space_to_json([tt.Float("x", 0, 1), tt.Float("y", 0, 1, when={"x": 1})]),
            "but 'x' is a float",
        ),
        (
            lambda: space_to_json([tt.Permutation("x", [1, 2]), tt.Bool("y", when={"x": 1})]),
            "but 'x' is a permutation",
        ),
        (lambda: tt.Constraint("x"), "give at_most or at_least"),
        (lambda: tt.Constraint("x", at_most=1, at_least=2), "exceeds"),
        (lambda: tt.Budget(trials=0), "trials >= 1"),
        (lambda: tt.Budget(trials=1.5), "trials >= 1"),
        (lambda: tt.Budget(hours=0), "hours > 0"),
        (lambda: tt.Budget(target=float("nan")), "finite"),
        (lambda: tt.Minimize("").to_json(), "metric name"),
        (lambda: objectives_to_json([], None, None), "give one of"),
        (lambda: objectives_to_json([tt.Minimize("a")], "b", None), "give one of"),
        (lambda: objectives_to_json(["a"], None, None), "tt.Minimize or tt.Maximize"),
        (lambda: method_to_json("searcher", 3), "searcher: expected a name"),
        (lambda: method_to_json("searcher", {"x": 3}), "searcher: expected a name"),
        (lambda: create(constraints=["x"]), "expected tt.Constraint"),
        (lambda: managed("train.py"), "train.py:main"),
        (lambda: managed(""), "name of a recipe"),
        (lambda: managed("train.py:main", arguments={"a": 1}), "arguments are for recipes"),
        (lambda: managed("recipe", parallel=0), "parallel >= 1"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_a_reason(make, message):
    with pytest.raises(tt.InvalidSpec, match=message):
        make()


def managed(target, arguments=None, parallel=1):
    return _spec.managed(
        target, arguments=arguments, resources=None, parallel=parallel, max_seconds=None
    )


def test_parameters_are_values():
    assert tt.Float("x", 0, 1) == tt.Float("x", 0, 1)
    assert tt.Float("x", 0, 1) != tt.Float("x", 0, 2)
    assert len({tt.Float("x", 0, 1), tt.Float("x", 0, 1)}) == 1
    assert "x" in repr(tt.Float("x", 0, 1))
