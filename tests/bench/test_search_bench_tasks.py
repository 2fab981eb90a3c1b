"""The tasks of the search benchmark, as far as they go without the packages they evaluate with."""

import numpy as np
import pytest
from pydantic import TypeAdapter

from bench.search import score
from bench.search.make_lists import COSTLY, names
from bench.search.play import Played, noise_seed, run_curves, run_trials, value_of
from bench.search.reference import evolve, find, random_median
from bench.search.tasks.data import log_loss, squared_error
from bench.search.tasks.registry import GROUPS, LARGE, NAMES, read_list, task, thin
from bench.search.tasks.task import Seen, Task, choice, real, when
from search.encoding import Cube
from search.space import SearchSpace

LISTS = {name: read_list(name) for name in NAMES}
ALL = [task for tasks in LISTS.values() for task in tasks]
LINE = [real("x", 0.0, 1.0)]


@pytest.mark.parametrize("name", ["choose", "check", "report"])
def test_a_list_has_at_least_20_tasks_of_each_large_group_and_some_of_the_others(name):
    groups = [task.group for task in LISTS[name]]
    assert set(groups) == set(GROUPS)
    assert all(groups.count(group) >= 20 for group in LARGE)


def test_the_costly_list_has_20_tasks():
    assert len(LISTS["costly"]) == 20


def test_no_task_is_on_two_lists():
    found = [task.name for task in ALL]
    assert len(set(found)) == len(found)


def test_the_lists_are_what_their_script_writes():
    for place, name in enumerate(("choose", "check", "report")):
        assert [task.name for task in LISTS[name]] == names(place)
    assert [task.name for task in LISTS["costly"]] == list(COSTLY)


def test_every_space_is_legal_and_has_no_defaults_that_would_favour_us():
    for each in ALL:
        space = TypeAdapter(SearchSpace).validate_python({"parameters": each.space})
        for config in space.sample(np.random.default_rng(0), 3):
            space.check(config)
        assert space.defaults() is None


def test_reference_values_make_a_score():
    for each in ALL:
        if each.name in score.read(each.group):
            reference = score.reference(each)
            assert reference.best_known < reference.random_median, each.name


@pytest.mark.parametrize("group", GROUPS)
def test_every_task_has_reference_values(group):
    mine = {each.name for each in ALL if each.group == group}
    assert set(score.read(group)) == mine


def test_reference_values_of_another_definition_of_the_task_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(score, "FOLDER", tmp_path)
    mine = Task(name="g/a", space=LINE)
    entry = {"digest": mine.digest, "random_median": {"50": 2.0}, "best_known": 1.0}
    score.write("g", {"g/a": entry})
    assert score.reference(mine).score(1.5) == 0.5
    with pytest.raises(score.NoReference, match="has changed"):
        score.reference(Task(name="g/a", space=[real("x", 0.0, 2.0)]))
    with pytest.raises(score.NoReference, match="has changed"):
        score.reference(Task(name="g/a", space=LINE, budget=60))
    with pytest.raises(score.NoReference, match="no reference values"):
        score.reference(Task(name="g/b", space=LINE))
    score.read.cache_clear()


def test_thinning_keeps_some_of_every_group():
    kept = thin(LISTS["check"], 2)
    assert [task.group for task in kept] == [group for group in GROUPS for _ in range(2)]
    assert len(thin(LISTS["check"], 1_000)) == len(LISTS["check"])


def test_an_unknown_name_is_no_task():
    for name in ("continuous/f03", "training/forest-mnist-s1", "elsewhere/f03-i01-d05"):
        with pytest.raises(LookupError, match=r"no task is called"):
            task(name)


def test_random_median_is_the_median_of_the_lowest_of_so_many_uniform_numbers():
    """Half of all samples of 50 have a minimum under 1 - 0.5^(1/50) = 0.01377.

    Over 20,000 draws and 2,000 studies its standard error is below 4%; six of them are allowed.
    """
    values = np.random.default_rng(5).random(20_000)
    found = random_median(Task(name="g/a", space=LINE), [Seen.exactly(float(v)) for v in values])
    assert found == pytest.approx(1 - 0.5 ** (1 / 50), rel=0.24)


def test_reference_values_come_from_random_draws_and_an_independent_long_run():
    def load():
        return lambda config, _: Seen.exactly((config["x"] - 0.3) ** 2)

    found = find(Task(name="g/a", space=LINE, load=load, draws=500, search=400))
    assert found["best_known"] == pytest.approx(0.0, abs=1e-6)
    assert found["best_by"] == "differential evolution and a climb, 400 evaluations"
    assert 0 < found["random_median"]["50"] < 0.01


def test_the_long_run_goes_through_conditions_and_choices():
    space = [choice("kind", "a", "b"), real("a.x", 0.0, 1.0, when=when("kind", "a"))]

    def evaluate(config, _):
        return Seen.exactly(1.0 if config["kind"] == "b" else config["a.x"])

    cube = Cube(TypeAdapter(SearchSpace).validate_python({"parameters": space}))
    assert evolve(evaluate, cube, 400) == pytest.approx(0.0, abs=1e-3)


class Scripted:
    """A solver that asks for 0, 1, 2, ... and remembers what it was told."""

    def __init__(self, *, stop_at=None, best=None):
        self.told, self.asked, self._stop_at, self._best = {}, 0, stop_at, best
        self.waiting = []

    def ask(self):
        self.asked += 1
        self.waiting.append(self.asked - 1 - len(self.told))
        return self.asked - 1, {"x": float(self.asked - 1)}

    def report(self, number, step, value):
        return self._stop_at is not None and number % 2 == 1 and step >= self._stop_at

    def tell(self, number, values, *, stopped=False):
        self.told[number] = (list(values), stopped)

    def best(self):
        return self._best


