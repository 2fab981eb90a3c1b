"""Trimtab as its users meet it: studies of the SDK at a running service.

The argument is the searcher's settings as JSON.  The service's URL and key, and the id of its
suggester process, come from BENCH_URL, BENCH_KEY and BENCH_SUGGESTER; `cpu` is what the suggester
and its children have used, so that with several studies at a time it belongs to nobody.

Here trials take no time, but in a user's hands one rarely ends before the next suggestion is
computed: each is held for BENCH_HOLD seconds, times as many as run in parallel, so that a trial is
asked for every BENCH_HOLD seconds.
"""

import json
import math
import os
import sys
import time
import uuid

import psutil
import trimtab as tt
from core_driver import METRIC, metrics_of
from protocol import Solver, serve
from trimtab.space import Parameter

HOLD = float(os.environ["BENCH_HOLD"])


class Remote(Solver):
    """One study at the service."""

    def __init__(self, study, client, searcher):
        several = study.objectives > 1
        self._metrics = metrics_of(study.objectives) if several else [METRIC]
        self._single = not several
        self._study = client.create_study(
            f"bench-{uuid.uuid4().hex}",
            space=[_parameter(wire) for wire in study.space],
            objectives=[tt.Minimize(metric) for metric in self._metrics],
            searcher=searcher,
            scheduler=_scheduler(searcher, study.steps),
            seed=study.seed,
            lease_seconds=120,
        )
        self._seconds = HOLD * study.parallel
        self._taken = {}
        self._asked_at = {}

    def ask(self):
        trial = self._study.ask()
        self._taken[trial.number] = trial
        self._asked_at[trial.number] = time.monotonic()
        return trial, trial.config

    def tell(self, handle, values, *, stopped=False):
        self._hold(handle)
        if values is None or not all(map(math.isfinite, values)):
            handle.infeasible("no finite value")
        elif stopped:
            handle.stopped()
        else:
            handle.complete(dict(zip(self._metrics, values, strict=True)))

    def report(self, handle, step, value):
        return handle.report(step, {METRIC: value}).stop

    def replay(self, trials):
        self._study.import_trials(
            [
                {"config": config, "values": dict(zip(self._metrics, values, strict=True))}
                for config, values in trials
            ]
        )

    def best(self):
        found = self._study.best if self._single else None
        return None if found is None else self._taken.get(found.number)

    def _hold(self, handle):
        passed = time.monotonic() - self._asked_at[handle.number]
        time.sleep(max(0.0, self._seconds - passed))


def _scheduler(searcher, steps):
    """Who plans how far trials run stops them too: its study takes no scheduler of its own."""
    plans = isinstance(searcher, dict) and searcher.get("fidelity") is not None
    return "auto" if steps and not plans else "full"


def _parameter(wire):
    fields = {name: wire[name] for name in wire if name not in {"kind", "name", "when"}}
    when = {c["parameter"]: c["in"] for c in wire.get("when") or ()}
    return Parameter(wire["kind"], wire["name"], when, **fields)


def suggester_cpu():
    """Processor seconds of the suggester and of the processes in which it runs searchers."""
    suggester = psutil.Process(int(os.environ["BENCH_SUGGESTER"]))
    spent = [p.cpu_times() for p in (suggester, *suggester.children(recursive=True))]
    return sum(times.user + times.system for times in spent)


if __name__ == "__main__":
    settings = json.loads(sys.argv[1])
    with tt.Client(url=os.environ["BENCH_URL"], key=os.environ["BENCH_KEY"]) as client:
        serve(lambda study: Remote(study, client, settings), cpu=suggester_cpu)
