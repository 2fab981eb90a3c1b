"""What a report is answered with."""

from dataclasses import dataclass
from typing import Literal, NoReturn


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether to go on.  `if trial.report(...).stop: break`

    `kind` is "continue", "stop" (the scheduler, or a person, ended the trial) or "release" (the
    trial is to be given back, for somebody to go on with it later); `until` is the next step at
    which the scheduler decides, None when there is none; `reason` says why.
    """

    kind: Literal["continue", "stop", "release"] = "continue"
    until: int | None = None
    reason: str | None = None

    @property
    def stop(self) -> bool:
        """Whether the training loop should be left now."""
        return self.kind != "continue"

    def __bool__(self) -> NoReturn:
        # `if trial.report(...)` could be meant either way, and would be true for both.
        raise TypeError("a Decision is neither true nor false: ask decision.stop")