def test_with_16_in_parallel_15_others_run_when_the_next_is_asked_for():
    solver = Scripted()
    mine = Task(name="g/a", space=LINE, budget=40, parallel=16)
    played = run_trials(mine, solver, lambda config, _: Seen.exactly(config["x"]), seed=1)
    assert solver.waiting[:16] == list(range(16))
    assert set(solver.waiting[16:]) == {15}
    assert len(played.seen) == len(solver.told) == 40


def test_noise_is_the_same_for_every_solver_and_scored_without():
    def evaluate(config, seed):
        return Seen((config["x"] + float(np.random.default_rng(seed).normal()),), (config["x"],))

    mine = Task(name="g/a", space=LINE, budget=5)
    one, other = Scripted(), Scripted()
    played = run_trials(mine, one, evaluate, seed=3)
    run_trials(mine, other, evaluate, seed=3)
    assert one.told == other.told
    assert noise_seed(3, 0) != noise_seed(2, 0)
    lowest = min(one.told, key=lambda number: one.told[number][0])
    assert value_of(mine, played, None) == float(lowest)
    assert value_of(mine, played, 4) == 4.0  # the solver's own recommendation


def test_steps_are_the_budget_where_trials_report_and_only_full_runs_count():
    mine = Task(name="g/a", space=LINE, budget=45, steps=10)
    solver = Scripted(stop_at=4)
    played = run_curves(mine, solver, lambda config: (config["x"] + 10.0 - k for k in range(10)))
    # 10 + 5 + 10 + 5 + 10 + 5: the stopped ones are numbers 1, 3 and 5
    assert (played.spent, played.stopped, sorted(played.seen)) == (45, 3, [0, 2, 4])
    assert [solver.told[number][1] for number in range(6)] == [False, True] * 3
    assert value_of(mine, played, None) == 1.0


def test_a_trial_that_the_budget_cuts_off_counts_for_nothing():
    mine = Task(name="g/a", space=LINE, budget=15, steps=10)
    played = run_curves(mine, Scripted(), lambda config: iter([1.0] * 10))
    assert (played.spent, played.stopped, sorted(played.seen)) == (15, 1, [0])


def test_several_objectives_are_worth_their_hypervolume():
    mine = Task(name="g/a", space=LINE, objectives=2, reference=(1.0, 1.0))
    played = Played(seen={0: Seen.exactly(0.0, 0.5), 1: Seen.exactly(0.5, 0.0)})
    assert value_of(mine, played, None) == -0.75


def test_losses_have_a_floor_under_what_is_sure_and_a_ceiling_over_what_explodes():
    assert log_loss(np.array([[0.5, 0.5], [0.25, 0.75]]), np.array([0, 1])) == pytest.approx(
        -(np.log(0.5) + np.log(0.75)) / 2
    )
    assert log_loss(np.array([[0.0, 1.0]]), np.array([0])) == pytest.approx(-np.log(1e-4))
    assert squared_error([1.0, 3.0], np.array([1.0, 1.0])) == 2.0
    assert squared_error([np.inf], np.array([1.0])) == 10.0


@pytest.mark.parametrize(
    "name", ["training/sgd-wine-s11", "mixed/select-wine-s11", "objectives/dtlz2-d4-s1"]
)
def test_a_task_gives_the_same_values_every_time(name):
    mine = task(name)
    space = TypeAdapter(SearchSpace).validate_python({"parameters": mine.space})
    configs = space.sample(np.random.default_rng(1), 4)
    first, second = mine.load(), mine.load()
    values = [first(config, 0).true for config in configs]
    assert values == [second(config, 0).true for config in reversed(configs)][::-1]
    assert all(np.isfinite(values).ravel())


def test_the_front_of_dtlz2_is_the_unit_sphere():
    """A ray of points on it, each dominating a cuboid: their volume nears the exact one from below.

    A grid of 15 x 15 directions covers 2.85 to within 2%.
    """
    mine = task("objectives/dtlz2-d4-s1")
    evaluate = mine.load()
    on_it = [{"x0": a, "x1": b} for a in np.linspace(0, 1, 15) for b in np.linspace(0, 1, 15)]
    centre = np.random.default_rng(1).uniform(0.25, 0.75, 4)
    points = [evaluate({**each, "x2": centre[2], "x3": centre[3]}, 0).true for each in on_it]
    assert all(sum(x * x for x in point) == pytest.approx(1.0) for point in points)
    found = -value_of(mine, Played(seen={k: Seen(p, p) for k, p in enumerate(points)}), None)
    assert 0.98 * -mine.known_best() < found < -mine.known_best()


def test_no_front_leaves_room_beyond_itself():
    """Random points of a shifted problem stay short of the front's hypervolume."""
    for kind in ("zdt1", "zdt2", "zdt3", "dtlz2", "fonseca", "pair"):
        mine = task(f"objectives/{kind}-d4-s1")
        evaluate = mine.load()
        space = TypeAdapter(SearchSpace).validate_python({"parameters": mine.space})
        configs = space.sample(np.random.default_rng(2), 100)
        played = Played(seen={k: evaluate(config, 0) for k, config in enumerate(configs)})
        assert mine.known_best() < value_of(mine, played, None) <= 0.0
