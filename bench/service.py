"""Trials per second through ask, ten reports and tell: Trimtab against Optuna's RDBStorage.

Both run in the same minutes on the same PostgreSQL server (one of the benchmark's own, in a
temporary folder, with its default settings), each with eight client processes, random search, the
same eight parameters and the same number of finished trials in the study.  Trimtab runs as its
users run it: the SDK over HTTP against `trimtab serve` and `trimtab suggest`; Optuna as its users
do: RDBStorage with its default pool in every process.  Two arms:

  waited    every report waits for a decision: a median rule at every step on either side
  buffered  nothing is decided: Optuna reports without asking, Trimtab's SDK sends reports together

Run from the repository's root: python -m bench.service
"""

import argparse
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import psycopg

from bench.parts import machine, optuna_side, trimtab_side
from bench.parts.postgres import Postgres, postgres
from bench.parts.results import elapsed, save, say, summary, table
from bench.parts.server import Service, cpu_seconds, service
from bench.parts.tuning import STEPS, FilledTrial, filling
from bench.parts.windows import Clients, Job, call_milliseconds, clients, rate

SIDES = ("trimtab", "optuna")
ARMS = ("waited", "buffered")
AIMS = {"waited": 5.0, "buffered": 15.0}
FLAT_AIM = 0.8  # our rate at the largest size, against the smallest
KEPT = 5_000  # studies from this size on serve all their windows: filling and reading them is slow
SEED = 20_261_122


@dataclass(frozen=True)
class Window:
    """What one side did in one window."""

    size: int
    arm: str
    side: str
    round: int
    rate: float
    trials: int
    finished_before: int
    finished_after: int
    pruned: int
    warm_up_seconds: float
    call_milliseconds: dict[str, float]
    cpu: dict[str, float]  # cores used by our two processes


@dataclass
class Bench:
    """The running parts, and the studies that are kept."""

    pg: Postgres
    service: Service
    pools: dict[str, Clients]
    seconds: float
    epoch: float
    kept: dict[tuple[int, str, str], str]
    made: int = 0

    def window(self, size: int, arm: str, side: str, round_: int) -> Window:
        """Fill a study unless it is kept, run the clients on it, and check what was stored."""
        study = self._study(size, arm, side)
        before = self._finished(side, study)
        job = Job(self._address(side, study), arm == "waited", self.seconds, self.epoch)
        began, used = time.monotonic(), self._cpu()
        ran = self.pools[side].run(job)
        cpu = {
            name: round((after - used[name]) / (time.monotonic() - began), 2)
            for name, after in self._cpu().items()
        }
        after = self._finished(side, study)
        trials = sum(client.trials for client in ran)
        if after - before != trials + len(ran):  # one each to warm up
            raise RuntimeError(f"{side}: {trials} trials ran, {after - before} are stored")
        return Window(
            size=size,
            arm=arm,
            side=side,
            round=round_,
            rate=round(rate(ran), 3),
            trials=trials,
            finished_before=before,
            finished_after=after,
            pruned=sum(client.pruned for client in ran),
            warm_up_seconds=round(time.monotonic() - began - max(c.seconds for c in ran), 2),
            call_milliseconds=call_milliseconds(ran),
            cpu=cpu,
        )

    def _study(self, size: int, arm: str, side: str) -> str:
        # Optuna's arms differ in the client only, so they can share a study that is kept.
        key = (size, side, arm if side == "trimtab" else "")
        if size >= KEPT and key in self.kept:
            return self.kept[key]
        self.made += 1
        name = f"bench-{self.made}-{size}-{arm}"
        trials = list(filling(size, seed=SEED + size))
        study = self._fill(side, name, arm, trials)
        if size >= KEPT:
            self.kept[key] = study
        return study

    def _fill(self, side: str, name: str, arm: str, trials: list[FilledTrial]) -> str:
        if side == "optuna":
            url = self.pg.url("optuna")
            optuna_side.fill(url, optuna_side.make_study(url, name), trials)
            self.pg.settle("optuna")
            return name
        waited, url = arm == "waited", self.pg.url("trimtab")
        study = trimtab_side.make_study(self.service, name, waited=waited)
        trimtab_side.fill(self.service, url, study, trials, waited=waited)
        self.pg.settle("trimtab")
        return study

    def _address(self, side: str, study: str) -> dict[str, str]:
        if side == "optuna":
            kept = "yes" if study in self.kept.values() else ""
            return {"database_url": self.pg.url("optuna"), "study": study, "kept": kept}
        return {"url": self.service.url, "key": self.service.key, "study": study}

    def _cpu(self) -> dict[str, float]:
        return {
            "serve": cpu_seconds(self.service.serve_pid),
            "suggest": cpu_seconds(self.service.suggest_pid),
        }

    def _finished(self, side: str, study: str) -> int:
        """Finished trials of the study; raises RuntimeError unless each has all its points."""
        with psycopg.connect(self.pg.url(side)) as connection:
            row = connection.execute(FINISHED[side], (study,)).fetchone()
        assert row is not None
        trials, points = row
        if points != trials * STEPS:
            raise RuntimeError(f"{side}: {trials} finished trials have {points} points")
        return int(trials)


