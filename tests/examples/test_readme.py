"""Every block of code in the README is run, most of them in the same running Trimtab."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from trimtab import Client

from service.up.clock import wait_until
from service.up.ports import listen
from tests.platform.running import processes_in

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, flags=re.DOTALL)
VENV = ".venv/bin/"


def block(beginning):
    """The block that begins so."""
    found = [text for _, text in BLOCKS if text.startswith(beginning)]
    assert len(found) == 1, beginning
    return found[0]


@pytest.fixture
def shell(environment):
    """Run lines of the README in the repository, with the virtual environment of this test."""

    def go(text):
        done = subprocess.run(
            ["bash", "-euc", text.replace(VENV, "")],
            env=environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return go


def test_every_block_is_run_by_a_test_here_or_is_the_demo():
    tested = Path(__file__).read_text()
    for _, text in BLOCKS:
        assert f'block("{text.split()[0]} ' in tested or f'block("{text.splitlines()[0]}' in tested


def test_make_demo_is_a_target():
    # tests/examples/test_demo.py runs it to its end.
    assert block("make demo") == "make demo\n"
    said = subprocess.run(
        ["make", "-n", "-o", ".venv/.ready", "demo"], cwd=ROOT, capture_output=True, check=True
    )
    assert b"-m workers.demo" in said.stdout
    assert b"--trials 40" in said.stdout


def test_make_test_runs_the_checks_and_what_you_are_looking_at():
    assert block("make test") == "make test\n"
    said = subprocess.run(
        ["make", "-n", "-o", ".venv/.ready", "test"], cwd=ROOT, capture_output=True, check=True
    )
    for check in (b"ruff check", b"ruff format --check", b"mypy", b"lint-imports", b"-m pytest"):
        assert check in said.stdout


def test_a_second_up_says_where_the_first_is(shell, trimtab):
    text = block(".venv/bin/trimtab up")
    assert trimtab.url in shell(f"TRIMTAB_HOME={trimtab.home} {text}")


def test_the_python_example_and_the_commands_after_it(shell, environment, trimtab):
    python = block("import trimtab as tt")
    done = subprocess.run(
        [sys.executable, "-c", python],
        env={k: v for k, v in environment.items() if k not in {"TRIMTAB_URL", "TRIMTAB_API_KEY"}}
        | {"TRIMTAB_HOME": str(trimtab.home)},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    assert "'lr'" in done.stdout
    said = shell(block(".venv/bin/trimtab studies"))
    assert "first" in said
    assert "completed" in said
    assert "Usage: trimtab" in said


def test_the_curl_example(shell, trimtab):
    assert '"by-curl"' in shell(block("curl -X POST"))
    with Client(trimtab.url, trimtab.key) as client:
        assert client.study("by-curl").info.objectives[0].metric == "loss"


@pytest.fixture
def begin(environment, tmp_path):
    """Start a process that is to stay up; it is ended after the test."""
    begun = []

    def go(line, **more):
        command = line.replace(VENV, "").split()
        with (tmp_path / f"{command[1]}.log").open("wb") as log:
            process = subprocess.Popen(
                [shutil.which(command[0], path=environment["PATH"]), *command[1:]],
                env={**environment, "TRIMTAB_HOME": str(tmp_path), **more},
                cwd=tmp_path,
                stdout=log,
                stderr=subprocess.STDOUT,
                process_group=0,
            )
        begun.append((process, Path(log.name)))
        return process

    yield go
    for process, _ in begun:
        process.send_signal(signal.SIGTERM)
    for process, log in begun:
        assert process.wait(30) is not None, log.read_text()
        assert "Traceback" not in log.read_text()
    assert wait_until(lambda: not processes_in(tmp_path), 30)


def test_the_parts_of_a_cluster_start_by_hand(shell, begin, postgres, trimtab):
    export, migrate, serve, suggest, fleet = block("export TRIMTAB_DATABASE_URL").splitlines()
    database = postgres.create()
    assert "TRIMTAB_DATABASE_URL=postgresql://" in export
    told = {"TRIMTAB_DATABASE_URL": database, "TRIMTAB_BOOTSTRAP_KEY": trimtab.key}
    words = " ".join(f"{name}='{value}'" for name, value in told.items())
    assert "up to date" in shell(f"{words} {migrate}")
    with listen([0], host="0.0.0.0") as free:
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    api = begin(f"{serve} --port {port}", **told)
    assert wait_until(lambda: ready(url) or api.poll() is not None, 60)
    suggester = begin(suggest, **told)
    # There is no Ray cluster here to join: the fleet's own stands for it.
    agentless = begin(fleet.replace("http://api:8787", url).replace("auto", "local"))
    with Client(url, trimtab.key) as client:
        program = block("import trimtab as tt").replace("tt.Client()", "client")
        exec(program, {"client": client})
        assert client.study("first").state == "completed"
    for process in (api, suggester, agentless):
        assert process.poll() is None


def ready(url):
    """Whether the API there serves."""
    try:
        return httpx.get(f"{url}/readyz", timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


def test_every_link_leads_somewhere():
    for text in (README, *(path.read_text() for path in ROOT.glob("*.md"))):
        for link in re.findall(r"\]\(([^)#]+)\)", text):
            assert link.startswith("https://") or (ROOT / link).exists(), link


def test_no_documentation_names_a_command_that_does_not_exist(shell):
    known = set(re.findall(r"^│ (\w+) ", shell("COLUMNS=120 trimtab --help"), flags=re.MULTILINE))
    texts = [README, *(path.read_text() for path in (ROOT / "docs").glob("*.md"))]
    named = {w for text in texts for w in re.findall(r"(?:`|bin/)trimtab (\w+)", text)}
    assert named
    assert named <= known, os.linesep.join(sorted(named - known))
