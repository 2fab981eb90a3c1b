"""The process in which an agent runs programs.

`python -P -m trimtab.child ORDERS REPLIES LIFELINE`: three inherited descriptors.  Orders are JSON
lines, one trial each, and requests; replies are JSON lines as well: `ready` once, and for each
trial `ending` before the server is told (which the agent answers with the end of the log) and
`ended` after.  The agent renews the lease; measurements
and the trial's end go from here to the server, under the same lease.
"""

import json
import os
import queue
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from trimtab._address import find
from trimtab._child_guard import guard
from trimtab._child_program import load
from trimtab._retry import Retry
from trimtab._transport import Transport
from trimtab.errors import Infeasible, LeaseLost, Released
from trimtab.lease import Lease
from trimtab.models import Asked, Told
from trimtab.trial import Trial


class Channel:
    """The lines to and from the agent.  A thread reads, so that requests reach a running trial."""

    def __init__(self, orders: int, replies: int) -> None:
        self._orders = orders
        self._replies = os.fdopen(replies, "w", encoding="utf-8")
        self._runs: queue.SimpleQueue[Mapping[str, Any] | None] = queue.SimpleQueue()
        self._tails: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self.trial: Trial | None = None
        threading.Thread(target=self._read, name="orders", daemon=True).start()

    def runs(self) -> Iterator[Mapping[str, Any]]:
        """The trials to run, until the agent closes its end."""
        while (order := self._runs.get()) is not None:
            yield order

    def say(self, event: str, **body: Any) -> None:
        """Send a line to the agent."""
        self._replies.write(json.dumps({"event": event, **body}) + "\n")
        self._replies.flush()

    def log_tail(self) -> str | None:
        """Announce the end of the trial; the end of what was printed comes back."""
        sys.stdout.flush()
        sys.stderr.flush()
        self.say("ending")
        return self._tails.get()

    def _read(self) -> None:
        with os.fdopen(self._orders, encoding="utf-8") as lines:
            for line in lines:
                self._hear(json.loads(line))
        self._runs.put(None)
        self._tails.put(None)

    def _hear(self, message: Mapping[str, Any]) -> None:
        if message.get("do") == "run":
            self._runs.put(message)
        elif "log_tail" in message:
            self._tails.put(message["log_tail"])
        elif "request" in message and self.trial is not None:
            self.trial.request(message["request"]["kind"], message["request"].get("reason"))


class LoggedLease(Lease):
    """A lease whose last words carry the end of the log, and are announced to the agent."""

    def __init__(self, transport: Transport, asked: Asked, lease_id: str, channel: Channel) -> None:
        super().__init__(transport, asked, lease_id)
        self._channel = channel

    def tell(
        self,
        outcome: Mapping[str, Any],
        retry: Retry | None = None,
        measurements: Sequence[Mapping[str, Any]] = (),
    ) -> Told:
        return super().tell({**outcome, "log_tail": self._channel.log_tail()}, retry, measurements)

    def release(
        self,
        reason: str = "released",
        *,
        exit: str | None = None,  # noqa: A002 - the field's name on the wire
        log_tail: str | None = None,
        retry: Retry | None = None,
    ) -> None:
        tail = log_tail or self._channel.log_tail()
        super().release(reason, exit=exit, log_tail=tail, retry=retry)


def run(order: Mapping[str, Any], transport: Transport, channel: Channel) -> bool:
    """Run one trial to its end; returns whether this process is fit for another one."""
    lease = LoggedLease(transport, Asked.model_validate(order["asked"]), order["lease_id"], channel)
    trial = Trial(transport, lease, heartbeat=False)
    channel.trial = trial
    try:
        with trial:
            _call(trial, order["target"])
    except (Infeasible, Released, LeaseLost):
        return True
    except Exception:  # it is told already; what it left behind is not to be trusted
        return False
    finally:
        channel.trial = None
    return True


def _call(trial: Trial, target: Mapping[str, Any]) -> None:
    try:
        load(target)(trial)
    except SystemExit as end:
        # A program that was a script before; its other exits are failures.
        if end.code not in {0, None}:
            raise RuntimeError(f"the program left with sys.exit({end.code!r})") from end
    except (Infeasible, LeaseLost):
        raise
    except Exception:
        traceback.print_exc()  # into the log, where what was printed before it stands
        raise


def main() -> None:
    """Serve the agent until it has no more trials."""
    orders, replies, lifeline = (int(number) for number in sys.argv[1:4])
    guard(lifeline, orders, replies)
    for descriptor in (orders, replies):  # the processes that a program starts get neither
        os.set_inheritable(descriptor, False)
    transport = Transport(find())
    channel = Channel(orders, replies)
    channel.say("ready")
    for order in channel.runs():
        channel.say("ended", healthy=run(order, transport, channel))


if __name__ == "__main__":
    main()
