"""A worker that does one thing, says so, and waits for a line before it does the next.

`stopped`: it measures and begins a checkpoint; then, when it is let go on, it tries everything that
a worker can do and says what became of each.  `asked`: it reports until it is asked to stop, and
then does nothing about it.
"""

import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from trimtab._address import find
from trimtab._transport import Transport
from trimtab.errors import ApiError
from trimtab.lease import Lease, ask, new_lease_id
from trimtab.models import Waiting

CHECKPOINT = b"nothing of worth"
DIGEST = hashlib.sha256(CHECKPOINT).hexdigest()


def take(study: str) -> Lease:
    """The study's next trial, whose lease nobody renews."""
    taken = ask(Transport(find()), study, lease_id=new_lease_id(), worker="hesitant")
    assert not isinstance(taken, Waiting)
    return taken[1]


def say(**facts: object) -> None:
    """A line to whoever started us."""
    print(json.dumps(facts), flush=True)


def points(*steps: int, loss: float = 0.9) -> list[dict[str, object]]:
    """Measurements at these steps."""
    return [{"step": step, "values": {"loss": loss}} for step in steps]


def stopped(lease: Lease) -> None:
    """Work, wait, and then try everything."""
    lease.report(points(0, 1, 2))
    made = lease.create_checkpoint(2, len(CHECKPOINT), DIGEST)
    path = Path(urlsplit(made.uri).path)
    path.parent.mkdir(parents=True)
    path.write_bytes(CHECKPOINT)
    say(trial=lease.asked.trial.id, attempt=lease.asked.attempt)
    sys.stdin.readline()
    tries: dict[str, Callable[[], object]] = {
        "report": lambda: lease.report(points(2, 3, loss=0.5)),
        "create checkpoint": lambda: lease.create_checkpoint(3, len(CHECKPOINT), DIGEST),
        "commit checkpoint": lambda: lease.commit_checkpoint(made.key),
        "heartbeat": lease.heartbeat,
        "tell completed": lambda: lease.tell({"kind": "completed", "values": {"loss": 0.0}}),
        "tell failed": lambda: lease.tell({"kind": "failed", "message": "no"}),
        "release": lambda: lease._say(":release", {"reason": "no"}),
    }
    say(**{name: tried(call) for name, call in tries.items()})


def asked(lease: Lease) -> None:
    """Report until told to stop."""
    reports = ((step, lease.report(points(step))) for step in range(20))
    step = next(step for step, answer in reports if answer.decision.kind == "stop")
    say(trial=lease.asked.trial.id, attempt=lease.asked.attempt, step=step)
    sys.stdin.readline()


def tried(call: Callable[[], object]) -> str:
    """What became of it: done, or how it was refused."""
    try:
        call()
    except ApiError as error:
        return f"{error.status} {type(error).__name__}"
    return "done"


if __name__ == "__main__":
    {"stopped": stopped, "asked": asked}[sys.argv[1]](take(sys.argv[2]))
