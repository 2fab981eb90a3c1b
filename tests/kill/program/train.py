"""What the killed studies run: a training that notes on disk all that the service acknowledged.

The notes are JSON lines beside this file, each on the disk before training goes on.  What they call
acknowledged must be in the database whatever is killed; they may lack what was acknowledged in the
moment of a kill.
"""

import json
import os
import time
from pathlib import Path

import trimtab as tt

STEPS = 30
STEP_SECONDS = 0.08  # training takes time, and the kill has to fall into it
MARK = 1000  # so that `mark`, a metric, names the attempt that measured it
NOTES = Path(__file__).with_name("notes.jsonl")


def train(loss: float, rate: float) -> float:
    """One step; what comes out depends on all steps before it."""
    return 0.9 * loss + 0.1 * (rate - 0.3) ** 2


def final_loss(rate: float) -> float:
    """The last value of a training that nobody disturbed."""
    loss = 1.0
    for _ in range(STEPS):
        loss = train(loss, rate)
    return loss


def note(trial: tt.Trial, kind: str, **facts: object) -> None:
    """Append a line to the notes and see to it that it is on the disk."""
    line = {"kind": kind, "trial": trial.id, "attempt": trial.attempt, "pid": os.getpid(), **facts}
    with NOTES.open("ab", buffering=0) as file:
        file.write(json.dumps(line).encode() + b"\n")
        os.fsync(file.fileno())


def main(trial: tt.Trial) -> None:
    """Train from the last checkpoint on; every second step waits until the service has it all."""
    first, loss = resumed(trial)
    step = first - 1  # what stays where the kill fell between the last checkpoint and the end
    note(trial, "began", step=first)
    waiting: list[tuple[int, float]] = []
    for step in range(first, STEPS):
        time.sleep(STEP_SECONDS)
        loss = train(loss, trial.config["rate"])
        decision = trial.report(step, loss=loss, mark=MARK * trial.attempt + step)
        waiting.append((step, loss))
        if step % 2:
            trial.flush()
            note(trial, "acknowledged", step=step, points=waiting)
            waiting = []
        if step % 5 == 4 and trial.save_checkpoint(json.dumps(loss).encode(), step=step):
            note(trial, "checkpointed", step=step)
        if decision.kind == "release":
            return
        if decision.stop:
            break
    note(trial, "finishing", step=step)
    told = trial.stopped() if trial.decision.stop else trial.complete()
    note(trial, "told", step=step, state=told.state)


def resumed(trial: tt.Trial) -> tuple[int, float]:
    """The step to begin with, and the loss that training had before it."""
    path = trial.load_checkpoint()
    if path is None or trial.checkpoint is None:
        return 0, 1.0
    return trial.checkpoint.step + 1, json.loads(path.read_text())
