"""What every searcher promises.  Fill the one hole, `searcher`, to hold one to it."""

import json
import math
import os
import subprocess
import sys
import zlib
from dataclasses import dataclass, replace
from functools import cache
from typing import ClassVar

import pytest
from pydantic import TypeAdapter

from search.encoding import config_key
from search.gradients import check_gradients, differentiable
from search.parameters import ChoiceParameter, FloatParameter
from search.problem import Objective, OutcomeConstraint, Problem
from search.registry import SearcherSettings
from search.searcher import MAX_MEMO_BYTES, Batch, Feature, History, Memo, Searcher, unsupported
from search.trial import Measurement, Trial, TrialState
from search.values import Config
from tests.contracts.spaces import (
    BELIEVED,
    CONSTRAINED,
    SPACES,
    TINY,
    TINY_CONSTRAINED,
    TINY_SIZES,
    space,
)

SETTINGS = TypeAdapter(SearcherSettings)
HISTORY = TypeAdapter(History)
BATCH = TypeAdapter(Batch)

# Every seventh trial ends in one of these ways; the rest are completed.
ENDINGS = {3: TrialState.INFEASIBLE, 5: TrialState.FAILED, 6: TrialState.STOPPED}
LOSS = (Objective(metric="loss"),)

# Settings, then histories, a line each: a line for the batch of each.
ELSEWHERE = """
import sys
from tests.contracts.searchers import BATCH, HISTORY, SETTINGS
settings, *histories = sys.stdin.read().split(chr(10))
searcher = SETTINGS.validate_json(settings)
batches = [searcher.suggest(HISTORY.validate_json(history), 5) for history in histories]
sys.stdout.write(chr(10).join(BATCH.dump_json(batch).decode() for batch in batches))
"""

# What a study may be spoilt with, each kind of test by one of them on every space.
MEMOS = [{}, [], None, {"lengths": "x"}, {"first": 1, "then": {}}]
LOST = [math.nan, math.inf, -math.inf]
SCALES = [
    [1.0] * 12,
    [1e12, -1e12],
    [1e-12, 3e-12],
    [1e300, -1e300],
    [1e12 + k for k in range(12)],
    [5e-324, 0.0],
]


@dataclass(frozen=True)
class Study:
    """A study that a searcher has driven for a while, and what it answered."""

    problem: Problem
    trials: tuple[Trial, ...]
    memo: Memo | None
    batches: int

    def history(self, **changes: object) -> History:
        """What the next batch is to be computed from."""
        now = History(problem=self.problem, trials=self.trials, batch=self.batches, memo=self.memo)
        return replace(now, **changes)


def outcome(config: Config) -> float:
    """A loss in [0, 1) that depends on the config and nothing else."""
    return zlib.crc32(config_key(config).encode()) / 2**32


def metrics(problem: Problem) -> list[str]:
    """The metrics that a trial of the problem reports."""
    return [asked.metric for asked in (*problem.objectives, *problem.constraints)]


def values(problem: Problem, loss: float) -> dict[str, float]:
    """The loss as that of the first metric, and what goes with it of the others."""
    first, *others = metrics(problem)
    return {first: loss} | {name: (loss * (7 + 6 * k)) % 1 for k, name in enumerate(others)}


def ended(problem: Problem, number: int, config: Config, origin: object) -> Trial:
    """A trial that has ended, well or otherwise."""
    state, loss = ENDINGS.get(number % 7, TrialState.COMPLETED), outcome(config)
    measured = state in (TrialState.COMPLETED, TrialState.STOPPED)
    curve = [Measurement(step=k, values=values(problem, loss + 0.5**k)) for k in range(1, 4)]
    return Trial(
        number=number,
        config=config,
        state=state,
        measurements=curve if measured else (),
        values=values(problem, loss + 0.5**3) if measured else {},
        gradients=gradients(problem, config) if state is TrialState.COMPLETED else {},
        origin=origin,
    )


