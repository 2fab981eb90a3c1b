"""The line protocol, the solvers that need no package of others, the arms and their cache."""

import json
import random

import pytest

from bench.search import variants
from bench.search.cache import Cache, Key, file_name, keep, key
from bench.search.cpu import CYCLES, CpuCache, seconds
from bench.search.drivers.protocol import Server, Solver
from bench.search.drivers.space import fill, pick, read
from bench.search.options import parse
from bench.search.play import Result, play
from bench.search.report import printed, section
from bench.search.runner import jobs
from bench.search.session import Session, SolverFailed
from bench.search.solvers import RIVALS, Arm, Rival, arm, fingerprint, pins
from bench.search.table import Plan, scores
from bench.search.tasks.registry import read_list, thin
from bench.search.tasks.task import Seen, Task, choice, real, when, whole

SPACE = [
    whole("depth", 1, 3),
    real("rate", 1e-3, 1.0, log=True),
    choice("kind", "a", "b", None),
    real("a.x", 0.0, 1.0, when=when("kind", "a")),
    choice("size", 8, 16, 32, ordered=True, when=when("depth", 2, 3)),
]


def _load():
    return lambda config, _: Seen.exactly(config["rate"] + config["depth"])


TASK = Task(name="g/a", space=SPACE, budget=12, load=_load)


@pytest.fixture
def random_session():
    chosen = arm("random")
    with Session(chosen.command) as session:
        yield session


def test_the_random_rival_plays_a_study_in_a_process_of_its_own(random_session):
    random_session.warm_up()
    result = play(TASK, random_session, seed=4)
    assert result.trials == 12
    assert 1.0 < result.value < 2.5
    assert result.cpu_seconds < 5
    assert play(TASK, random_session, seed=4).value == result.value
    assert play(TASK, random_session, seed=5).value != result.value


def test_a_solver_in_trouble_says_what_happened(random_session):
    random_session.start(SPACE, seed=1, budget=3)
    with pytest.raises(SolverFailed, match="KeyError"):
        random_session.tell(99, [1.0])
    number, config = random_session.ask()  # and goes on
    assert (number, "rate" in config) == (0, True)


def test_a_solver_that_does_not_start_fails_at_once():
    broken = Session((arm("random").command[0], "no_such_driver.py"))
    with pytest.raises(SolverFailed, match="ended"):
        broken.warm_up()
    broken.close()


@pytest.mark.parametrize("kind", ["sobol", "random"])
def test_a_searcher_of_ours_plays_in_process(kind):
    chosen = arm(f"trimtab-core:{kind}")
    with Session(chosen.command, dict(chosen.environment)) as session:
        one = play(TASK, session, seed=4)
        assert play(TASK, session, seed=4) == Result(one.value, 12, 0, pytest.approx(0, abs=5))


def test_cpu_is_counted_over_cycles_after_a_replayed_history(random_session, monkeypatch):
    asked = []
    ask = random_session.ask
    monkeypatch.setattr(random_session, "ask", lambda: asked.append(1) or ask())
    found = seconds(random_session, _continuous_stand_in(monkeypatch), 50)
    assert 0 <= found < 0.1
    assert len(asked) == CYCLES + 1


def _continuous_stand_in(monkeypatch):
    monkeypatch.setattr("bench.search.cpu.history", lambda _: [({"rate": 0.5}, (1.0,))] * 300)
    return TASK


class Remembering(Solver):
    """A solver that only keeps what it hears."""

    def __init__(self, study):
        self.study, self.heard = study, []

    def ask(self):
        return object(), {"x": 1}

    def tell(self, handle, values, *, stopped=False):
        self.heard.append((handle, values, stopped))

    def replay(self, trials):
        self.heard += trials

    def best(self):
        return self.heard[-1][0]


