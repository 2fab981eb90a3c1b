"""How long an ask waits while models are fitted, and what suggesting ahead costs in quality.

Four worker processes ask the real service through the SDK, hold each trial for half a second, tell
its value of Hartmann's function, and ask again, while the suggester (searcher botorch, nice 10)
refits.  Studies are filled with finished trials; several short runs at each size, each on a study
of its own, so that the size stays near what it is said to be.

Then the quality: whole studies of searcher auto through the service, where suggestions come from a
buffer and are older than the newest results, against the same searcher in this process with every
suggestion computed at its ask, over the same seeds.

Run from the repository's root: python -m bench.ask_latency
"""

import argparse
import math
import multiprocessing
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import psycopg
import trimtab as tt

from bench.parts import asking, fresh, machine
from bench.parts.asking import Ask, Workers
from bench.parts.compare import paired
from bench.parts.functions import METRIC, regret
from bench.parts.postgres import Postgres, postgres
from bench.parts.results import elapsed, quantile, save, say, table
from bench.parts.server import Service, service
from search.searchers.auto import AutoSearcher
from search.searchers.random import Random

WORKERS = 4
HOLD = 0.5  # seconds from ask to tell
WARM_UP = 3.0  # seconds whose asks are counted apart: a study's first fit has nothing before it
AIMS = {"p50_ms": 15.0, "p99_ms": 60.0, "fallback_share": 0.05}
SEED = 20_261_122

# Each trial that a worker took: what proposed it, and how many had finished when it was asked for.
TAKEN = """
select t.number, t.origin, (
         select count(*) from trial o where o.study_id = t.study_id and o.finished_at < t.started_at
       )
  from trial t join study s on s.id = t.study_id
 where s.public_id = %s and t.batch is not null order by t.number
"""
FITS = """
select b.seconds, b.count from batch b join study s on s.id = b.study_id
 where s.public_id = %s and b.state = 'done' and b.seconds is not null order by b.number
"""


def main() -> None:
    options = _options()
    facts = machine.facts()
    with ExitStack() as stack:
        say("starting PostgreSQL, the service and the workers")
        pg = stack.enter_context(postgres())
        running = stack.enter_context(service(pg.create("trimtab")))
        workers = Workers(WORKERS)
        stack.callback(workers.close)
        bench = Bench(pg, running, workers)
        say("one run that is not counted: the suggester loads its libraries with its first fit")
        bench.latency(options.sizes[0], 1, options.seconds)
        latency = [bench.latency(size, options.runs, options.seconds) for size in options.sizes]
        seeds = range(options.seeds)
        buffered = [bench.best(seed, options.trials) for seed in seeds]
    fresh_best, random_best = _in_process(seeds, options.trials)
    logs = {
        name: [math.log10(regret(value)) for value in values]
        for name, values in (
            ("buffered", buffered),
            ("fresh", fresh_best),
            ("random", random_best),
        )
    }
    result = {
        "benchmark": "ask_latency",
        "machine": facts,
        "how": {
            "workers": WORKERS,
            "hold_seconds": HOLD,
            "warm_up_seconds": WARM_UP,
            "runs": options.runs,
            "run_seconds": options.seconds,
            "seed": SEED,
            "latency": "seconds in study.ask() of the SDK, in the worker process, over HTTP",
            "staleness": "results finished when a trial was asked for, less those its suggestion "
            "had seen",
            "scores": f"log10 of regret after {options.trials} trials; searcher auto; buffered: "
            "through the service at the pace above; fresh: in process, computed at every ask with "
            "the other workers' trials pending",
            "seconds": round(elapsed(), 1),
        },
        "aims": AIMS,
        "latency": latency,
        "scores": {
            "buffered_against_fresh": paired(logs["buffered"], logs["fresh"], SEED),
            "buffered_against_random": paired(logs["buffered"], logs["random"], SEED),
            "log10_regret": {name: [round(v, 4) for v in found] for name, found in logs.items()},
        },
    }
    written = save("ask_latency", result, options.out)
    print(_report(result))
    say(f"written to {written}")


