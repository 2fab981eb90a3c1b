import json
import subprocess
import sys
from importlib.metadata import EntryPoint

import httpx
import pytest
from trimtab.cli import group
from trimtab.cli.app import app
from typer.testing import CliRunner

COMMANDS = ["studies", "trials", "best", "explain", "watch", "logs", "export", "prefer", "keys"]
SERVER_COMMANDS = ["up", "serve", "suggest", "fleet", "migrate"]


@pytest.fixture
def run(fake, monkeypatch):
    """Runs the command line on the fake server."""
    monkeypatch.setenv("TRIMTAB_URL", "http://127.0.0.1:8787")
    monkeypatch.setenv("TRIMTAB_API_KEY", "tt_key")
    return lambda *args: CliRunner().invoke(app, list(args), obj=fake.transport())


def answers(fake, path, *bodies):
    fake.script[path] = [httpx.Response(200, json=body) for body in bodies]


def test_help_lists_every_command_with_what_it_does(run):
    shown = run("--help").output
    for name in COMMANDS:
        assert f"│ {name} " in shown
    assert "trimtab best digits" in shown


@pytest.mark.parametrize("command", [[name] for name in COMMANDS] + [["keys", "create"]])
def test_the_help_of_each_command_teaches_by_example(run, command):
    shown = run(*command, "--help")
    assert shown.exit_code == 0
    if command != ["keys"]:
        assert f"trimtab {' '.join(command)} " in shown.output.replace("Usage: ", "")


def test_the_servers_commands_are_listed_without_being_imported():
    program = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "from trimtab.cli.app import app\n"
        "print(CliRunner().invoke(app, ['--help']).output)\n"
        "assert not {'service', 'workers', 'ray', 'torch', 'fastapi'} & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    for name in SERVER_COMMANDS:
        assert f"│ {name} " in done.stdout


def test_a_servers_command_shows_its_own_help(run):
    shown = run("fleet", "--help")
    assert shown.exit_code == 0
    assert "--ray-address" in shown.output


def test_without_the_server_its_commands_are_absent(run, monkeypatch):
    monkeypatch.setattr(group, "entry_points", lambda group: [])
    assert "migrate" not in run("--help").output
    refused = run("migrate")
    assert refused.exit_code == 2
    assert "No such command" in refused.output


def test_a_command_that_cannot_be_loaded_says_so(run, monkeypatch):
    point = EntryPoint("up", "no_such_module:up", "trimtab.commands")
    monkeypatch.setattr(group, "entry_points", lambda group: [point])
    refused = run("up")
    assert refused.exit_code == 1
    assert "the command up cannot be loaded" in refused.output


def test_errors_say_what_to_do_and_show_no_traceback(run, fake):
    fake.script["/version"] = [httpx.ConnectError("refused")] * 99
    refused = run("studies")
    assert refused.exit_code == 1
    assert refused.stderr == (
        "trimtab: no server at http://127.0.0.1:8787: start one with `trimtab up`\n"
    )


def test_a_study_that_is_not_there(run):
    refused = run("best", "nonesuch")
    assert (refused.exit_code, refused.stderr) == (1, "trimtab: the server says not_found\n")


def test_python_m_trimtab_is_the_command(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "trimtab", "studies"],
        env={"TRIMTAB_HOME": str(tmp_path), "PATH": ""},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("trimtab: no server at")
    assert "Traceback" not in done.stderr


def test_version(run):
    from trimtab import __version__

    assert run("--version").output == f"trimtab {__version__}\n"


def test_the_url_option_comes_before_the_environment(run, fake, wire):
    answers(fake, "/v1/studies", {"items": [], "next": None})
    assert run("--url", "http://127.0.0.1:9", "studies").output == "no studies\n"
    assert fake.requests[-1].url.port == 9


def test_studies(run, fake, wire):
    best = {"trial": "tr_1", "number": 1, "value": 0.123456789, "config": {"lr": 0.1}}
    page = {
        "items": [wire.study(trials={"completed": 2, "running": 1}, best=best, tags=["a"])],
        "next": None,
    }
    answers(fake, "/v1/studies", page, page)
    line = run("studies", "--state", "active").output.splitlines()[1]
    assert line.split() == ["digits", "active", "2", "of", "3", "1", "loss=0.12346", "a"]
    assert json.loads(run("studies", "--json").output)["name"] == "digits"


