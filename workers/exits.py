"""What it means when a child process is gone: whose fault it was, and in which words."""

import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

# The program failed, ran out of memory, or was ended by somebody else.
Cause: TypeAlias = Literal["user_error", "oom", "outside"]

# Signals that a program brings upon itself.  All others come from outside.
OWN_FAULTS = frozenset(
    {signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGSYS}
)
# A child killed without a trace is taken for an accident, but not for ever: where the kernel's
# counters cannot be read, a config that needs too much memory looks just like this.
KILLED_TOO_OFTEN = 5


@dataclass(frozen=True, slots=True)
class Exit:
    """How a process ended: `text` for people, `cause` for what is done with its trial."""

    text: str
    cause: Cause


def explain(returncode: int, *, out_of_memory: bool, attempt: int) -> Exit:
    """Read the return code of a child that nobody asked to end (negative: a signal).

    `out_of_memory`: the kernel ended some process of this machine for memory meanwhile.
    """
    if returncode >= 0:
        return Exit(f"exit code {returncode}", "user_error")
    text = f"killed by {_signal_name(-returncode)}"
    if -returncode in OWN_FAULTS:
        return Exit(text, "user_error")
    if returncode != -signal.SIGKILL:
        return Exit(text, "outside")
    if out_of_memory:
        return Exit(f"{text}: the machine ran out of memory", "oom")
    if attempt >= KILLED_TOO_OFTEN:
        return Exit(f"{text} in attempt {attempt}: most often that is memory", "oom")
    return Exit(text, "outside")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def memory_kills(root: Path = Path("/")) -> int:
    """How many processes the kernel has ended for memory so far, here; 0 where it does not say.

    The counter of our control group (version 2) and that of the machine; either one growing is
    evidence.
    """
    return _counted(root / "proc/vmstat") + _counted(_own_events(root))


def _own_events(root: Path) -> Path:
    try:
        line = (root / "proc/self/cgroup").read_text().strip().splitlines()[-1]
    except (OSError, IndexError):
        line = "0::/"
    group = line.rsplit(":", 1)[-1].lstrip("/")
    return root / "sys/fs/cgroup" / group / "memory.events"


def _counted(file: Path) -> int:
    try:
        lines = file.read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))
