"""Permutations through the SDK and the real API: made, tried, refused, listed, exported."""

import contextlib
import csv
import io
import json

import pytest
import trimtab as tt
from trimtab.errors import ConfigExists, InvalidRequest

ITEMS = ["flip", "crop", 1, True]
SPACE = [tt.Permutation("order", ITEMS, default=[True, 1, "crop", "flip"])]
LAST = [1, True, "flip", "crop"]


@pytest.fixture
def client(server):
    with tt.Client(server.url, server.key) as client:
        yield client


@pytest.fixture
def study(client):
    """A study whose trials 0 and 1 are done, and the next is queued."""
    study = client.create_study(
        "pipeline",
        space=SPACE,
        minimize="loss",
        scheduler="full",
        budget=tt.Budget(trials=3),
        first=[{"order": ITEMS}],
    )
    study.enqueue({"order": LAST})
    for _ in range(2):
        with study.ask(timeout=10) as trial:
            trial.report(0, loss=float(trial.config["order"].index("crop")))
    return study


def test_a_config_holds_a_list_wherever_it_is_read(study):
    found = [trial.config["order"] for trial in study.results()]
    assert found == [[True, 1, "crop", "flip"], ITEMS, LAST]
    assert [type(item) for item in found[2]] == [int, bool, str, str]
    assert study.best.config == {"order": ITEMS}
    table = study.to_pandas()
    assert table.loc[1, "config.order"] == ITEMS


def test_exports_hold_it_as_json(study):
    rows = list(csv.DictReader(io.StringIO(study.export())))
    assert json.loads(rows[1]["config.order"]) == ITEMS
    lines = [json.loads(line) for line in study.export(format="jsonl").splitlines()]
    assert lines[1]["config"] == {"order": ITEMS}


WHERE = {
    f"order={json.dumps(json.dumps(ITEMS))}": [1],
    f"order!={json.dumps(json.dumps(ITEMS))}": [0, 2],
    f"config.order={json.dumps(json.dumps([1.0, True, 'flip', 'crop']))}": [2],
    'order="[1, 2]"': [],
    'order="[1,"': [],
    'order="[NaN]"': [],
    "order=crop": [],
    "order<3": [],
}
STRANGE = ('["\\u0000"]', '["\\ud800"]', "[" * 900)


def test_a_list_can_be_looked_for(study):
    for where, expected in WHERE.items():
        assert [trial.number for trial in study.results(where=where)] == expected, where
    for text in STRANGE:  # refused or not found, and no error of the server
        with contextlib.suppress(InvalidRequest):
            assert list(study.results(where=f"order={json.dumps(text)}")) == []
    assert len(list(study.results())) == 3


WRONG = [
    (ITEMS[:3], "without True"),
    ([*ITEMS, "flip"], "'flip' repeated"),
    (["flip", "crop", 1, 1], "1 repeated|without True"),
    (["flip", "crop", 1, "blur"], "'blur', which is no item"),
    ("flip", "a list of each of"),
]


def test_what_is_no_order_is_refused_with_a_reason(study):
    for order, message in WRONG:
        with pytest.raises(InvalidRequest, match=message):
            study.enqueue({"order": order})
        with pytest.raises(InvalidRequest, match=message):
            study.import_trials([{"config": {"order": order}, "values": {"loss": 1.0}}])


def test_the_same_order_is_not_tried_twice(study):
    with pytest.raises(ConfigExists):
        study.enqueue({"order": [1.0, True, "flip", "crop"]})


def test_sampled_orders_hold_every_item(client):
    for config in client.sample(SPACE, 20, seed=1):
        assert sorted(map(repr, config["order"])) == sorted(map(repr, ITEMS))
