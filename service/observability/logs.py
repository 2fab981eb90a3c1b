"""Structured logs: one line a request, JSON or for a person's eyes.

Nothing secret enters an event: no key, no lease id, no database URL, no parameter value.  Callers
log names and numbers they chose; exceptions are logged by type and place, without their message,
which may quote any of these.
"""

import logging
import sys
import traceback
from types import TracebackType

import structlog
from structlog.typing import Processor

log: structlog.stdlib.BoundLogger = structlog.get_logger("trimtab")


def configure(*, level: str = "INFO", as_json: bool = False) -> None:
    """Set up logging for this process; called by entry points, once."""
    # Colours are for a terminal: in a file they are noise.
    renderer: Processor = (
        structlog.processors.JSONRenderer()
        if as_json
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping().get(level.upper(), logging.INFO)
        ),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )


def where(error: BaseException) -> str:
    """The type of an exception and the places it came through, without its message."""
    return f"{type(error).__qualname__} at {' < '.join(_places(error.__traceback__))}"


def _places(trace: TracebackType | None) -> list[str]:
    frames = traceback.extract_tb(trace)[-6:]
    return [f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno}" for frame in reversed(frames)]
