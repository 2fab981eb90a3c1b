"""Optuna's side: RDBStorage on PostgreSQL with its default pool, random search."""

import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import optuna
import psycopg
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    distribution_to_json,
)

from bench.parts.tuning import SPACE, STEPS, Choice, FilledTrial, Number, level_now, loss_at
from bench.parts.windows import Job, Runner, Spent

optuna.logging.set_verbosity(optuna.logging.WARNING)

RESERVE = """
select setval(pg_get_serial_sequence('trials', 'trial_id'),
              nextval(pg_get_serial_sequence('trials', 'trial_id')) + %s) - %s
"""
COPY_TRIALS = """
copy trials (trial_id, number, study_id, state, datetime_start, datetime_complete) from stdin
"""
COPY_PARAMS = """
copy trial_params (trial_id, param_name, param_value, distribution_json) from stdin
"""
COPY_VALUES = "copy trial_values (trial_id, objective, value, value_type) from stdin"
COPY_STEPS = """
copy trial_intermediate_values (trial_id, step, intermediate_value, intermediate_value_type)
from stdin
"""


def sqlalchemy_url(url: str) -> str:
    """A libpq URL as SQLAlchemy reads it, with psycopg 3."""
    return url.replace("postgresql://", "postgresql+psycopg://", 1)


def distributions() -> dict[str, BaseDistribution]:
    """The space of `tuning`, as Optuna says it."""
    return {parameter.name: _distribution(parameter) for parameter in SPACE}


def make_study(url: str, name: str) -> optuna.Study:
    """Make the study, with a storage of its own."""
    storage = optuna.storages.RDBStorage(sqlalchemy_url(url))
    return optuna.create_study(study_name=name, storage=storage)


def fill(url: str, study: optuna.Study, trials: Sequence[FilledTrial]) -> None:
    """Copy finished trials in, row for row what `add_trials` writes (`check_filling` proves it)."""
    known = {name: distribution_to_json(d) for name, d in distributions().items()}
    internal = distributions()
    now = datetime.now(UTC).replace(tzinfo=None)
    with psycopg.connect(url) as connection:
        row = connection.execute(RESERVE, (len(trials), len(trials))).fetchone()
        assert row is not None
        ids = range(row[0], row[0] + len(trials))
        _copy(
            connection,
            COPY_TRIALS,
            ((i, n, study._study_id, "COMPLETE", now, now) for n, i in enumerate(ids)),
        )
        _copy(
            connection,
            COPY_PARAMS,
            (
                (i, name, internal[name].to_internal_repr(value), known[name])
                for i, trial in zip(ids, trials, strict=True)
                for name, value in trial.config.items()
            ),
        )
        _copy(
            connection,
            COPY_VALUES,
            ((i, 0, t.losses[-1], "FINITE") for i, t in zip(ids, trials, strict=True)),
        )
        _copy(
            connection,
            COPY_STEPS,
            (
                (i, step, loss, "FINITE")
                for i, trial in zip(ids, trials, strict=True)
                for step, loss in enumerate(trial.losses)
            ),
        )


def check_filling(url: str, trials: Sequence[FilledTrial]) -> None:
    """Raise RuntimeError unless Optuna reads copied trials as it reads those that it adds."""
    copied = make_study(url, "check-copied")
    fill(url, copied, trials)
    added = make_study(url, "check-added")
    added.add_trials(
        optuna.create_trial(
            params=trial.config,
            distributions=distributions(),
            value=trial.losses[-1],
            intermediate_values=dict(enumerate(trial.losses)),
        )
        for trial in trials
    )
    ours, theirs = (_readable(study) for study in (copied, added))
    if ours != theirs:
        raise RuntimeError("Optuna reads copied trials differently from those it adds itself")


@dataclass(frozen=True)
class OptunaRunner:
    """A client of one study."""

    study: optuna.Study
    job: Job

    def trial(self, spent: Spent) -> bool:
        began = time.perf_counter()
        trial = self.study.ask()
        level = level_now(self.job.epoch)
        for parameter in SPACE:
            _suggest(trial, parameter)
        spent.add("ask", began)
        pruned = False
        for step in range(STEPS):
            began = time.perf_counter()
            trial.report(loss_at(level, step), step)
            pruned |= self.job.waited and bool(trial.should_prune())
            spent.add("report", began)
        began = time.perf_counter()
        self.study.tell(trial, loss_at(level, STEPS - 1))
        spent.add("tell", began)
        return pruned

    def close(self) -> None:
        """Nothing to do: the process keeps the storage for the study's next window."""


@dataclass
class _Storages:
    """The storages that this process has open.

    A storage caches what it has read, so the next window of a study that is kept finds it warm, as
    it would be in a worker that lives on.
    """

    kept: dict[str, optuna.storages.BaseStorage] = field(default_factory=dict)
    last: optuna.storages.RDBStorage | None = None

    def open(self, url: str, study: str, *, keep: bool) -> optuna.storages.BaseStorage:
        """The storage, with Optuna's cache before it."""
        if study in self.kept:
            return self.kept[study]
        storage = optuna.storages.RDBStorage(sqlalchemy_url(url))
        cached = optuna.storages.get_storage(storage)
        if keep:
            self.kept[study] = cached
            return cached
        if self.last is not None:
            self.last.engine.dispose()
        self.last = storage
        return cached


_STORAGES = _Storages()


def open_study(job: Job) -> Runner:
    """Open the study in a client process, asking or not asking whether to prune."""
    name, url = job.address["study"], job.address["database_url"]
    study = optuna.load_study(
        study_name=name,
        storage=_STORAGES.open(url, name, keep=bool(job.address["kept"])),
        sampler=optuna.samplers.RandomSampler(),
        pruner=optuna.pruners.MedianPruner() if job.waited else optuna.pruners.NopPruner(),
    )
    return OptunaRunner(study, job)


def _suggest(trial: optuna.Trial, parameter: Number | Choice) -> None:
    if isinstance(parameter, Choice):
        trial.suggest_categorical(parameter.name, parameter.choices)
    elif parameter.whole:
        trial.suggest_int(
            parameter.name, int(parameter.low), int(parameter.high), log=parameter.log
        )
    else:
        trial.suggest_float(parameter.name, parameter.low, parameter.high, log=parameter.log)


def _distribution(parameter: Number | Choice) -> BaseDistribution:
    if isinstance(parameter, Choice):
        return CategoricalDistribution(parameter.choices)
    if parameter.whole:
        return IntDistribution(int(parameter.low), int(parameter.high), log=parameter.log)
    return FloatDistribution(parameter.low, parameter.high, log=parameter.log)


def _copy(
    connection: psycopg.Connection, statement: str, rows: Iterable[tuple[object, ...]]
) -> None:
    with connection.cursor().copy(statement) as copy:
        for row in rows:
            copy.write_row(row)


def _readable(study: optuna.Study) -> list[str]:
    """What Optuna reads of the trials, without ids and times."""
    return [
        json.dumps(
            [
                trial.number,
                trial.state.name,
                trial.params,
                trial.values,
                trial.intermediate_values,
                {name: distribution_to_json(d) for name, d in trial.distributions.items()},
                trial.user_attrs,
                trial.system_attrs,
            ]
        )
        for trial in study.get_trials(deepcopy=False)
    ]