FINISHED = {
    "trimtab": """
        select count(distinct t.id), count(m.step)
          from trial t join study s on s.id = t.study_id left join metric m on m.trial_id = t.id
         where s.public_id = %s and t.state = 'completed'
    """,
    "optuna": """
        select count(distinct t.trial_id), count(v.step)
          from trials t join studies s using (study_id)
          left join trial_intermediate_values v using (trial_id)
         where s.study_name = %s and t.state = 'COMPLETE'
    """,
}


def main() -> None:
    options = _options()
    machine_facts = machine.facts()
    with ExitStack() as stack:
        bench = _start(stack, options)
        say("checking that Optuna reads what is copied as what it adds")
        optuna_side.check_filling(bench.pg.url("optuna"), list(filling(20, SEED)))
        windows = [_announced(bench.window(*cell)) for cell in _cells(options)]
        version = bench.pg.version()
    result = {
        "benchmark": "service",
        "machine": machine_facts | {"postgres": version},
        "how": {
            "clients": options.clients,
            "window_seconds": options.seconds,
            "rounds": options.rounds,
            "reports_per_trial": STEPS,
            "seed": SEED,
            "order": "every round holds all cells; sides and arms change places every round",
            "rate": "sum over clients of trials / seconds; the trial in hand is finished",
            "optuna": "RDBStorage, default pool, RandomSampler; MedianPruner and should_prune when "
            "waited, NopPruner without when buffered; filled by COPY, checked against add_trials",
            "trimtab": "SDK over HTTP, one API process, one suggester at nice 10, searcher random; "
            "scheduler median at every step when waited, full when buffered; filled by import, "
            "with the standings that reports would have left",
            "seconds": round(elapsed(), 1),
        },
        **_conclusions(windows, options.sizes, options.arms),
        "windows": [asdict(window) for window in windows],
    }
    written = save("service", result, options.out)
    print(_report(result))
    say(f"written to {written}")


def _start(stack: ExitStack, options: argparse.Namespace) -> Bench:
    say("starting PostgreSQL, the service and the clients")
    pg = stack.enter_context(postgres())
    pg.create("optuna")
    running = stack.enter_context(service(pg.create("trimtab")))
    openers = {"trimtab": trimtab_side.open_study, "optuna": optuna_side.open_study}
    pools = {side: stack.enter_context(clients(openers[side], options.clients)) for side in SIDES}
    return Bench(pg, running, pools, options.seconds, time.time(), {})


def _cells(options: argparse.Namespace) -> Iterator[tuple[int, str, str, int]]:
    """Windows in the order in which they run; what was first is last in the next round.

    Sizes take turns too: they are compared with each other, and the machine's other work changes.
    """
    for round_ in range(options.rounds):
        turn = 1 if round_ % 2 == 0 else -1
        for size in options.sizes:
            for arm in options.arms[::turn]:
                for side in SIDES[::turn]:
                    yield size, arm, side, round_


