"""A managed study under fire, seen through its database and through what its programs noted."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import psycopg
import trimtab as tt

from tests.kill import processes
from tests.kill.notes import Note, read_notes
from tests.kill.program.train import STEPS
from tests.kill.waiting import await_found

LEASE_SECONDS = 3.0
PARALLEL = 2
PROGRAM = "train.py:main"
HALF_WAY = range(STEPS // 3 + 1, STEPS * 2 // 3)

STANDING = """
select s.state, count(t.*) filter (where t.finished_at is not null),
       coalesce(array_agg(t.public_id || '/' || t.attempt) filter (where t.state = 'running'), '{}')
  from study s left join trial t on t.study_id = s.id
 where s.public_id = %s group by s.id
"""


@dataclass(frozen=True)
class Standing:
    """How the study stands; `running` holds trial/attempt."""

    state: str
    finished: int
    running: frozenset[str]


@dataclass(frozen=True)
class Study:
    """One managed study."""

    id: str
    database_url: str
    notes_file: Path

    @property
    def notes(self) -> list[Note]:
        """What its programs have noted so far; a trial that nobody knows any more counts as its."""
        query = "select public_id from public.trial where study_id not in (select id from study)"
        others = {row[0] for row in self.read(query)}
        return [note for note in read_notes(self.notes_file) if note.trial not in others]

    def read(self, statement: str) -> list[Any]:
        """Rows of a statement that is given the study's trials as `trial`."""
        ours = (
            "with study as (select * from public.study where public_id = %(id)s), trial as ("
            "select t.* from public.trial t join study s on t.study_id = s.id) "
        )
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            return connection.execute(ours + statement, {"id": self.id}).fetchall()

    def standing(self) -> Standing | None:
        """How it stands; None while the database is away."""
        try:
            with psycopg.connect(self.database_url, autocommit=True) as connection:
                row = connection.execute(STANDING, (self.id,)).fetchone()
        except psycopg.OperationalError:
            return None
        assert row is not None
        return Standing(row[0], row[1], frozenset(row[2]))

    def await_middle(self, *, finished: int = 2, seconds: float = 90) -> Note:
        """Wait until so many trials have ended and one is half-way; its latest note."""
        what = f"{finished} finished trials and one half-way"
        return await_found(lambda: self._half_way(finished), seconds=seconds, what=what)

    def await_finished(self, number: int, *, seconds: float = 60) -> int:
        """Wait until so many trials have ended, and return how many have."""

        def enough() -> int | None:
            standing = self.standing()
            return standing.finished if standing and standing.finished >= number else None

        return await_found(enough, seconds=seconds, what=f"{number} finished trials")

    def await_note(self, trial: str, attempt: int, kind: str, *, seconds: float = 60) -> Note:
        """Wait until an attempt at a trial has noted something of this kind."""

        def noted() -> Note | None:
            notes = read_notes(self.notes_file)
            found = (n for n in notes if (n.trial, n.attempt, n.kind) == (trial, attempt, kind))
            return next(found, None)

        return await_found(noted, seconds=seconds, what=f"{kind} in attempt {attempt}")

    def await_end(self, *, seconds: float = 120) -> None:
        """Wait until the study has ended by itself."""

        def ended() -> bool:
            standing = self.standing()
            assert standing is None or standing.state in {"active", "completed"}, standing
            return standing is not None and standing.state == "completed"

        await_found(ended, seconds=seconds, what="the end of the study")

    def _half_way(self, finished: int) -> Note | None:
        standing = self.standing()
        if standing is None or standing.finished < finished:
            return None
        assert standing.state == "active", "the study ended before anything was killed"
        latest = {f"{n.trial}/{n.attempt}": n for n in read_notes(self.notes_file)}
        half_way = (latest[name] for name in standing.running & latest.keys())
        # Not right after a checkpoint: what was acknowledged since then is to be looked for.
        return next((n for n in half_way if n.kind == "acknowledged" and n.step in HALF_WAY), None)


def agent_of(fleet: psutil.Process, note: Note) -> psutil.Process:
    """The agent in whose hands the trial of a note is."""
    parents = psutil.Process(note.pid).parents()
    return next(agent for agent in processes.agents(fleet) if agent in parents)


def hand_over(client: tt.Client, name: str, *, trials: int | None, **options: Any) -> str:
    """Make a study with 3 s leases, hand it to the fleet, and return its id.

    Without a number of trials it goes on until `close` gives it one.
    """
    study = client.create_study(
        name,
        space=[tt.Float("rate", 0.0, 1.0)],
        minimize="loss",
        budget=tt.Budget(trials=trials),
        lease_seconds=LEASE_SECONDS,
        seed=7,
        **{"searcher": "sobol", "scheduler": "full", **options},
    )
    study.run(PROGRAM, resources={"cpu": 1}, parallel=PARALLEL)
    return study.id


def close(client: tt.Client, study: Study) -> int:
    """Let a study that had no end come to one, a few trials from now; how many it is to have."""
    made = study.read("select count(*) from trial")[0][0]
    client.study(study.id).change(budget=tt.Budget(trials=made + PARALLEL))
    return int(made) + PARALLEL
