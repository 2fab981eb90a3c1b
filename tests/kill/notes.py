"""What the programs of killed studies noted on disk."""

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Note:
    """One line: `kind` is began, acknowledged, checkpointed, finishing or told."""

    kind: str
    trial: str
    attempt: int
    pid: int
    step: int
    points: Sequence[tuple[int, float]] = field(default=())
    state: str = ""


def read_notes(file: Path) -> list[Note]:
    """All notes, in the order in which they were written; a line cut off by a kill is left out."""
    if not file.exists():
        return []
    whole = file.read_bytes().split(b"\n")[:-1]
    return [_note(json.loads(line)) for line in whole]


def by_trial(notes: Sequence[Note]) -> dict[str, list[Note]]:
    """The notes of each trial, in order."""
    groups: dict[str, list[Note]] = defaultdict(list)
    for note in notes:
        groups[note.trial].append(note)
    return groups


def acknowledged(notes: Sequence[Note]) -> Iterator[tuple[str, int, int, float]]:
    """Trial, attempt, step and loss of every point that the service said it has."""
    for note in notes:
        for step, loss in note.points:
            yield note.trial, note.attempt, step, loss


def _note(line: dict[str, Any]) -> Note:
    points = [(int(step), float(loss)) for step, loss in line.pop("points", [])]
    return Note(**line, points=points)
