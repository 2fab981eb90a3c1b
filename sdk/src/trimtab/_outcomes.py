"""How a trial ends, and what is told of it."""

import logging
import traceback
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from trimtab._numbers import write_numbers
from trimtab._reporter import OUTAGES
from trimtab._retry import Retry
from trimtab.errors import Infeasible, InvalidRequest, LeaseLost, Released

if TYPE_CHECKING:
    from trimtab.trial import Trial

log = logging.getLogger("trimtab")
LONGEST_MESSAGE = 8_000  # characters of a traceback's end
LONGEST_REASON = 1_000
FAILURE_PATIENCE = Retry(patience=60.0)


def completed(
    values: Mapping[str, float],
    errors: Mapping[str, float] | None = None,
    gradients: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """The trial ran to its end; standard errors and derivatives travel where there are any."""
    outcome = {"kind": "completed", "values": write_numbers(values)}
    more = {"errors": errors, "gradients": gradients}
    return outcome | {name: dict(given) for name, given in more.items() if given}


def stopped(reason: str | None) -> dict[str, Any]:
    """The trial ended early."""
    return {"kind": "stopped"} | ({"reason": reason[:LONGEST_REASON]} if reason else {})


def infeasible(reason: str) -> dict[str, Any]:
    """The config is bad."""
    short = storable(reason)[:LONGEST_REASON].strip() or "infeasible"
    return {"kind": "infeasible", "reason": short}


def failed(message: str, reason: str = "user_error") -> dict[str, Any]:
    """The program gave up."""
    return {"kind": "failed", "reason": reason, "message": storable(message)[-LONGEST_MESSAGE:]}


def failure_of(error: BaseException) -> dict[str, Any]:
    """The failure that an exception of the training code is."""
    text = "".join(traceback.format_exception(error))
    return failed(text, "oom" if _out_of_memory(error) else "user_error")


def storable(text: str) -> str:
    """The text without what JSON or a database cannot hold."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")


def conclude(trial: "Trial", error: BaseException | None) -> bool:
    """End the trial as its body ended.  True when the exception needs to go no further.

    Nothing: completed, or stopped after a decision to stop, or given back after one to release.
    Infeasible: infeasible.  LeaseLost: nothing, it is another's.  Released, KeyboardInterrupt and
    other exceptions that are no Exception: given back.  Any other: failed, with the traceback.
    """
    if not trial.open:
        return isinstance(error, Infeasible | LeaseLost | Released)
    try:
        return _conclude(trial, error)
    except LeaseLost as lost:
        log.warning("trial %d: %s", trial.number, lost)
        trial.let_go()
        return error is None or isinstance(error, Infeasible | LeaseLost | Released)


def _conclude(trial: "Trial", error: BaseException | None) -> bool:
    if error is None:
        _left(trial)
    elif isinstance(error, Infeasible):
        trial.infeasible(error.reason)
        return True
    elif isinstance(error, LeaseLost):
        raise error
    elif isinstance(error, Exception):
        _fail(trial, error)
    else:
        left = isinstance(error, GeneratorExit)
        trial.release("the loop was left" if left else f"interrupted by {type(error).__name__}")
        return isinstance(error, Released)
    return False


def _fail(trial: "Trial", error: Exception) -> None:
    try:
        trial.end(failure_of(error), FAILURE_PATIENCE)
    except OUTAGES as outage:
        # The program should end with its own error; the lease runs out, and the trial is queued.
        log.warning("trial %d: its failure could not be told: %s", trial.number, outage)


def _left(trial: "Trial") -> None:
    decision = trial.decision
    if decision.kind == "release":
        trial.release(decision.reason or "released")
    elif decision.kind == "stop":
        trial.stopped(decision.reason)
    else:
        _complete(trial)


def _complete(trial: "Trial") -> None:
    try:
        trial.complete()
    except InvalidRequest as error:
        # The study's metric was never reported: no other attempt would, so the trial has failed.
        trial.fail(str(error))
        raise


def _out_of_memory(error: BaseException) -> bool:
    return isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
