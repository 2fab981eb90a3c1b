"""Making the virtual environments of the rivals, from PyPI, with the versions pinned in git."""

import subprocess
import sys
from collections.abc import Iterable

from rich.console import Console

from bench.search.solvers import HERE, RIVALS, VENVS, venv_python

TAIL = 15
READY = ".requirements"


class InstallFailed(Exception):
    """pip could not install a rival; the message ends with what it said."""


def ready(environment: str) -> bool:
    """Whether the environment is there, with the requirements as they stand."""
    marker = VENVS / environment / READY
    wanted = HERE / "requirements" / f"{environment}.txt"
    return marker.exists() and marker.read_text() == wanted.read_text()


def install(solvers: Iterable[str], console: Console) -> dict[str, str]:
    """Install what these solvers need; returns solver to reason for those that it failed for."""
    failed: dict[str, str] = {}
    names = [name for name in solvers if name in RIVALS]
    for environment in dict.fromkeys(RIVALS[name].environment for name in names):
        if ready(environment):
            continue
        console.print(f"Installing {environment} into bench/.cache/venvs, as pinned.")
        try:
            _install(environment)
        except InstallFailed as error:
            console.print(f"[red]{error}")
            mine = [name for name in names if RIVALS[name].environment == environment]
            failed |= dict.fromkeys(mine, str(error))
    return failed


def _install(environment: str) -> None:
    requirements = HERE / "requirements" / f"{environment}.txt"
    python = venv_python(environment)
    if not python.exists():
        _run([sys.executable, "-m", "venv", str(VENVS / environment)])
    pip = [str(python), "-m", "pip", "install", "--no-input", "--disable-pip-version-check"]
    # The pins are a whole environment that ran; some rivals' metadata would refuse parts of it.
    _run([*pip, "--no-deps", "--progress-bar", "off", "-r", str(requirements)])
    (VENVS / environment / READY).write_text(requirements.read_text())


def _run(command: list[str]) -> None:
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode:
        last = "\n".join(done.stdout.splitlines()[-TAIL:])
        raise InstallFailed(f"{' '.join(command[:6])} … failed:\n{last}")
