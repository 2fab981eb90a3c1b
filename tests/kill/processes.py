"""Finding the processes of one Trimtab, precisely, and killing them for good."""

import ctypes
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil

from tests.kill.waiting import await_found

_PR_SET_PDEATHSIG = 1
# Looked up before any fork; elsewhere than on Linux there is no such thing.
_PRCTL = ctypes.CDLL(None).prctl if sys.platform == "linux" else None


def ending_with_us(number: int) -> Callable[[], None]:
    """For preexec_fn: the process gets this signal when the tests die without cleaning up."""

    def ask() -> None:
        if _PRCTL is not None:
            _PRCTL(_PR_SET_PDEATHSIG, number)

    return ask


def alive(process: psutil.Process) -> bool:
    """Whether it runs; a zombie does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def kill(*processes: psutil.Process) -> None:
    """SIGKILL, and wait until they are gone."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGKILL)
    for process in processes:
        await_found(lambda p=process: not alive(p), seconds=10, what=f"the end of {process}")


def command(process: psutil.Process) -> list[str]:
    """Its command line; empty when it has just ended."""
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def offspring(process: psutil.Process) -> list[psutil.Process]:
    """All that descends from it and runs."""
    try:
        return [child for child in process.children(recursive=True) if alive(child)]
    except psutil.NoSuchProcess:
        return []


def agents(fleet: psutil.Process) -> list[psutil.Process]:
    """The Ray workers of a fleet that have become agents."""
    return [p for p in offspring(fleet) if command(p)[:1] and "AgentActor" in command(p)[0]]


def started_in(folder: Path) -> list[psutil.Process]:
    """Everything that works in this folder or was told of it by command line or environment."""
    ours = psutil.Process().pid
    return [p for p in psutil.process_iter() if p.pid != ours and _names(p, str(folder))]


def _names(process: psutil.Process, folder: str) -> bool:
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        return any(folder in word for word in _words(process))
    except psutil.Error:
        return False


def _words(process: psutil.Process) -> Iterator[str]:
    yield from process.cmdline()
    yield process.cwd()
    yield from process.environ().values()
