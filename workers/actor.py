"""The shell that Ray runs: an agent in a thread, and three calls from the controller."""

import logging
import os
import threading

from trimtab._address import Address
from trimtab._transport import Transport

from workers.agent import Agent, Status
from workers.environment import forget_secrets
from workers.settings import AgentOrder


class AgentActor:
    """One agent in a Ray worker process; the resources are held by the actor that this becomes.

    User code never runs in this process: Ray's own search path holds folders that are none of ours.
    """

    def __init__(self, order: AgentOrder) -> None:
        logging.basicConfig(level=logging.INFO)
        logging.getLogger("httpx").setLevel(logging.WARNING)
        forget_secrets(os.environ)
        self._transport = Transport(Address(order.url, order.key))
        self._agent = Agent(order, self._transport)
        threading.Thread(target=self._work, name="agent", daemon=True).start()

    def status(self) -> Status:
        """How the agent is; this is also what keeps it alive."""
        return self._agent.status()

    def retire(self) -> None:
        """Go after the trial at hand."""
        self._agent.retire()

    def stop(self, reason: str, within: float) -> bool:
        """Go now, giving the trial back; returns whether that was done in time."""
        return self._agent.stop(reason, within=within)

    def _work(self) -> None:
        self._agent.run()
        self._transport.close()
        if self._agent.orphaned:  # nobody is left to end this process
            os._exit(1)