def test_the_server_gives_solvers_their_own_handles_back():
    made = []
    server = Server(lambda study: made.append(Remembering(study)) or made[-1], lambda: 1.5)
    start = {"op": "start", "space": [], "objectives": 1, "seed": 1, "budget": 5, "parallel": 1}
    assert server.answer({**start, "steps": None}) == {"cpu": 1.5}
    assert server.answer({"op": "ask"}) == {"id": 0, "config": {"x": 1}, "cpu": 1.5}
    server.answer({"op": "ask"})
    server.answer({"op": "tell", "id": 1, "values": [2.0], "stopped": False})
    assert server.answer({"op": "best"}) == {"id": 1, "cpu": 1.5}
    assert server.answer({"op": "report", "id": 0, "step": 0, "value": 1.0})["stop"] is False
    assert server.answer({**start, "steps": 4})["cpu"] == 1.5
    assert (server.answer({"op": "ask"})["id"], made[-1].study.steps) == (0, 4)


def test_the_space_of_the_rivals_is_ours():
    parameters = {p.name: p for p in read(SPACE)}
    rng = random.Random(1)
    for _ in range(200):
        config = pick(parameters.values(), lambda p: p.draw(rng))
        assert ("a.x" in config) == (config["kind"] == "a")
        assert ("size" in config) == (config["depth"] > 1)
        assert 1e-3 <= config["rate"] <= 1.0
        assert set(fill(parameters.values(), config, rng)) == set(parameters)
    assert parameters["kind"].index(None) == 2
    assert read([choice("flag", 0, False)])[0].index(False) == 1


def test_arms_are_read_with_their_settings():
    assert json.loads(arm("trimtab-core").command[2]) == {"kind": "auto"}
    assert json.loads(arm("trimtab-core:sobol").command[2]) == {"kind": "sobol"}
    settings = '{"kind": "auto", "initial": 5}'
    assert json.loads(arm(f"trimtab-core:{settings}").command[2])["initial"] == 5
    assert arm("trimtab").remote
    assert not arm("trimtab-core").remote
    for wrong in ("nobody", "random:fast", "smac:quick"):
        with pytest.raises(ValueError, match=r"solver|settings"):
            arm(wrong)


def test_a_rival_is_known_by_its_pinned_versions():
    assert arm("optuna-tpe").version == f"optuna {pins('optuna')['optuna']}"
    for name, rival in RIVALS.items():
        assert arm(name).rival is rival
        assert all(package.lower() in pins(rival.environment) for package in rival.packages)


def test_our_version_changes_with_our_sources(tmp_path, monkeypatch):
    monkeypatch.setattr("bench.search.solvers.ROOT", tmp_path)
    (tmp_path / "search").mkdir()
    (tmp_path / "search" / "one.py").write_text("A = 1\n")
    fingerprint.cache_clear()
    before = fingerprint(("search",))
    (tmp_path / "search" / "one.py").write_text("A = 2\n")
    fingerprint.cache_clear()
    assert fingerprint(("search",)) != before
    fingerprint.cache_clear()


ARM = Arm("solver", "1", ())
RESULT = Result(value=0.5, trials=12, stopped=0, cpu_seconds=0.1)


@pytest.mark.parametrize(
    ("other_arm", "other_task", "seed"),
    [
        (Arm("other", "1", ()), TASK, 1),
        (Arm("solver", "2", ()), TASK, 1),
        (ARM, Task(name="g/b", space=SPACE, budget=12), 1),
        (ARM, Task(name="g/a", space=SPACE, budget=13), 1),
        (ARM, Task(name="g/a", space=SPACE[:2], budget=12), 1),
        (ARM, Task(name="g/a", space=SPACE, budget=12, revision=2), 1),
        (ARM, TASK, 2),
    ],
)
def test_a_cached_result_belongs_to_one_solver_version_task_seed_and_budget(
    tmp_path, other_arm, other_task, seed
):
    Cache(tmp_path, tmp_path / "kept").add(key(ARM, TASK, 1), RESULT)
    found = Cache(tmp_path, tmp_path / "kept")
    assert found.get(key(ARM, TASK, 1)) == RESULT
    assert found.get(key(other_arm, other_task, seed)) is None


