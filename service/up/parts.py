"""What the supervisor knows of the things that it keeps running."""

from typing import Protocol


class Part(Protocol):
    """One thing to keep running: the database server, or a process of ours."""

    @property
    def name(self) -> str:
        """What it is called in messages."""

    @property
    def log(self) -> str:
        """Where to read what it said."""

    def start(self) -> None:
        """Start it, or find it running; raises when it cannot be."""

    def alive(self) -> bool:
        """Whether it runs now; a part that was never started does not."""

    def ending(self) -> str:
        """How it ended, when it does not run."""

    def stop(self, seconds: float) -> None:
        """End it and all that it started; kindly at first, surely after `seconds`."""
