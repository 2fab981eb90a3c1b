"""What must hold of a study whatever was killed: the database held against the programs' notes."""

import hashlib
import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.kill.notes import Note, acknowledged, by_trial
from tests.kill.program.train import MARK, STEPS, final_loss
from tests.kill.study import Study

# Statements that find nothing in a healthy study, at any moment.
ALWAYS = {
    "numbers with a gap": """
        select number from (select number, row_number() over (order by number) - 1 as n from trial)
         where number <> n""",
    "running without a lease, or a lease without running": """
        select t.number, t.state from trial t left join lease l on l.trial_id = t.id
         where (t.state = 'running') <> (l.trial_id is not null)""",
    "a lease of another attempt than the latest": """
        select t.number from trial t join lease l on l.trial_id = t.id
         where l.attempt <> t.attempt or l.lease_id <> t.last_lease_id""",
    "an attempt that began other than once": """
        select t.number, a.n from trial t cross join generate_series(1, t.attempt) a(n)
         where 1 <> (select count(*) from event e where e.trial_id = t.id
                      and e.kind = 'trial_started' and e.detail->>'attempt' = a.n::text)""",
    "attempts that are not 1, 2, 3, ...": """
        select t.number from trial t
         where t.attempt <> (select count(*) from attempt a where a.trial_id = t.id)
            or t.attempt <> (select coalesce(max(a.number), 0) from attempt a
                              where a.trial_id = t.id)""",
    "an end other than once": """
        select t.number from trial t
         where (t.finished_at is not null)::int <>
               (select count(*) from event e where e.trial_id = t.id and e.kind in
                 ('trial_completed', 'trial_stopped', 'trial_infeasible', 'trial_failed',
                  'trial_cancelled'))""",
    "told by another attempt than the last, or twice": """
        select t.number from trial t where t.state = 'completed'
           and (select array_agg(a.number) from attempt a
                 where a.trial_id = t.id and a.end_reason = 'told') <> array[t.attempt]""",
    "an attempt that is over and still open": """
        select t.number, a.number from trial t join attempt a on a.trial_id = t.id
         where a.ended_at is null and (a.number < t.attempt or t.state <> 'running')""",
    "points of an attempt that nobody made, or whose values are another attempt's": f"""
        select t.number, m.step, m.attempt, m.value
          from trial t join metric m on m.trial_id = t.id
          join metric_name n on n.study_id = t.study_id and n.id = m.metric_id
         where m.attempt > t.attempt
            or (n.name = 'mark' and m.value <> {MARK} * m.attempt + m.step)""",
    "a point of an earlier attempt after one of a later": """
        select t.number, a.step from trial t join metric a on a.trial_id = t.id
          join metric b on b.trial_id = t.id and b.metric_id = a.metric_id
         where t.finished_at is not null and b.step > a.step and b.attempt < a.attempt""",
    "counters that are not what they count": """
        select k.*, c.* from study_counter k join study s on s.id = k.study_id
          cross join (select count(*), count(*) filter (where state = 'running') as running,
                             count(finished_at) as ended,
                             count(*) filter (where state = 'failed') as failed from trial) c
         where k.next_number <> c.count or k.running <> c.running
            or k.finished <> c.ended or k.failed <> c.failed""",
}
# The same for a study that has ended by itself.
ENDED = {
    "a trial that did not complete": """
        select number, state, reason, message from trial where state <> 'completed'""",
    "leases that are left": "select trial_id from lease where trial_id in (select id from trial)",
    "a batch that is left": """
        select number from batch where state = 'running' and study_id in (select id from study)""",
    "a step that was never measured": f"""
        select t.number, s.step from trial t cross join generate_series(0, {STEPS - 1}) s(step)
          cross join (values ('loss'), ('mark')) v(name)
         where not exists (
           select from metric m join metric_name n on n.study_id = t.study_id
             and n.id = m.metric_id
            where m.trial_id = t.id and m.step = s.step and n.name = v.name)""",
}
LOSSES = """
select t.public_id, m.step, m.attempt, m.value
  from trial t join metric m on m.trial_id = t.id
  join metric_name n on n.study_id = t.study_id and n.id = m.metric_id and n.name = 'loss'
"""
TRIALS = "select public_id, attempt, state, finished_at is not null from trial"
CHECKPOINTS = """
select t.public_id, c.attempt, c.step, c.key, c.sha256
  from trial t join checkpoint c on c.trial_id = t.id where c.committed_at is not null
"""