def gradients(problem: Problem, config: Config) -> dict[str, float]:
    """Derivatives with respect to some of the parameters, where they are told."""
    slopes = {
        name: math.sin(1e4 * config[name])
        for name in differentiable(problem)
        if name in config and outcome({name: config[name]}) < 0.8
    }
    check_gradients(problem, config, slopes)
    return slopes


@cache
def study(
    searcher: Searcher,
    name: str,
    objectives: tuple[Objective, ...] = LOSS,
    constraints: tuple[OutcomeConstraint, ...] = (),
) -> Study:
    """A study of 14 trials on one of the spaces; the last is running and the one before queued."""
    problem = Problem(space=space(name), objectives=objectives, constraints=constraints, seed=7)
    trials: list[Trial] = []
    memo, batches = None, 0
    for count in (3, 1, 4, 2, 4):
        history = History(problem=problem, trials=trials, batch=batches, memo=memo)
        batch = searcher.suggest(history, count)
        batches, memo = batches + 1, batch.memo
        for s in batch.suggestions:
            trials.append(ended(problem, len(trials), s.config, s.origin))
    waiting = (TrialState.QUEUED, TrialState.RUNNING)
    for place, state in zip((-2, -1), waiting, strict=True):
        trials[place] = replace(trials[place], state=state, values={}, measurements=())
    return Study(problem, tuple(trials), memo, batches)


def asked(
    name: str,
    objectives: tuple[Objective, ...] = LOSS,
    constraints: tuple[OutcomeConstraint, ...] = (),
) -> Problem | None:
    """A problem on one of the spaces; None where no study can have such objectives there."""
    floats = any(isinstance(p, FloatParameter) for p in space(name).parameters)
    if objectives[0].gradients and not floats:
        return None
    return Problem(space=space(name), objectives=objectives, constraints=constraints, seed=7)


def keys(configs) -> list[str]:
    return [config_key(config) for config in configs]


def proposed(batch: Batch) -> list[str]:
    return keys(suggestion.config for suggestion in batch.suggestions)


def check_no_model_failed(batch: Batch) -> None:
    """Fail where a suggestion stands in for those of a model that failed."""
    reasons = [str(s.origin.get("because")) for s in batch.suggestions]
    failed = [reason for reason in reasons if "failed" in reason]
    assert not failed, f"no model stands behind it: {failed[0]}"


def spread(names: list[str], values: list[object]) -> list[tuple[str, object]]:
    """Every value on one space, and on every other space one of them in turn."""
    most = "nested" if "nested" in names else names[0]
    others = [name for name in names if name != most]
    turns = [(name, values[k % len(values)]) for k, name in enumerate(others)]
    return [*((most, value) for value in values), *turns]


