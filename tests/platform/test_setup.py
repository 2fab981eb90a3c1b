"""What `make setup` installs: pinned, complete, and from nowhere in particular."""

import os
import re
import subprocess
import tomllib
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LINES = [
    line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")
]
PINS = {canonicalize_name(name): version for name, version in (line.split("==") for line in LINES)}
OURS = {"trimtab", "trimtab-server"}


def requirements():
    """What our two distributions ask for, extras included."""
    for file in ("pyproject.toml", "sdk/pyproject.toml"):
        project = tomllib.loads((ROOT / file).read_text())["project"]
        extras = project.get("optional-dependencies", {}).values()
        for line in [*project["dependencies"], *(line for extra in extras for line in extra)]:
            requirement = Requirement(line)
            if requirement.name not in OURS:
                yield pytest.param(requirement, id=requirement.name)


@pytest.mark.parametrize("requirement", list(requirements()))
def test_each_requirement_is_pinned_to_a_version_that_it_allows(requirement):
    assert requirement.specifier.contains(PINS[canonicalize_name(requirement.name)])


def test_what_they_require_in_turn_is_pinned_too():
    wanted, seen = ["trimtab", "trimtab-server"], set()
    while wanted:
        name = canonicalize_name(wanted.pop())
        if name in seen:
            continue
        seen.add(name)
        for line in distribution(name).requires or []:
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                wanted.append(requirement.name)
    assert seen - OURS <= set(PINS)


def test_no_pin_is_of_one_machine_only():
    assert [line for line in LINES if "+" in line or "@" in line or line.startswith("-")] == []


def test_the_tests_run_with_the_pinned_versions():
    # Local versions, such as torch's +cpu, are builds of the pinned version.
    differ = {
        name: (found, PINS[name])
        for name in ("torch", "ray", "pydantic", "sqlalchemy", "psycopg", "botorch")
        if (found := distribution(name).version.split("+")[0]) != PINS[name]
    }
    assert differ == {}


def test_continuous_integration_runs_make_test():
    script = ROOT / ".ci/run"
    assert os.access(script, os.X_OK)
    assert "exec make test" in script.read_text()


def test_make_says_what_there_is_to_make():
    said = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    told = set(re.findall(r"^  make ([a-z-]+) ", said, flags=re.MULTILINE))
    benchmarks = {"bench-service", "bench-digits", "bench-search"}
    assert told == {"setup", "demo", "test", "lint", "clean", "help"} | benchmarks


def test_a_change_of_the_requirements_and_nothing_else_installs_again(tmp_path):
    for name in ("Makefile", "pyproject.toml", "constraints.txt", "sdk/pyproject.toml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    ready = tmp_path / ".venv/.ready"
    ready.parent.mkdir()
    ready.touch()

    def would_do():
        command = ["make", "-n", "setup"]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True).stdout

    assert "pip install" not in would_do()
    os.utime(tmp_path / "constraints.txt", (ready.stat().st_mtime + 10,) * 2)
    assert "pip install" in would_do()