def test_trials(run, fake, wire):
    page = {"items": [wire.trial(n, values={"loss": "NaN"}) for n in range(5)], "next": None}
    answers(fake, "/st_1/trials", page, page)
    table = run("trials", "digits", "--state", "failed", "--limit", "2").output.splitlines()
    assert len(table) == 3
    assert table[1].split()[:3] == ["0", "completed", "nan"]
    assert fake.requests[-1].url.params["state"] == "failed"
    lines = run("trials", "digits", "--json").output.splitlines()
    assert [json.loads(line)["values"] for line in lines] == [{"loss": "NaN"}] * 5


def test_best(run, fake, wire):
    answers(fake, "/best", {"trial": wire.trial(4)}, {"trial": wire.trial(4)}, {"trial": None})
    shown = run("best", "digits").output
    assert [line.split() for line in shown.split("\n")[1:4]] == [
        ["trial", "4"],
        ["loss", "0.5"],
        ["lr", "0.1"],
    ]
    assert json.loads(run("best", "digits", "--json").output)["config"] == {"lr": 0.1}
    none = run("best", "digits")
    assert none.exit_code == 1
    assert "no completed trial yet" in none.stderr


def test_logs(run, fake, wire):
    answers(fake, "/st_1/trials", {"items": [wire.trial(7)], "next": None})
    failed = wire.trial(7, state="failed", reason="oom", message="MemoryError\n")
    answers(fake, "/trials/tr_7", failed)
    log = {"attempt": 1, "worker": "w", "exit": "signal 9", "end_reason": "lost"}
    answers(fake, "/log", {"items": [log | {"log_tail": "epoch 3\n"}]})
    assert run("logs", "digits", "7").output == (
        "== attempt 1 on w: lost, signal 9\nepoch 3\n== trial 7 is failed (oom)\nMemoryError\n"
    )


def test_export(run, fake, tmp_path):
    fake.script["/export"] = [httpx.Response(200, text="number,lr\n0,0.1\n") for _ in range(2)]
    assert run("export", "digits").output == "number,lr\n0,0.1\n"
    path = tmp_path / "t.jsonl"
    assert run("export", "digits", "-o", str(path), "-f", "jsonl").output == f"wrote {path}\n"
    assert fake.requests[-1].url.params["format"] == "jsonl"
    refused = run("export", "digits", "-f", "xml")
    assert refused.exit_code == 2


def test_watch_prints_a_line_for_each_trial_that_ends(run, fake, wire):
    answers(
        fake,
        "/changes",
        {"version": 1, "items": [wire.trial(0), wire.trial(1, state="running")], "state": "active"},
        {"version": 2, "items": [wire.trial(0), wire.trial(1, state="failed", reason="oom")]}
        | {"state": "completed"},
        {"version": 2, "items": [], "state": "completed"},
    )
    assert run("watch", "digits").output.splitlines() == [
        "trial 0  completed  loss=0.5  lr=0.1",
        "trial 1  failed (oom)  loss=0.5  lr=0.1",
    ]


def test_an_interrupt_ends_the_look_only(run, fake):
    def interrupt(request):
        raise KeyboardInterrupt

    fake.script["/changes"] = [interrupt]
    shown = run("watch", "digits")
    assert (shown.exit_code, shown.output) == (0, "digits goes on.\n")


def test_keys(run, fake):
    key = {"id": "abc", "name": "laptop", "scopes": ["run"], "created_at": "2026-01-01T00:00:00Z"}
    answers(
        fake,
        "/v1/keys",
        key | {"key": "tt_abc_secret"},
        {"items": [key | {"expires_at": "2026-04-01T00:00:00Z"}], "next": None},
    )
    fake.script["/v1/keys/abc"] = [httpx.Response(204)]
    made = run("keys", "create", "laptop", "--scope", "run")
    assert made.stdout == "tt_abc_secret\n"
    assert fake.bodies("/v1/keys")[0] == {"name": "laptop", "scopes": ["run"], "days": 90}
    assert "2026-04-01" in run("keys", "list").output
    assert run("keys", "revoke", "abc").output == "abc is revoked\n"
