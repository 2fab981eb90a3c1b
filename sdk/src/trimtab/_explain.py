"""Getting an explanation, which may have to be worked out first."""

from trimtab._transport import Call, Transport
from trimtab.errors import NotReady
from trimtab.explanation import Explanation, StudyExplanation
from trimtab.models import Waiting

LONGEST_WAIT = 20.0  # seconds, of one request
PAUSE = 1.0  # before asking for newer results


def explain(
    transport: Transport,
    path: str,
    metric: str | None,
    timeout: float,
) -> Explanation:
    """An explanation with all results of this moment, or an older one when time is up."""
    clock, deadline = transport.clock, transport.clock.now() + timeout
    wanted, older = None, None
    while True:
        wait = min(max(0.0, deadline - clock.now()), LONGEST_WAIT)
        params = {"metric": metric, "wait": wait}
        call = Call("GET", f"{path}/explanation", params=params, timeout=wait + 20.0)
        answer = transport.send(call)
        if answer.status == 202:
            pause = answer.read(Waiting).retry_after
        else:
            older = answer.read(StudyExplanation)
            wanted = older.finished if wanted is None else wanted
            if older.seen >= wanted:
                return older.read()
            pause = PAUSE
        if clock.now() + pause > deadline:
            break
        clock.sleep(pause)
    if older is None:
        raise NotReady(f"no explanation came within {timeout:g} seconds: does a suggester run?")
    return older.read()
