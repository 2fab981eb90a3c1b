"""Trimtab's side: the SDK, over HTTP, against `trimtab serve` and `trimtab suggest`."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import psycopg
import trimtab as tt
from trimtab.space import Parameter

from bench.parts.server import Service
from bench.parts.tuning import METRIC, SPACE, STEPS, Choice, FilledTrial, Number, level_now, loss_at
from bench.parts.windows import Job, Runner, Spent

IMPORT_BATCH = 1_000
# What Optuna's MedianPruner does by default: judge at every step, once five trials have been there.
WAITED = {"kind": "median", "warmup_steps": 0, "interval": 1, "min_trials": 5}
BUFFERED = {"kind": "full"}
# What reports at every step leave behind; an import leaves none, and the median rule would find
# nobody to compare with where Optuna's finds everybody.
STAND = """
insert into standing (study_id, bracket, step, number, attempt, loss)
select t.study_id, 0, m.step, t.number, 1, m.value
  from trial t join study s on s.id = t.study_id join metric m on m.trial_id = t.id
 where s.public_id = %s
"""


def make_study(service: Service, name: str, *, waited: bool) -> str:
    """Make the study; returns its id."""
    with tt.Client(url=service.url, key=service.key) as client:
        study = client.create_study(
            name,
            space=[_parameter(parameter) for parameter in SPACE],
            minimize=METRIC,
            searcher="random",
            scheduler=WAITED if waited else BUFFERED,
            seed=1,
        )
        return study.id


def fill(
    service: Service, database_url: str, study: str, trials: Sequence[FilledTrial], *, waited: bool
) -> None:
    """Import finished trials with all their measurements, a thousand at a time.

    If `waited`, they also get the standings that they would have, had they been run here.
    """
    with tt.Client(url=service.url, key=service.key) as client:
        for start in range(0, len(trials), IMPORT_BATCH):
            batch = trials[start : start + IMPORT_BATCH]
            client.study(study).import_trials([_imported(trial) for trial in batch])
    if waited:
        with psycopg.connect(database_url) as connection:
            connection.execute(STAND, (study,))


@dataclass(frozen=True)
class TrimtabRunner:
    """A client of one study."""

    client: tt.Client
    study: tt.Study
    job: Job

    def trial(self, spent: Spent) -> bool:
        began = time.perf_counter()
        trial = self.study.ask()
        level = level_now(self.job.epoch)
        spent.add("ask", began)
        stopped = False
        for step in range(STEPS):
            began = time.perf_counter()
            stopped |= trial.report(step, loss=loss_at(level, step)).stop
            spent.add("report", began)
        began = time.perf_counter()
        trial.complete()
        spent.add("tell", began)
        return stopped

    def close(self) -> None:
        self.client.close()


def open_study(job: Job) -> Runner:
    """Open the study in a client process."""
    client = tt.Client(url=job.address["url"], key=job.address["key"])
    return TrimtabRunner(client, client.study(job.address["study"]), job)


def _imported(trial: FilledTrial) -> dict[str, object]:
    return {
        "config": trial.config,
        "values": {METRIC: trial.losses[-1]},
        "measurements": [
            {"step": step, "values": {METRIC: loss}} for step, loss in enumerate(trial.losses)
        ],
    }


def _parameter(parameter: Number | Choice) -> Parameter:
    if isinstance(parameter, Choice):
        return tt.Choice(parameter.name, list(parameter.choices))
    if parameter.whole:
        return tt.Int(parameter.name, int(parameter.low), int(parameter.high), log=parameter.log)
    return tt.Float(parameter.name, parameter.low, parameter.high, log=parameter.log)
