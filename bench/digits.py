"""The digits study against random search at equal epochs, over paired seeds.

Each seed splits scikit-learn's digits in its own way (train, validation for the search, a test part
that no search sees) and runs the recipe torch-classifier, two trials at a time, until the same
number of epochs is spent by

  auto         searcher auto, scheduler auto: the study of `make demo`
  random       searcher random, scheduler auto: the same without a model
  random-full  searcher random, every trial run to its end

Run from the repository's root: python -m bench.digits
"""

import argparse
import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from bench.parts import machine
from bench.parts.results import elapsed, save, say, summary, table

if TYPE_CHECKING:
    from bench.parts.study import Found

ARMS = ("auto", "random", "random-full")
AIMS = {"wins": "at least 4 of 5", "median_test_accuracy": 0.97}


def main() -> None:
    options = _options()
    facts = machine.facts()
    os.environ["OMP_NUM_THREADS"] = "1"  # for the processes below: one core each
    seeds = list(range(1, options.seeds + 1))
    found = _run_all(seeds, options)
    result = {
        "benchmark": "digits",
        "machine": facts,
        "how": {
            "seeds": seeds,
            "epochs_of_trial": options.epochs,
            "epochs_of_study": options.budget,
            "split": "60% train, 20% validation, 20% test, another split for each seed",
            "best": "the completed trial with the lowest val_loss after its last epoch",
            "run": "in process: search/ and the recipe's own training, without the service",
            "seconds": round(elapsed(), 1),
        },
        "aims": AIMS,
        "auto_against": {arm: _against(found, seeds, arm) for arm in ARMS[1:]},
        "test_accuracy": {
            arm: summary([found[seed, arm].test_accuracy for seed in seeds]) for arm in ARMS
        },
        "studies": [
            {"seed": seed, "arm": arm, **asdict(found[seed, arm])} for seed in seeds for arm in ARMS
        ],
    }
    written = save("digits", result, options.out)
    print(_report(result, found, seeds))
    say(f"written to {written}")


def _run_all(seeds: Sequence[int], options: argparse.Namespace) -> "dict[tuple[int, str], Found]":
    spawn = multiprocessing.get_context("spawn")
    found: dict[tuple[int, str], Found] = {}
    with ProcessPoolExecutor(options.processes, mp_context=spawn) as pool:
        jobs = {
            pool.submit(run, arm, seed, options.epochs, options.budget): (seed, arm)
            for seed in seeds
            for arm in ARMS
        }
        for job in as_completed(jobs):
            seed, arm = jobs[job]
            found[seed, arm] = job.result()
            best = found[seed, arm]
            say(
                f"seed {seed}  {arm:<11}  val_loss {best.val_loss:.4f}  "
                f"test accuracy {best.test_accuracy:.4f}  {best.trials} trials, "
                f"{best.completed} completed, {best.epochs} epochs"
            )
    return found


def run(arm: str, seed: int, epochs_of_trial: int, epochs: int) -> "Found":
    """One study, in a process of its own."""
    from bench.parts.study import Study, Task
    from search.schedulers.auto import AutoScheduler
    from search.schedulers.full import Full
    from search.searchers.auto import AutoSearcher
    from search.searchers.random import Random

    searcher = AutoSearcher() if arm == "auto" else Random()
    scheduler = Full() if arm == "random-full" else AutoScheduler()
    return Study(Task(searcher, scheduler, seed, epochs_of_trial, epochs)).run()


def _against(
    found: "dict[tuple[int, str], Found]", seeds: Sequence[int], other: str
) -> dict[str, Any]:
    pairs = [(found[seed, "auto"].val_loss, found[seed, other].val_loss) for seed in seeds]
    return {
        "wins": sum(ours < theirs for ours, theirs in pairs),
        "of": len(pairs),
        "median_val_loss": median(ours for ours, _ in pairs),
        "median_val_loss_of_the_other": median(theirs for _, theirs in pairs),
        "ratio": summary([ours / theirs for ours, theirs in pairs]),
    }


def _report(
    result: dict[str, Any], found: "dict[tuple[int, str], Found]", seeds: Sequence[int]
) -> str:
    rows = [["seed", *(f"{arm}: val / test acc" for arm in ARMS), "trials"]]
    for seed in seeds:
        studies = [found[seed, arm] for arm in ARMS]
        rows.append(
            [
                str(seed),
                *(f"{study.val_loss:.4f} / {study.test_accuracy:.4f}" for study in studies),
                " ".join(str(study.trials) for study in studies),
            ]
        )
    lines = [table(rows)]
    for arm, against in result["auto_against"].items():
        lines.append(
            f"auto has the lower validation log-loss than {arm} on {against['wins']} of "
            f"{against['of']} seeds (aim: at least 4 of 5); medians "
            f"{against['median_val_loss']:.4f} and {against['median_val_loss_of_the_other']:.4f}"
        )
    lines.append(
        f"auto: median test accuracy {result['test_accuracy']['auto']['median']:.4f} "
        f"(aim: {AIMS['median_test_accuracy']})"
    )
    return "\n".join(lines)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=5, help="paired seeds (5)")
    parser.add_argument("--epochs", type=int, default=20, help="of one trial (20)")
    parser.add_argument("--budget", type=int, default=800, help="epochs of one study (800)")
    parser.add_argument("--processes", type=int, default=2, help="studies at a time (2)")
    parser.add_argument("--quick", action="store_true", help="two seeds, 120 epochs")
    parser.add_argument("--out", type=Path, help="result file (bench/results/digits.json)")
    options = parser.parse_args()
    if options.quick:
        options.seeds, options.budget = 2, 120
        options.out = options.out or Path("bench/results/digits-quick.json")
    return options


if __name__ == "__main__":
    main()
