"""Priors, weights and linear constraints as one writes them down, and as the server reads them."""

import json

import pytest
import trimtab as tt
from pydantic import TypeAdapter
from trimtab.errors import InvalidRequest, InvalidSpec
from trimtab.space import space_from_json, space_to_json

from search.space import SearchSpace

SPACE = [
    tt.Float("lr", 1e-5, 1e-1, log=True, prior=tt.Normal(1e-3, 0.5)),
    tt.Int("layers", 1, 9, prior=tt.Normal(4, 2)),
    tt.Choice("optimizer", ["adamw", "sgd", "lion"], weights=[6, 3, 1]),
    tt.Ordinal("batch", [32, 64], weights=[1, 2]),
    tt.Float("a", 0, 1),
    tt.Float("b", 0, 1),
    tt.Float("momentum", 0, 1, when={"optimizer": "sgd"}),
    tt.Linear({"a": 1, "b": 2}, at_most=1, at_least=0.5),
    tt.Linear({"layers": 1, "a": -1}, at_least=2),
]


def test_the_server_reads_what_was_meant():
    text = json.dumps(space_to_json(SPACE), allow_nan=False)
    space = TypeAdapter(SearchSpace).validate_json(text)
    assert (space["lr"].prior.mean, space["lr"].prior.sd) == (1e-3, 0.5)
    assert space["layers"].prior.mean == 4
    assert space["optimizer"].weights == (6, 3, 1)
    assert space["batch"].weights == (1, 2)
    assert space["a"].prior is None
    assert [str(c) for c in space.constraints] == ["a + 2 b", "layers - a"]
    assert (space.constraints[0].at_least, space.constraints[0].at_most) == (0.5, 1)


def test_a_space_survives_the_way_there_and_back():
    wire = TypeAdapter(SearchSpace).dump_python(
        TypeAdapter(SearchSpace).validate_python(space_to_json(SPACE)), mode="json"
    )
    again = space_to_json(space_from_json(wire))
    assert TypeAdapter(SearchSpace).validate_python(again) == TypeAdapter(
        SearchSpace
    ).validate_python(wire)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: tt.Normal(float("nan"), 1), "finite mean"),
        (lambda: tt.Normal(0, 0), "sd > 0"),
        (lambda: tt.Float("x", 0, 1, prior=tt.Normal(2, 1)), "x: the mean 2 of its prior"),
        (lambda: tt.Float("x", 0, 1, prior=(0.5, 0.1)), "prior=tt.Normal"),
        (lambda: tt.Choice("c", ["a", "b"], weights=[1]), "c: expected 2 weights"),
        (lambda: tt.Choice("c", ["a", "b"], weights=[1, -1]), "c: expected finite weights"),
        (lambda: tt.Linear({}, at_most=1), "tt.Linear: expected terms"),
        (lambda: tt.Linear({"a": 0}, at_most=1), "other than 0 for 'a'"),
        (lambda: tt.Linear({"a": 1}), "give at_most or at_least"),
        (lambda: tt.Linear({"a": 1}, at_most=1, at_least=2), "at_least=2 exceeds at_most=1"),
        (lambda: space_to_json([*SPACE, tt.Linear({"z": 1}, at_most=1)]), "'z' is not a parameter"),
        (
            lambda: space_to_json([*SPACE, tt.Linear({"batch": 1}, at_most=1)]),
            "only floats and ints add up, not 'batch'",
        ),
        (lambda: space_to_json([*SPACE, tt.Linear({"momentum": 1}, at_most=1)]), "has a `when`"),
        (lambda: space_to_json([tt.Linear({"a": 1}, at_most=1)]), "at least one parameter"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_it_travels(make, message):
    with pytest.raises(InvalidSpec, match=message):
        make()


def test_against_the_real_app(server):
    with tt.Client(server.url, server.key) as client:
        for config in client.sample(SPACE, 50):
            assert 0.5 - 1e-9 <= config["a"] + 2 * config["b"] <= 1 + 1e-9
            assert config["layers"] - config["a"] >= 2 - 1e-9
        study = client.create_study("parts", space=SPACE, minimize="loss", exist_ok=True)
        again = client.create_study("parts", space=study.space, minimize="loss", exist_ok=True)
        assert again.id == study.id
        with pytest.raises(tt.StudyExists, match="another space"):
            client.create_study("parts", space=SPACE[:-1], minimize="loss", exist_ok=True)
        good = {"lr": 1e-3, "layers": 3, "optimizer": "lion", "batch": 32, "a": 0.5, "b": 0.25}
        assert len(study.enqueue(good)) == 1
        with pytest.raises(InvalidRequest, match=r"a \+ 2 b is 1.5, which exceeds at_most=1.0"):
            study.enqueue({**good, "b": 0.5})
