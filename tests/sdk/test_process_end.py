"""What becomes of open trials when the process ends, each in a process of its own."""

import json
import signal
import subprocess
import sys

import pytest

PROGRAM = """
import itertools, json, os, signal, sys, threading
import httpx
import trimtab as tt

numbers = itertools.count()
NOW = "2026-01-01T00:00:00Z"

def handle(request):
    path, body = request.url.path, json.loads(request.content or b"{}")
    if path == "/v1/version":
        return httpx.Response(200, json={"server": "0.1.0", "api": "v1", "oldest_sdk": "0.1.0"})
    if path.endswith("trials:ask"):
        number = next(numbers)
        return httpx.Response(200, json={
            "trial": {"id": f"tr_{number}", "study": "st_1", "study_name": "s", "number": number,
                      "config": {}, "seed": 1, "metrics": []},
            "attempt": 1, "until": None, "checkpoint": None, "lease_seconds": 60.0})
    if path.startswith("/v1/trials/"):
        end = body.get("outcome") or {"kind": path.rsplit(":", 1)[1]}
        print(json.dumps({"end": end["kind"], "message": end.get("message", "")}), flush=True)
        return httpx.Response(200, json={"state": end["kind"]})
    return httpx.Response(200, json={
        "id": "st_1", "name": "s", "state": "active", "objectives": [], "created_at": NOW,
        "space": {}, "searcher": {}, "scheduler": {}, "seed": 1, "lease_seconds": 60.0,
        "revision": 1, "version": 1})

study = tt.Client("http://127.0.0.1:1", "k", transport=httpx.MockTransport(handle)).study("s")
"""


def ends(body, *, code=None):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM + body],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if code is not None:
        assert done.returncode == code, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def test_an_uncaught_error_of_c_code_fails_the_trial():
    (end,), stderr = ends("for trial in study.trials():\n    int('x')\n", code=1)
    assert end["end"] == "failed"
    assert "ValueError: invalid literal" in end["message"]
    assert "ValueError: invalid literal" in stderr


def test_an_uncaught_error_in_a_function_fails_the_trial():
    body = "def main():\n    for trial in study.trials():\n        {}['x']\nmain()\n"
    (end,), _ = ends(body, code=1)
    assert (end["end"], "KeyError: 'x'" in end["message"]) == ("failed", True)


@pytest.mark.parametrize("leave", ["sys.exit(3)", "raise SystemExit(3)"])
def test_leaving_the_program_gives_the_trial_back(leave):
    (end,), _ = ends(f"for trial in study.trials():\n    {leave}\n", code=3)
    assert end["end"] == "release"


def test_an_interrupt_gives_the_trial_back():
    body = "for trial in study.trials():\n    os.kill(os.getpid(), signal.SIGINT)\n"
    (end,), stderr = ends(body, code=-signal.SIGINT)
    assert end["end"] == "release"
    assert "KeyboardInterrupt" in stderr


def test_a_loop_kept_in_a_variable_gives_its_trial_back_at_the_end():
    (end,), _ = ends("loop = study.trials()\nnext(loop)\n", code=0)
    assert end["end"] == "release"


def test_a_trial_that_was_asked_for_and_never_ended_is_given_back():
    (end,), _ = ends("trial = study.ask()\n", code=0)
    assert end["end"] == "release"


def test_a_forked_child_leaves_the_parents_trial_alone():
    body = (
        "trial = study.ask()\n"
        "child = os.fork()\n"
        "if child == 0:\n    sys.exit(0)\n"
        "os.waitpid(child, 0)\n"
        "trial.complete(loss=1.0)\n"
    )
    (end,), _ = ends(body, code=0)
    assert end["end"] == "completed"
