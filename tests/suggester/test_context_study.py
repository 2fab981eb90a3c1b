"""Studies with a context through the SDK, the real service and a suggester of their own."""

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import psycopg
import pytest
import trimtab as tt
from trimtab.errors import InvalidRequest, StudyExists

from service.db.engine import make_hot_pool
from service.leases.demands import CHANNEL
from service.settings import Settings
from service.suggester.children import Lane
from service.suggester.compute import Lanes
from service.suggester.listen import listen
from service.suggester.process import Suggester

SPACE = [tt.Float("x", 0, 1)]
TASK = tt.Choice("task", ["left", "right"])
OPTIMA = {"left": 0.2, "right": 0.8}


@dataclass(frozen=True)
class Service:
    """A client of the service, and its database."""

    client: tt.Client
    database_url: str


async def suggest(settings: Settings, ended: asyncio.Event) -> None:
    pool = make_hot_pool(settings)
    await pool.open()
    lanes = Lanes(quick=Lane(1), models=Lane(1))
    suggester = Suggester(pool, lanes, settings)
    tasks = [
        asyncio.create_task(suggester.run()),
        asyncio.create_task(listen(str(pool.conninfo), CHANNEL, suggester.wake)),
    ]
    await ended.wait()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await lanes.close()
    await pool.close()


@pytest.fixture
def service(server, settings, database_url) -> Iterator[Service]:
    """The API over HTTP, and a suggester on a thread."""
    loop, ended = asyncio.new_event_loop(), asyncio.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=(suggest(settings, ended),))
    thread.start()
    try:
        with tt.Client(server.url, server.key) as client:
            yield Service(client, database_url)
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join()
        loop.close()


def loss(x: float, task: str) -> float:
    return (x - OPTIMA[task]) ** 2


def test_the_searcher_finds_the_optimum_of_each_context(service):
    study = service.client.create_study(
        "two",
        space=SPACE,
        context=[TASK],
        minimize="loss",
        searcher={"kind": "auto", "initial": 6},
        scheduler="full",
        budget=tt.Budget(trials=20),
        seed=5,
    )
    asked = 0
    for number in range(20):
        context = {"task": ("left", "right")[number % 2]}
        trial = study.ask(context=context, timeout=30)
        assert trial.context == context
        asked += 1
        trial.complete(loss=loss(trial.config["x"], context["task"]))
    assert asked == 20
    assert study.state == "completed"
    found = {task: [] for task in OPTIMA}
    for info in study.results():
        found[info.context["task"]].append((info.values["loss"], info.config["x"], info.origin))
    for task, tried in found.items():
        assert len(tried) == 10
        best, x, _ = min(tried)
        assert best < 0.002
        assert abs(x - OPTIMA[task]) < 0.045
        modelled = [x for _, x, origin in tried if origin["by"] == "gp"]
        near = [x for x in modelled if abs(x - OPTIMA[task]) < 0.15]
        assert len(modelled) >= 4
        assert len(near) >= len(modelled) / 2
    assert min(study.best.values.values()) == min(min(tried)[0] for tried in found.values())
    table = study.to_pandas()
    assert list(table["context.task"]) == ["left", "right"] * 10


def test_loops_in_two_contexts_share_a_study(service):
    study = service.client.create_study(
        "loops",
        space=[tt.Int("n", 1, 4)],
        context=[TASK],
        minimize="loss",
        searcher="gp",
        scheduler="full",
        seed=1,
    )
    seen: dict[str, list[int]] = {task: [] for task in OPTIMA}

    def work(task: str) -> None:
        for trial in study.trials(context={"task": task}):
            seen[task].append(trial.config["n"])
            trial.report(0, loss=float(trial.config["n"]))

    threads = [threading.Thread(target=work, args=(task,)) for task in OPTIMA]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # Each loop has ended by itself: every config was tried in its context, once.
    assert {task: sorted(found) for task, found in seen.items()} == {
        "left": [1, 2, 3, 4],
        "right": [1, 2, 3, 4],
    }
    assert study.state == "active"
    study.enqueue({"n": 2}, context={"task": "left"}, replicate=True)
    (again,) = study.results(state="queued")
    assert (again.config, again.context) == ({"n": 2}, {"task": "left"})
    study.optimize(lambda trial: float(trial.config["n"]), context={"task": "left"}, parallel=2)
    assert study.result(again).state == "completed"
    study.import_trials(
        [{"config": {"n": 3}, "context": {"task": "right"}, "values": {"loss": 1.0}}]
    )
    there = [info.config["n"] for info in study.results(where="context.task=right")]
    assert sorted(there) == [1, 2, 3, 3, 4]


def test_a_batch_says_in_which_context_it_was_asked_for(service):
    study = service.client.create_study(
        "pure",
        space=SPACE,
        context=[TASK],
        minimize="loss",
        searcher="gp",
        scheduler="full",
        seed=2,
    )
    for number in range(6):
        task = ("left", "right")[number % 2]
        trial = study.ask(context={"task": task}, timeout=30)
        trial.complete(loss=loss(trial.config["x"], task))
    with psycopg.connect(service.database_url) as connection:
        # One that bridged a wait for a fit stands in the batch of whichever context was fitted.
        rows = connection.execute(
            "select b.context, t.context from trial t"
            " join batch b on b.study_id = t.study_id and b.number = t.batch"
            " where not t.origin ? 'waited'"
        ).fetchall()
    assert len(rows) >= 2
    assert all(made == served for made, served in rows)


def test_what_the_sdk_says_of_contexts(service):
    client = service.client
    spec = {"space": SPACE, "minimize": "loss", "seed": 1}
    study = client.create_study("ctx", context=[TASK], **spec)
    assert [parameter["name"] for parameter in study.info.context] == ["task"]
    with pytest.raises(InvalidRequest, match=r"context\.task"):
        study.ask(timeout=1)
    with pytest.raises(InvalidRequest, match=r"context\.other"):
        study.ask(context={"task": "left", "other": 1}, timeout=1)
    with pytest.raises(InvalidRequest, match="fleet"):
        study.run("train.py:main")
    assert client.create_study("ctx", context=[TASK], exist_ok=True, **spec).id == study.id
    for other in ((), [tt.Choice("task", ["left"])]):
        with pytest.raises(StudyExists, match="context"):
            client.create_study("ctx", context=other, exist_ok=True, **spec)