class SearcherContract:
    """Subclass it and set `searcher`; `spaces` may name fewer for one that wraps others.

    `objectives` and `constraints` are those of the studies that it is to serve, and `refuses` names
    the plain spaces that the product does not let it have.  `spoilt` may name fewer spaces to spoil
    results and memos on, for one whose suggestions take long.
    """

    searcher: ClassVar[Searcher]
    seeded: ClassVar[bool] = True
    refuses: ClassVar[tuple[str, ...]] = ()
    spaces: ClassVar[tuple[str, ...]] = (*SPACES, *CONSTRAINED, *BELIEVED)
    objectives: ClassVar[tuple[Objective, ...]] = LOSS
    constraints: ClassVar[tuple[OutcomeConstraint, ...]] = ()
    spoilt: ClassVar[tuple[str, ...] | None] = None

    def study(self, name: str) -> Study:
        """The study that the searcher has driven on one of the spaces."""
        return study(self.searcher, name, self.objectives, self.constraints)

    def served(self, names) -> list[str]:
        """Those of the spaces that studies with this searcher may have."""
        problems = ((name, asked(name, self.objectives, self.constraints)) for name in names)
        return [name for name, made in problems if made and not unsupported(made, self.searcher)]

    def pytest_generate_tests(self, metafunc):
        served = self.served(self.spaces)
        spoilt = self.served(self.spaces if self.spoilt is None else self.spoilt)
        tiny = self.served((*TINY, *TINY_CONSTRAINED))
        cases = {
            ("name", "memo"): spread(spoilt, MEMOS),
            ("name", "lost"): spread(spoilt, LOST),
            ("name", "scale"): spread(spoilt, SCALES),
            ("name",): served,
            ("tiny",): tiny,
        }
        for arguments, values in cases.items():
            if set(arguments) <= set(metafunc.fixturenames):
                metafunc.parametrize(",".join(arguments), values)
                return

    def test_the_product_refuses_the_plain_spaces_that_it_says_and_no_others(self):
        plain = [name for name in (*SPACES, *TINY) if asked(name, self.objectives)]
        assert set(plain) - set(self.served(plain)) == set(self.refuses)

    def test_suggestions_are_legal_distinct_and_say_who_made_them(self, name):
        driven = self.study(name)
        assert len(driven.trials) == 14
        for trial in driven.trials:
            checked = driven.problem.space.check(trial.config)
            assert checked == trial.config
            assert list(map(type, checked.values())) == list(map(type, trial.config.values()))
            assert trial.origin["by"]
        configs = keys(trial.config for trial in driven.trials)
        assert len(set(configs)) == len(configs)

    def test_a_restart_changes_nothing(self, name):
        history = self.study(name).history()
        stored = HISTORY.validate_json(HISTORY.dump_json(history))
        again = SETTINGS.validate_json(SETTINGS.dump_json(self.searcher))
        assert again == self.searcher
        here, there = self.searcher.suggest(history, 3), again.suggest(stored, 3)
        assert BATCH.dump_json(here) == BATCH.dump_json(there)

    def test_pending_and_reserved_configs_do_not_come_back_with_or_without_the_memo(self, name):
        driven = self.study(name)
        first = self.searcher.suggest(driven.history(), 4)
        reserved = [suggestion.config for suggestion in first.suggestions]
        taken = {*keys(trial.config for trial in driven.trials), *keys(reserved)}
        assert len(taken) == 18
        for memo in (first.memo, None, Memo(version=999, data="from the future")):
            later = driven.history(reserved=reserved, batch=driven.batches + 1, memo=memo)
            batch = self.searcher.suggest(later, 3)
            fresh = proposed(batch)
            assert len(set(fresh)) == 3
            assert not taken & set(fresh)
            assert not batch.exhausted

    def test_a_memo_of_nonsense_is_ignored(self, name, memo):
        history = self.study(name).history(memo=Memo(version=1, data=memo))
        assert proposed(self.searcher.suggest(history, 2)) == proposed(
            self.searcher.suggest(replace(history, memo=None), 2)
        )

    def test_another_process_suggests_the_same(self):
        histories = [self.study(name).history() for name in self.served(self.spaces)]
        here = [self.searcher.suggest(history, 5) for history in histories]
        lines = [SETTINGS.dump_json(self.searcher), *map(HISTORY.dump_json, histories)]
        done = subprocess.run(
            [sys.executable, "-c", ELSEWHERE],
            input=b"\n".join(lines),
            env={**os.environ, "PYTHONHASHSEED": "123"},
            capture_output=True,
            check=True,
            timeout=120,
        )
        there = [json.loads(line) for line in done.stdout.split(b"\n")]
        assert there == [json.loads(BATCH.dump_json(batch)) for batch in here]

    def test_another_seed_suggests_something_else(self):
        history = self.study("float").history(trials=())
        other = replace(history, problem=replace(history.problem, seed=8))
        same = proposed(self.searcher.suggest(history, 3)) == proposed(
            self.searcher.suggest(other, 3)
        )
        assert same is not self.seeded

    def test_results_that_are_not_finite_do_no_harm(self, name, lost):
        driven = self.study(name)
        bad = [
            replace(t, values=dict.fromkeys(metrics(driven.problem), lost), measurements=())
            for t in driven.trials[:4]
        ]
        for trials in ([*bad, *driven.trials[4:]], bad):
            batch = self.searcher.suggest(driven.history(trials=trials), 3)
            check_no_model_failed(batch)
            assert len(set(proposed(batch)) - set(keys(t.config for t in trials))) == 3

    def test_results_of_any_scale_do_no_harm(self, name, scale):
        driven = self.study(name)
        scaled = [
            Trial(
                number=t.number,
                config=t.config,
                state=TrialState.COMPLETED,
                values=dict.fromkeys(metrics(driven.problem), v),
            )
            for t, v in zip(driven.trials, scale * 7, strict=False)
        ]
        batch = self.searcher.suggest(driven.history(trials=scaled), 3)
        check_no_model_failed(batch)
        assert len(set(proposed(batch)) - set(keys(t.config for t in scaled))) == 3
        assert json.loads(json.dumps([s.origin for s in batch.suggestions], allow_nan=False))

    def test_repeated_configs_do_no_harm(self, name):
        driven = self.study(name)
        doubled = [
            replace(trial, number=number, values=values(driven.problem, 0.1 * number))
            for number, trial in enumerate([*driven.trials[:3]] * 4)
        ]
        batch = self.searcher.suggest(driven.history(trials=doubled), 2)
        check_no_model_failed(batch)
        assert len(set(proposed(batch))) == 2

    @pytest.mark.parametrize("count", [1, 100])
    def test_a_finite_space_is_used_up_and_then_exhausted(self, tiny, count):
        problem = Problem(
            space=space(tiny), objectives=self.objectives, constraints=self.constraints, seed=1
        )
        trials: list[Trial] = []
        memo = None
        for number in range(TINY_SIZES[tiny] + 1):
            history = History(problem=problem, trials=trials, batch=number, memo=memo)
            batch = self.searcher.suggest(history, count)
            memo = batch.memo
            assert batch.exhausted is (len(batch.suggestions) < count)
            for s in batch.suggestions:
                trials.append(ended(problem, len(trials), s.config, s.origin))
        assert batch.exhausted
        configs = keys(trial.config for trial in trials)
        assert len(set(configs)) == len(configs) == TINY_SIZES[tiny]

    def test_a_context_is_served_or_refused(self):
        """In its context a study is as any other; what was tried elsewhere is not taken."""
        task = ChoiceParameter(name="task", choices=["a", "b"])
        problem = Problem(
            space=space("nested"),
            objectives=self.objectives,
            constraints=self.constraints,
            context=[task],
            seed=7,
        )
        if Feature.CONTEXTS not in self.searcher.supports():
            assert any("context" in reason for reason in unsupported(problem, self.searcher))
            return
        driven = self.study("nested")
        trials = [replace(t, context={"task": "ab"[t.number % 2]}) for t in driven.trials]
        for name in "ab":
            here = keys(t.config for t in trials if t.context["task"] == name)
            history = History(problem=problem, trials=trials, batch=9, context={"task": name})
            batch = self.searcher.suggest(history, 4)
            stored = HISTORY.validate_json(HISTORY.dump_json(history))
            assert BATCH.dump_json(self.searcher.suggest(stored, 4)) == BATCH.dump_json(batch)
            assert len({*proposed(batch), *here}) == 4 + len(here)
            for s in batch.suggestions:
                assert problem.space.check(s.config) == s.config

    def test_the_memo_is_small_json(self, name):
        memo = self.study(name).memo
        if memo is not None:
            adapter = TypeAdapter(Memo)
            text = adapter.dump_json(memo)
            assert adapter.validate_json(text) == memo
            assert len(text) < MAX_MEMO_BYTES