def test_a_line_cut_off_by_a_kill_is_no_result(tmp_path):
    cache = Cache(tmp_path, tmp_path / "kept")
    cache.add(key(ARM, TASK, 1), RESULT)
    path = tmp_path / file_name("solver", "1")
    path.write_text(path.read_text() + '{"solver": "sol')
    assert len(list(Cache(tmp_path, tmp_path / "kept").items())) == 1


def test_results_kept_in_git_need_not_be_run_again(tmp_path):
    cache = Cache(tmp_path / "cache", tmp_path / "kept")
    cache.add(key(ARM, TASK, 1), RESULT)
    assert keep(cache, "solver", tmp_path / "kept") == 1
    elsewhere = Cache(tmp_path / "empty", tmp_path / "kept")
    assert [job.seed for job in jobs([ARM], [TASK], [1, 2], elsewhere)] == [2]


def test_solvers_are_spared_tasks_that_they_cannot_take(tmp_path):
    cache = Cache(tmp_path, tmp_path)
    several = Task(name="g/a", space=SPACE, objectives=2)
    single = Arm("rival", "1", (), rival=Rival("nowhere", (), ("none.py",)))
    assert jobs([single], [several], [1], cache) == []
    assert len(jobs([ARM], [several], [1], cache)) == 1


def test_cpu_measurements_are_kept(tmp_path):
    path = tmp_path / "cpu.json"
    CpuCache(path).add(ARM, "continuous", 50, 0.012345678)
    assert CpuCache(path).of(ARM, "continuous", (50, 100)) == {"50": 0.01235}
    assert CpuCache(path).get(Arm("solver", "2", ()), "continuous", 50) is None


def test_a_section_has_rows_for_groups_without_cpu_measurements(tmp_path):
    cache = Cache(tmp_path, tmp_path / "kept")
    mine = [each for each in read_list("check") if each.group in {"continuous", "objectives"}]
    plan = Plan([arm("random")], thin(mine, 1), [1])
    for each in plan.tasks:
        cache.add(key(plan.arms[0], each, 1), RESULT)
    cpu = CpuCache(tmp_path / "cpu.json")
    cpu.add(plan.arms[0], "continuous", 50, 0.25)
    found = section(plan, scores(plan, cache), cache, cpu, (50,))
    costs = {g: rows["random"]["cpu_seconds_per_suggestion"] for g, rows in found["groups"].items()}
    assert costs == {"continuous": {"50": 0.25}, "objectives": {}}
    assert found["overall"]["random"]["tasks"] == 2
    assert "overall" in printed({"check": found})


def test_variants_of_ours_are_counted_once_each(tmp_path):
    path = tmp_path / "variants.json"
    ours = Arm("trimtab-core:gp", "abc", ())
    variants.note([ours, ARM], path)
    variants.note([ours, Arm("trimtab-core:gp", "def", ())], path)
    assert variants.tried(path) == ["trimtab-core:gp @ abc", "trimtab-core:gp @ def"]


def test_a_report_takes_its_arms_from_git():
    options = parse(["--report"])
    assert (options.list, options.name) == ("report", "search-report")
    assert set(options.costly_arms) <= set(RIVALS)
    assert len({arm(text) for text in options.arms}) == len(options.arms)
    with pytest.raises(SystemExit):
        parse(["--report", "--arms", "random"])


def test_a_quick_run_is_small():
    options = parse(["--quick"])
    assert (options.costly_arms, options.seeds, options.name) == ((), [1], "search-quick")
    assert len(options.arms) >= 4
    assert parse([]).seeds == [1, 2, 3, 4]


def test_every_key_is_made_of_what_the_list_says():
    found = key(arm("random"), read_list("check")[0], 3)
    assert found == Key(
        "random", "1", "continuous/f01-i02-d08", read_list("check")[0].digest, 3, 50
    )