def check_always(study: Study, *, storage: Path) -> None:
    """Fail unless everything holds that holds at any moment of a study's life."""
    notes = study.notes  # read first: what they say must be in the database by now
    found = [*_found(study, ALWAYS), *_missing(study, notes), *_undone(study, notes)]
    found += [*_run_again(notes), *_bad_checkpoints(study, notes, storage)]
    assert found == []


def check_ended(study: Study, *, trials: int, storage: Path) -> None:
    """The same for a study that has come to its end: nothing lost, nothing done twice."""
    check_always(study, storage=storage)
    assert _found(study, ENDED) == []
    results = study.read("select config->>'rate', objective from trial order by number")
    assert len(results) == trials
    # A trial that was cut off went on from its checkpoint as if nothing had happened.
    assert [loss for _, loss in results] == [
        pytest.approx(final_loss(float(rate)), rel=1e-12) for rate, _ in results
    ]


def check_log(log: Path) -> None:
    """Fail when the API has answered with an error of its own."""
    answered = requests(log)
    assert answered, f"{log} holds no request"
    # 503 is how it says that the database is away.
    assert [r for r in answered if r["status"] >= 500 and r["status"] != 503] == []


def requests(log: Path) -> list[dict[str, Any]]:
    """The requests that an API has logged."""
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    return [line for line in lines if line.get("event") == "request"]


def _found(study: Study, statements: dict[str, str]) -> list[str]:
    found = {name: study.read(statement) for name, statement in statements.items()}
    return [f"{name}: {rows}" for name, rows in found.items() if rows]


def _missing(study: Study, notes: list[Note]) -> Iterator[str]:
    """Acknowledged points that are gone, unless a later attempt did the step or ended before."""
    stored = {(trial, step): (attempt, loss) for trial, step, attempt, loss in study.read(LOSSES)}
    ends = {trial: attempt for trial, attempt, _, ended in study.read(TRIALS) if ended}
    for trial, attempt, step, loss in acknowledged(notes):
        holder, held = stored.get((trial, step), (ends.get(trial, 0), None))
        if holder < attempt or (holder == attempt and held != loss):
            yield f"lost: {trial} attempt {attempt} step {step}: {loss}, now {held} of {holder}"


def _undone(study: Study, notes: list[Note]) -> Iterator[str]:
    """Trials that are gone, and acknowledged ends that did not stay."""
    ends = {trial: (attempt, state) for trial, attempt, state, *_ in study.read(TRIALS)}
    for note in notes:
        if note.trial not in ends:
            yield f"a trial that is gone: {note}"
        elif note.kind == "told" and ends[note.trial] != (note.attempt, note.state):
            yield f"told and undone: {note}, now {ends[note.trial]}"


def _run_again(notes: list[Note]) -> Iterator[str]:
    """Trials that somebody worked on after they had ended, and attempts begun by two processes."""
    for trial, lines in by_trial(notes).items():
        kinds = [note.kind for note in lines]
        after = kinds[kinds.index("told") + 1 :] if "told" in kinds else []
        if {"told", "began"} & set(after):
            yield f"run to its end twice: {trial}: {kinds}"
        began = [note.attempt for note in lines if note.kind == "began"]
        if any(later <= earlier for earlier, later in pairwise(began)):
            yield f"attempts of {trial} began as {began}"


def _bad_checkpoints(study: Study, notes: list[Note], storage: Path) -> Iterator[str]:
    """Checkpoints that are damaged, forgotten, or were not gone on from."""
    committed = study.read(CHECKPOINTS)
    for trial, attempt, step, key, sha256 in committed:
        if hashlib.sha256((storage / key).read_bytes()).hexdigest() != sha256:
            yield f"damaged: {trial} attempt {attempt} step {step}"
    known = {row[:3] for row in committed}
    for trial, lines in by_trial(notes).items():
        latest = -1
        for note in lines:
            if note.kind == "checkpointed":
                latest = max(latest, note.step)
                if (trial, note.attempt, note.step) not in known:
                    yield f"forgotten: {note}"
            elif note.kind == "began" and note.step <= latest:
                yield f"begun before its checkpoint of step {latest}: {note}"
