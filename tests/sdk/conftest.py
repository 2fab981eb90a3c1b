"""A server made of a dictionary, a clock that stands still, and a client of both."""

import json
import threading
from collections import defaultdict

import httpx
import pytest
from trimtab import Client
from trimtab._address import Address
from trimtab._transport import Transport
from trimtab.lease import Lease
from trimtab.models import Asked

NOW = "2026-01-01T00:00:00Z"


class FakeClock:
    """Time passes when somebody sleeps."""

    def __init__(self):
        self.time = 1000.0
        self.slept = []

    def now(self):
        return self.time

    def sleep(self, seconds, wake=None):
        self.slept.append(seconds)
        self.time += seconds


def study_json(**changes):
    return {
        "id": "st_1",
        "name": "digits",
        "state": "active",
        "state_reason": None,
        "space": {"parameters": []},
        "objectives": [{"metric": "loss", "goal": "minimize", "read": "last", "reference": None}],
        "constraints": [],
        "searcher": {"kind": "auto"},
        "scheduler": {"kind": "auto"},
        "budget": {"trials": 3, "hours": None, "target": None},
        "max_running": None,
        "lease_seconds": 60.0,
        "seed": 7,
        "tags": [],
        "notes": "",
        "managed": None,
        "revision": 4,
        "version": 9,
        "trials": {"queued": 0, "running": 0, "completed": 0},
        "best": None,
        "created_at": NOW,
        "started_at": None,
        "finished_at": None,
        "a_field_of_the_future": 1,
    } | changes


def trial_json(number=0, **changes):
    return {
        "id": f"tr_{number}",
        "study": "st_1",
        "number": number,
        "state": "completed",
        "config": {"lr": 0.1},
        "values": {"loss": 0.5},
        "origin": {"by": "sobol"},
        "attempt": 1,
        "last_step": 3,
        "reason": None,
        "tags": [],
        "worker": "here/1",
        "parent": None,
        "retry_of": None,
        "created_at": NOW,
        "started_at": NOW,
        "finished_at": NOW,
    } | changes


def asked_json(number=0, *, until=None, lease_seconds=60.0, checkpoint=None):
    return {
        "trial": {
            "id": f"tr_{number}",
            "study": "st_1",
            "study_name": "digits",
            "number": number,
            "config": {"lr": 0.1},
            "seed": 11,
            "metrics": ["loss"],
        },
        "attempt": 1,
        "until": until,
        "checkpoint": checkpoint,
        "lease_seconds": lease_seconds,
    }


def problem(status, code, **fields):
    body = {
        "type": f"urn:trimtab:problem:{code}",
        "title": code,
        "status": status,
        "code": code,
        "detail": f"the server says {code}",
    } | fields
    return httpx.Response(
        status, json=body, headers={"Content-Type": "application/problem+json"} | {}
    )


class FakeServer:
    """Hands out `trials` trials and remembers what it was sent.

    `script[suffix]` is a list of answers (responses, exceptions or functions) to give, first come
    first served, to requests whose path ends so.
    """

    def __init__(self, clock):
        self.clock = clock
        self.trials = 3
        self.until = None
        self.lease_seconds = 60.0
        self.checkpoint = None
        self.oldest_sdk = "0.0.1"
        self.script = defaultdict(list)
        self.requests = []
        self.leases = {}
        self.told = {}
        self.released = []
        self.measured = defaultdict(list)
        self.heartbeats = 0
        self.request = None
        self.decision = {"kind": "continue", "reason": None}
        self.lock = threading.RLock()
        self.told_event = threading.Event()

    def transport(self):
        return httpx.MockTransport(self.handle)

    def calls(self, suffix):
        return [request for request in self.requests if request.url.path.endswith(suffix)]

    def bodies(self, suffix):
        return [json.loads(request.content) for request in self.calls(suffix)]

    def handle(self, request):
        with self.lock:
            self.requests.append(request)
            for suffix, answers in self.script.items():
                if answers and request.url.path.endswith(suffix):
                    return self.play(answers.pop(0), request)
            return self.answer(request)

    def play(self, answer, request):
        if isinstance(answer, Exception):
            raise answer
        return answer(request) if callable(answer) else answer

    def answer(self, request):
        path = request.url.path
        body = json.loads(request.content) if request.content else {}
        if path == "/v1/version":
            return self.ok(server="0.1.0", api="v1", oldest_sdk=self.oldest_sdk)
        for suffix in ("trials:ask", "/measurements", "heartbeat", "tell", "release"):
            if path.endswith(suffix):
                name = "on_" + suffix.strip("/").rsplit(":", 1)[-1]
                return getattr(self, name)(path.split("/")[3].split(":")[0], body)
        if path in ("/v1/studies", "/v1/studies/st_1", "/v1/studies/digits"):
            return httpx.Response(200, json=study_json())
        return problem(404, "not_found")

    def ok(self, **body):
        return httpx.Response(200, json=body)

    def on_ask(self, study, body):
        if body["lease_id"] not in self.leases:
            if len(self.leases) == self.trials:
                return problem(410, "study_ended", reason="budget")
            self.leases[body["lease_id"]] = len(self.leases)
        number = self.leases[body["lease_id"]]
        return httpx.Response(
            200,
            json=asked_json(
                number,
                until=self.until,
                lease_seconds=self.lease_seconds,
                checkpoint=self.checkpoint,
            ),
        )

    def on_measurements(self, trial, body):
        self.measured[trial] += body["measurements"]
        steps = [m["step"] for m in body["measurements"]]
        until = self.until
        if until is not None and max(steps) >= until:
            until += 10
        return self.ok(
            accepted=len(steps),
            already=0,
            conflicting=0,
            decision={**self.decision, "until": until},
            request=self.request,
            lease_seconds=self.lease_seconds,
        )

    def on_heartbeat(self, trial, body):
        self.heartbeats += 1
        return self.ok(request=self.request, until=self.until, lease_seconds=self.lease_seconds)

    def on_tell(self, trial, body):
        self.measured[trial] += body.get("measurements", [])
        self.told[trial] = body["outcome"]
        self.told_event.set()
        return self.ok(state=body["outcome"]["kind"], reason=None, values={})

    def on_release(self, trial, body):
        self.released.append(trial)
        self.told_event.set()
        return httpx.Response(204)


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def fake(clock):
    return FakeServer(clock)


@pytest.fixture
def client(fake, clock, monkeypatch):
    monkeypatch.setattr("trimtab._retry.jitter", lambda low, high: high)
    with Client(
        "http://127.0.0.1:8787", "tt_key", transport=fake.transport(), clock=clock
    ) as client:
        yield client


@pytest.fixture
def study(client):
    return client.study("digits")


@pytest.fixture
def transport(fake, clock, monkeypatch):
    monkeypatch.setattr("trimtab._retry.jitter", lambda low, high: high)
    made = Transport(
        Address("http://127.0.0.1:8787", "tt_key"), transport=fake.transport(), clock=clock
    )
    yield made
    made.close()


@pytest.fixture
def lease(transport):
    """Makes leases on a trial."""
    return lambda **asked: Lease(
        transport, Asked.model_validate(asked_json(**asked)), "11111111-1111-4111-8111-111111111111"
    )


@pytest.fixture
def wire():
    """The bodies that the server is made of."""

    class Wire:
        study = staticmethod(study_json)
        trial = staticmethod(trial_json)
        asked = staticmethod(asked_json)
        problem = staticmethod(problem)

    return Wire