def _announced(window: Window) -> Window:
    say(
        f"{window.size:>6} finished  {window.arm:<8}  {window.side:<7}  round {window.round + 1}  "
        f"{window.rate:8.2f} trials/s  {window.call_milliseconds}  cores {window.cpu}"
    )
    if window.pruned:
        raise RuntimeError("a trial was pruned: the two sides no longer did the same work")
    return window


def _conclusions(windows: list[Window], sizes: list[int], arms: list[str]) -> dict[str, Any]:
    """Medians, ratios, and how our rate changes with the size of the study."""
    cells, ratios, flat = [], [], []
    for size in sizes:
        for arm in arms:
            rates = {side: _rates(windows, size, arm, side) for side in SIDES}
            cells += [
                {"size": size, "arm": arm, "side": side, "trials_per_second": summary(found)}
                for side, found in rates.items()
            ]
            pairs = [a / b for a, b in zip(*(rates[side] for side in SIDES), strict=True)]
            ratios.append(
                {
                    "size": size,
                    "arm": arm,
                    "ratio_of_medians": round(
                        median(rates["trimtab"]) / median(rates["optuna"]), 2
                    ),
                    "ratio_by_round": summary(pairs),
                    "aim": AIMS[arm],
                }
            )
    for arm in arms:
        small, large = (_rates(windows, size, arm, "trimtab") for size in (sizes[0], sizes[-1]))
        flat.append(
            {
                "arm": arm,
                "sizes": [sizes[0], sizes[-1]],
                "ratio_of_medians": round(median(large) / median(small), 3),
                "ratio_by_round": summary([b / a for a, b in zip(small, large, strict=True)]),
                "aim": FLAT_AIM,
            }
        )
    return {"cells": cells, "ratios": ratios, "trimtab_large_against_small": flat}


def _rates(windows: list[Window], size: int, arm: str, side: str) -> list[float]:
    return [w.rate for w in windows if (w.size, w.arm, w.side) == (size, arm, side)]


def _report(result: dict[str, Any]) -> str:
    cells = {(c["size"], c["arm"], c["side"]): c["trials_per_second"] for c in result["cells"]}
    rows = [["finished", "arm", "trimtab/s", "optuna/s", "ratio", "by round", "aim"]]
    for found in result["ratios"]:
        size, arm, pairs = found["size"], found["arm"], found["ratio_by_round"]
        rows.append(
            [
                f"{size:,}",
                arm,
                *(f"{cells[size, arm, side]['median']:.1f}" for side in SIDES),
                f"{found['ratio_of_medians']:.1f}",
                f"{pairs['low']:.1f} to {pairs['high']:.1f}",
                f"{found['aim']:.0f}",
            ]
        )
    lines = [table(rows)]
    for found in result["trimtab_large_against_small"]:
        small, large = found["sizes"]
        lines.append(
            f"trimtab, {found['arm']}: at {large:,} finished trials "
            f"{found['ratio_of_medians']:.2f} of its rate at {small:,} (by round "
            f"{found['ratio_by_round']['low']:.2f} to {found['ratio_by_round']['high']:.2f}; "
            f"aim: at least {found['aim']})"
        )
    return "\n".join(lines)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="+", help="finished trials in the study")
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    parser.add_argument("--rounds", type=int, help="windows of every cell (3)")
    parser.add_argument("--seconds", type=float, help="length of a window (8)")
    parser.add_argument("--clients", type=int, default=8, help="client processes of a side (8)")
    parser.add_argument("--quick", action="store_true", help="under two minutes, small sizes")
    parser.add_argument("--out", type=Path, help="result file (bench/results/service.json)")
    options = parser.parse_args()
    quick = {"sizes": [100, 1_000], "rounds": 2, "seconds": 3.0}
    full = {"sizes": [100, 1_000, 10_000], "rounds": 3, "seconds": 8.0}
    for name, default in (quick if options.quick else full).items():
        if getattr(options, name) is None:
            setattr(options, name, default)
    if options.quick and options.out is None:
        options.out = Path("bench/results/service-quick.json")
    return options


if __name__ == "__main__":
    main()
