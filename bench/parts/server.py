"""The real service as processes: `trimtab migrate`, then `trimtab serve` and `trimtab suggest`."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from bench.parts.machine import ROOT

TRIMTAB = (sys.executable, "-P", "-m", "trimtab")
READY_SECONDS = 60.0
STOP_SECONDS = 15.0


@dataclass(frozen=True)
class Service:
    """A running service: its address, an admin key, and the processes behind it."""

    url: str
    key: str
    serve_pid: int
    suggest_pid: int


@contextmanager
def service(database_url: str, *, pool: int = 10) -> Iterator[Service]:
    """Migrate the database and run one API process and one suggester (nice 10) on it."""
    key = _new_key()
    port = _free_port()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="trimtab-bench-")))
        environment = {
            **os.environ,
            "TRIMTAB_DATABASE_URL": database_url,
            "TRIMTAB_BOOTSTRAP_KEY": key,
            "TRIMTAB_KEY_PEPPER": "bench",
            "TRIMTAB_HOME": str(folder),
            "TRIMTAB_STORAGE": str(folder / "checkpoints"),
            "TRIMTAB_PORT": str(port),
            "TRIMTAB_HOT_POOL": str(pool),
            "TRIMTAB_LOG_LEVEL": "WARNING",
            "OMP_NUM_THREADS": "1",
        }
        subprocess.run([*TRIMTAB, "migrate"], env=environment, cwd=ROOT, check=True, stdout=2)
        log = stack.enter_context((folder / "log.txt").open("w"))
        serve = stack.enter_context(_process(["serve"], environment, log.fileno()))
        suggest = stack.enter_context(_process(["suggest"], environment, log.fileno(), nice=10))
        url = f"http://127.0.0.1:{port}"
        try:
            _wait_ready(url, serve)
            yield Service(url=url, key=key, serve_pid=serve.pid, suggest_pid=suggest.pid)
            _still_running(serve, suggest)
        except BaseException:
            sys.stderr.write((folder / "log.txt").read_text()[-4000:])
            raise


def cpu_seconds(pid: int) -> float:
    """CPU time that a process and its children have used."""
    import psutil

    process = psutil.Process(pid)
    spent = [p.cpu_times() for p in (process, *process.children(recursive=True))]
    return float(sum(times.user + times.system for times in spent))


@contextmanager
def _process(
    command: list[str], environment: Mapping[str, str], log: int, nice: int = 0
) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        ["nice", "-n", str(nice), *TRIMTAB, *command],
        env=environment,
        cwd=ROOT,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End a process as a supervisor would, and its group if that does not help."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _wait_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        _still_running(process)
        try:
            if httpx.get(f"{url}/readyz", timeout=2).is_success:
                return
        except httpx.TransportError:
            pass  # not listening yet
        time.sleep(0.1)
    raise TimeoutError(f"the API was not ready after {READY_SECONDS} s")


def _still_running(*processes: subprocess.Popen[bytes]) -> None:
    for process in processes:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args!r} ended with status {process.returncode}")


def _new_key() -> str:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "service.auth"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
