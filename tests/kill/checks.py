"""What must hold of a study whatever was killed: the database held against the programs' notes."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.kill.notes import Note, acknowledged, by_trial
from tests.kill.program.train import MARK, STEPS, final_loss
from tests.kill.study import Study
from tests.leases.checker import Acknowledged, check, check_acknowledged

# Statements that find nothing while all is well; what holds in any database, tests.leases.checker
# looks for.
ALWAYS = {
    "values of another attempt than the one they are stored under": f"""
        select t.number, m.step, m.attempt, m.value
          from trial t join metric m on m.trial_id = t.id
          join metric_name n on n.study_id = t.study_id and n.id = m.metric_id
         where n.name = 'mark' and m.value <> {MARK} * m.attempt + m.step""",
    "a point of an earlier attempt after one of a later": """
        select t.number, a.step from trial t join metric a on a.trial_id = t.id
          join metric b on b.trial_id = t.id and b.metric_id = a.metric_id
         where t.finished_at is not null and b.step > a.step and b.attempt < a.attempt""",
    "two attempts that were told": """
        select t.number from trial t join attempt a on a.trial_id = t.id and a.end_reason = 'told'
         group by t.number having count(*) > 1""",
}
# The same for a study that has ended by itself.
ENDED = {
    "a trial that did not complete": """
        select number, state, reason, message from trial where state <> 'completed'""",
    "a lease that is left": "select trial_id from lease where trial_id in (select id from trial)",
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
TRIALS = "select public_id, attempt, state from trial"
CHECKPOINTS = """
select t.public_id, c.attempt, c.step, c.key, c.sha256
  from trial t join checkpoint c on c.trial_id = t.id where c.committed_at is not null
"""


def check_always(study: Study, *, storage: Path) -> None:
    """Fail unless everything holds that holds at any moment of a study's life."""
    notes = study.notes  # read first: what they say must be in the database by now
    _refuse([*_found(study, ALWAYS), *_undone(study, notes), *_run_again(notes)])
    _refuse([*_bad_checkpoints(study, notes, storage)])
    check(study.database_url)
    points = [(trial, attempt, "loss", *point) for trial, attempt, *point in acknowledged(notes)]
    check_acknowledged(study.database_url, Acknowledged(points=points))


def check_ended(study: Study, *, trials: int, storage: Path) -> None:
    """The same for a study that has come to its end: nothing lost, nothing done twice."""
    check_always(study, storage=storage)
    _refuse(_found(study, ENDED))
    results = study.read("select config->>'rate', objective from trial order by number")
    assert len(results) == trials
    # A trial that was cut off went on from its checkpoint as if nothing had happened.
    ended = [loss for _, loss in results]
    undisturbed = [final_loss(float(rate)) for rate, _ in results]
    assert ended == pytest.approx(undisturbed, rel=1e-12), f"{ended} instead of {undisturbed}"


def check_log(log: Path) -> None:
    """Fail when the API has answered with an error of its own."""
    answered = requests(log)
    assert answered, f"{log} holds no request"
    # 503 is how it says that the database is away.
    _refuse([str(r) for r in answered if r["status"] >= 500 and r["status"] != 503])


def requests(log: Path) -> list[dict[str, Any]]:
    """The requests that an API has logged."""
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    return [line for line in lines if line.get("event") == "request"]


def _refuse(violations: list[str]) -> None:
    assert not violations, "\n".join(violations)


def _found(study: Study, statements: Mapping[str, str]) -> list[str]:
    found = {name: study.read(statement) for name, statement in statements.items()}
    return [f"{name}: {rows}" for name, rows in found.items() if rows]


def _undone(study: Study, notes: list[Note]) -> Iterator[str]:
    """Trials that are gone, and acknowledged ends that did not stay."""
    ends = {trial: (attempt, state) for trial, attempt, state in study.read(TRIALS)}
    for note in notes:
        if note.trial not in ends:
            yield f"a trial that is gone: {note}"
        elif note.kind == "told" and ends[note.trial] != (note.attempt, note.state):
            yield f"told and undone: {note}, now {ends[note.trial]}"


def _run_again(notes: list[Note]) -> Iterator[str]:
    """Trials that somebody worked on after they had ended, and attempts begun out of turn."""
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
