"""The arms that can be compared: how each is started, and which version of it that is.

An arm is written `name` or `name:settings`.  The rivals and `random` take none; `trimtab` (the real
service and SDK) and `trimtab-core` (the searcher alone, in process) take a searcher's kind or its
settings as JSON, `auto` by default:

  trimtab-core:sobol     trimtab-core:{"kind": "auto", "initial": 5}
"""

import hashlib
import json
import os
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from bench.parts.machine import ROOT

HERE = Path(__file__).resolve().parent
VENVS = ROOT / "bench" / ".cache" / "venvs"
REGISTRY = ROOT / "bench" / ".cache" / "optunahub" / "package"
OURS = ("trimtab", "trimtab-core")
AUTO = '{"kind": "auto"}'


@dataclass(frozen=True)
class Rival:
    """A rival: the environment it lives in, the packages that are its version, its driver.

    `revision` goes up when a change of the driver changes what the rival does.
    """

    environment: str
    packages: tuple[str, ...]
    driver: tuple[str, ...]
    costly: bool = False
    objectives: int = 1  # how many it can take
    stops: bool = False  # whether it can end trials early
    conditions: str = "its own"
    revision: int = 1


RIVALS = {
    "optuna-tpe": Rival(
        "optuna", ("optuna",), ("optuna_driver.py", "tpe"), objectives=8, stops=True
    ),
    "optuna-auto": Rival(
        "optuna", ("optuna", "optunahub"), ("optuna_driver.py", "auto"), objectives=8, stops=True
    ),
    "optuna-gp": Rival("optuna", ("optuna",), ("optuna_driver.py", "gp"), objectives=8, stops=True),
    "smac": Rival("smac", ("smac", "ConfigSpace"), ("smac_driver.py",), costly=True),
    "hebo": Rival("hebo", ("HEBO",), ("hebo_driver.py",), costly=True, conditions="flattened"),
    "ax": Rival(
        "ax", ("ax-platform", "botorch"), ("ax_driver.py",), costly=True, conditions="flattened"
    ),
    "vizier": Rival(
        "vizier",
        ("google-vizier",),
        ("vizier_driver.py",),
        costly=True,
        conditions="flattened",
        revision=2,
    ),
}


@dataclass(frozen=True)
class Arm:
    """One solver with its settings, as it takes part."""

    name: str  # as it was written
    version: str
    command: tuple[str, ...]
    environment: tuple[tuple[str, str], ...] = ()
    rival: Rival | None = None

    @property
    def ours(self) -> bool:
        """Whether it is a searcher of ours."""
        return self.name.split(":", 1)[0] in OURS

    @property
    def remote(self) -> bool:
        """Whether it needs the service to run."""
        return self.name.split(":", 1)[0] == "trimtab"

    def takes(self, objectives: int) -> bool:
        """Whether it can take a task with so many objectives."""
        return self.rival is None or objectives <= self.rival.objectives


def arm(text: str) -> Arm:
    """The arm that a text names; raises ValueError."""
    name, _, settings = text.partition(":")
    if name in OURS:
        return _ours(text, name, settings)
    if settings:
        raise ValueError(f"{name!r} takes no settings, got {settings!r}")
    if name == "random":
        return Arm(name, "1", (sys.executable, "random_driver.py"))
    if name not in RIVALS:
        known = ", ".join(("random", *RIVALS, *OURS))
        raise ValueError(f"no solver is called {name!r}; there are {known}")
    return _rival(name, RIVALS[name])


def venv_python(environment: str) -> Path:
    """The Python of a rival's virtual environment, whether it is there or not."""
    return VENVS / environment / "bin" / "python"


def pins(environment: str) -> dict[str, str]:
    """Package (in lower case) to version, from the requirements of an environment."""
    lines = (HERE / "requirements" / f"{environment}.txt").read_text().splitlines()
    found = [re.fullmatch(r"([\w.-]+)==(\S+)", line.strip()) for line in lines]
    return {match[1].lower(): match[2] for match in found if match}


def _rival(name: str, rival: Rival) -> Arm:
    pinned = pins(rival.environment)
    parts = [f"{package} {pinned[package.lower()]}" for package in rival.packages]
    version = ", ".join(parts) + (f", driver {rival.revision}" if rival.revision > 1 else "")
    registry = (("OPTUNAHUB_REGISTRY", str(REGISTRY)),) if REGISTRY.exists() else ()
    command = (str(venv_python(rival.environment)), *rival.driver)
    return Arm(name, version, command, registry, rival)


def _ours(text: str, name: str, settings: str) -> Arm:
    chosen = _settings(settings)
    driver = "service_driver.py" if name == "trimtab" else "core_driver.py"
    parts = ("search", "service", "sdk/src") if name == "trimtab" else ("search",)
    environment = (("PYTHONPATH", os.pathsep.join([str(ROOT), *_extra_path()])),)
    return Arm(text, fingerprint(parts), (sys.executable, driver, json.dumps(chosen)), environment)


def _extra_path() -> Iterable[str]:
    return [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]


def _settings(text: str) -> dict[str, Any]:
    if not text.startswith("{"):
        return {"kind": text} if text else json.loads(AUTO)
    found = json.loads(text)
    assert isinstance(found, dict)
    return found


@cache
def fingerprint(folders: tuple[str, ...]) -> str:
    """A hash of the Python sources in these folders: the version of what is being developed."""
    found = hashlib.sha256()
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            found.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes())
    return found.hexdigest()[:12]
