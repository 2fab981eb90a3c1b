"""A child never outlives the agent that started it, nor do the processes it made.

The process splits in two before anything else happens.  The parent stays tiny and single-threaded:
it waits for the end of the worker or of the agent, whichever comes first, and no extension module
that holds the interpreter's lock can keep it from acting.  The worker goes on and runs trials.
"""

import contextlib
import ctypes
import os
import select
import signal
import sys
from typing import NoReturn

_PR_SET_PDEATHSIG = 1


def guard(lifeline: int, *others: int) -> None:
    """Return in the worker only.  The parent watches `lifeline`, the read end of a pipe.

    The agent holds the pipe's other end and never writes: end-of-file means that the agent is
    dead, and the whole process group is killed.  `others` are descriptors that only the worker
    needs.
    """
    _accept_signals()
    guardian = os.getpid()
    waker, wakes = os.pipe()
    _wake_on_child_exit(wakes)
    worker = os.fork()
    if worker == 0:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for descriptor in (lifeline, waker, wakes):
            os.close(descriptor)
        _die_with(guardian)
        return
    for descriptor in others:
        os.close(descriptor)
    _watch(worker, lifeline, waker)


def _accept_signals() -> None:
    """Ray blocks SIGINT in its workers, and a mask is inherited."""
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _wake_on_child_exit(wakes: int) -> None:
    os.set_blocking(wakes, False)
    signal.set_wakeup_fd(wakes)
    signal.signal(signal.SIGCHLD, lambda *_: None)


def _die_with(guardian: int) -> None:
    """Ask the kernel (Linux) for SIGKILL when the guardian is gone."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != guardian:  # it died before we asked
        os.kill(os.getpid(), signal.SIGKILL)


def _watch(worker: int, lifeline: int, waker: int) -> NoReturn:
    # The worker decides what a polite signal to the group means; we last until it is gone.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    while True:
        readable, _, _ = select.select([lifeline, waker], [], [])
        if lifeline in readable:
            _kill_group(worker)
        ended, status = os.waitpid(worker, os.WNOHANG)
        if ended:
            _end_alike(status)
        os.read(waker, 64)


def _kill_group(worker: int) -> NoReturn:
    if os.getpgid(0) == os.getpid():
        os.killpg(0, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
        os.kill(worker, signal.SIGKILL)
    os._exit(1)


def _end_alike(status: int) -> NoReturn:
    """End as the worker did, so that the agent reads its exit from ours."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        _no_core_dump()
        with contextlib.suppress(OSError, ValueError):  # SIGKILL has no disposition to reset
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


def _no_core_dump() -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