class Bench:
    """The running parts."""

    def __init__(self, pg: Postgres, running: Service, workers: Workers) -> None:
        self._pg = pg
        self._service = running
        self._workers = workers
        self._made = 0

    def latency(self, size: int, runs: int, seconds: float) -> dict[str, Any]:
        """Ask for a while at one size."""
        counted: list[Ask] = []
        first: list[float] = []
        taken: list[tuple[dict[str, Any], int]] = []
        fits: list[tuple[float, int]] = []
        ends: list[int] = []
        for _ in range(runs):
            study = self._filled(size)
            asks = self._run(study, seconds + WARM_UP)
            late = [ask for ask in asks if ask.at >= WARM_UP]
            first += [ask.seconds for ask in asks if ask.at < WARM_UP]
            counted += late
            rows = self._query(TAKEN, study)
            known = {number: (origin, finished) for number, origin, finished in rows}
            taken += [known[ask.number] for ask in late]
            fits += [(row[0], row[1]) for row in self._query(FITS, study)]
            ends.append(size + len(asks))
            self._stop(study)
        found = _summarise(size, counted, taken, fits) | {
            "finished_at_end": ends,
            "warm_up_p50_ms": round(1000 * quantile(first, 0.5), 2),
            "warm_up_max_ms": round(1000 * max(first), 2),
        }
        say(f"{size} finished: {found}")
        return found

    def best(self, seed: int, trials: int) -> float:
        """The best value of a whole study through the service."""
        study = asking.make_study(
            self._service,
            f"score-{seed}",
            searcher={"kind": "auto"},
            seed=seed,
            trials=trials,
        )
        self._workers.run(self._service, study, hold=HOLD, seconds=math.inf)
        rows = self._query(
            "select count(*), min(t.objective) from trial t join study s on s.id = t.study_id "
            "where s.public_id = %s and t.state = 'completed'",
            study,
        )
        count, value = rows[0]
        if count != trials:
            raise RuntimeError(f"seed {seed}: {count} trials completed, not {trials}")
        say(f"seed {seed}: buffered, best {METRIC} {value:.4f}")
        return float(value)

    def _filled(self, size: int) -> str:
        self._made += 1
        study = asking.make_study(
            self._service,
            f"latency-{self._made}",
            searcher={"kind": "botorch"},
            seed=SEED + self._made,
        )
        asking.fill(self._service, study, fresh.random_configs(size, SEED + self._made))
        return study

    def _run(self, study: str, seconds: float) -> list[Ask]:
        shifts = self._workers.run(self._service, study, hold=HOLD, seconds=seconds)
        return [ask for shift in shifts for ask in shift]

    def _stop(self, study: str) -> None:
        with tt.Client(url=self._service.url, key=self._service.key) as client:
            client.study(study).stop("measured")

    def _query(self, query: str, study: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self._pg.url("trimtab")) as connection:
            return connection.execute(query.encode(), (study,)).fetchall()


def _summarise(
    size: int,
    asks: Sequence[Ask],
    taken: Sequence[tuple[dict[str, Any], int]],
    fits: Sequence[tuple[float, int]],
) -> dict[str, Any]:
    milliseconds = [1000 * ask.seconds for ask in asks]
    fallen = [origin for origin, _ in taken if origin.get("by") != "botorch"]
    stale = [finished - origin["seen"] for origin, finished in taken if "seen" in origin]
    return {
        "size": size,
        "asks": len(asks),
        "p50_ms": round(quantile(milliseconds, 0.5), 2),
        "p90_ms": round(quantile(milliseconds, 0.9), 2),
        "p99_ms": round(quantile(milliseconds, 0.99), 2),
        "max_ms": round(max(milliseconds), 2),
        "over_60_ms": round(sum(value > 60 for value in milliseconds) / len(milliseconds), 4),
        "fallback_share": round(len(fallen) / len(taken), 4),
        "fallback_reasons": sorted({str(origin.get("because")) for origin in fallen}),
        "stale_p50": median(stale) if stale else None,
        "stale_max": max(stale, default=None),
        "batches": len(fits),
        "batch_seconds_p50": round(median(seconds for seconds, _ in fits), 3) if fits else None,
        "batch_count_p50": median(count for _, count in fits) if fits else None,
    }


def _in_process(seeds: Sequence[int], trials: int) -> tuple[list[float], list[float]]:
    """The best values with every suggestion fresh, and at random."""
    with _processes() as pool:
        began = time.monotonic()
        first = list(pool.map(_fresh, seeds, [trials] * len(seeds)))
        say(f"{len(seeds)} fresh studies in {time.monotonic() - began:.0f} s")
        return first, list(pool.map(_random, seeds, [trials] * len(seeds)))


@contextmanager
def _processes() -> Iterator[ProcessPoolExecutor]:
    with ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn")) as pool:
        yield pool


def _fresh(seed: int, trials: int) -> float:
    return fresh.best_of_study(AutoSearcher(), seed=seed, trials=trials, workers=WORKERS)


def _random(seed: int, trials: int) -> float:
    return fresh.best_of_study(Random(), seed=seed, trials=trials, workers=WORKERS)


def _report(result: dict[str, Any]) -> str:
    columns = (
        "size",
        "asks",
        "p50_ms",
        "p99_ms",
        "max_ms",
        "over_60_ms",
        "fallback_share",
        "stale_p50",
        "stale_max",
        "batch_seconds_p50",
        "batch_count_p50",
    )
    rows = [list(columns)] + [[str(row[name]) for name in columns] for row in result["latency"]]
    lines = [table(rows)]
    for name in ("buffered_against_fresh", "buffered_against_random"):
        found = result["scores"][name]
        lines.append(
            f"{name}: log10 regret {found['median']:.2f} and {found['median_of_the_other']:.2f}, "
            f"paired difference {found['difference']:+.3f} "
            f"[{found['low']:+.3f}, {found['high']:+.3f}], "
            f"better on {found['wins']:g} of {found['of']} seeds"
        )
    return "\n".join(lines)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[50, 200, 500])
    parser.add_argument("--runs", type=int, default=6, help="runs at each size (6)")
    parser.add_argument("--seconds", type=float, default=5.0, help="of a run, counted (5)")
    parser.add_argument("--seeds", type=int, default=20, help="studies of each kind (20)")
    parser.add_argument("--trials", type=int, default=60, help="trials of such a study (60)")
    parser.add_argument("--quick", action="store_true", help="two runs, three seeds, 30 trials")
    parser.add_argument("--out", type=Path, help="result file (bench/results/ask_latency.json)")
    options = parser.parse_args()
    if options.quick:
        options.runs, options.seeds, options.trials = 2, 3, 30
        options.out = options.out or Path("bench/results/ask_latency-quick.json")
    return options


if __name__ == "__main__":
    main()
