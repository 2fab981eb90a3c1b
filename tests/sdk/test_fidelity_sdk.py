"""A trial that is planned to run so far, as a training loop meets it."""

import uuid

import psycopg
import pytest
import trimtab as tt
from psycopg.types.json import Jsonb
from trimtab.errors import UnsupportedStudy

from service.trials.identity import config_hash

SPACE = [tt.Float("x", 0.0, 1.0)]
SEARCHER = {"kind": "botorch", "fidelity": {"low": 1, "high": 9}}

BATCH = """
insert into batch (study_id, number, state, lease_id, expires_at, count, finished_at)
select id, 0, 'done', %s, now(), 2, now() from study where public_id = %s
"""
SUGGESTION = """
insert into suggestion (study_id, batch, position, config, config_hash, origin, planned, seen)
select id, 0, %s, %s, %s, '{"by": "test"}', %s, 0 from study where public_id = %s
"""


@pytest.fixture
def study(server):
    """A study with two suggestions: up to step 3, and a full run.  No suggester runs here."""
    with tt.Client(server.url, server.key) as client:
        study = client.create_study(
            "digits",
            space=SPACE,
            minimize="loss",
            searcher=SEARCHER,
            scheduler="full",
            budget=tt.Budget(trials=2),
        )
        with psycopg.connect(server.database_url) as connection:
            connection.execute(BATCH, (uuid.uuid4(), study.id))
            for place, planned in enumerate((3, None)):
                config = {"x": 0.25 + place / 2}
                values = (place, Jsonb(config), config_hash(config), planned, study.id)
                connection.execute(SUGGESTION, values)
        yield study


def test_a_loop_stops_where_it_was_planned_to(study):
    seen = []
    for trial in study.trials():
        for step in range(1, 10):
            seen.append((trial.number, step))
            if trial.report(step, loss=1.0 / step - 0.1 * trial.number).stop:
                break
    assert seen == [(0, 1), (0, 2), (0, 3), *((1, step) for step in range(1, 10))]
    short, full = study.results()
    assert (short.state, short.reason) == ("stopped", "as far as planned: 3 of 9 steps")
    assert short.values["loss"] == pytest.approx(1 / 3)
    assert full.state == "completed"
    assert study.best.number == 1


def test_it_goes_with_a_scheduler_that_stops_nothing(server):
    with (
        tt.Client(server.url, server.key) as client,
        pytest.raises(UnsupportedStudy, match='use "full"'),
    ):
        client.create_study("digits", space=SPACE, minimize="loss", searcher=SEARCHER)
