"""A server that speaks the few routes that agents need, and remembers what it was told."""

import itertools
import json
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from trimtab._address import Address
from trimtab._transport import Transport

from workers.agent import Agent
from workers.settings import AgentOrder, Timings

KEY = "tt_testtest_secret_00000000"
PATIENCE = 30.0


@dataclass
class FakeServer:
    """State behind the routes.  `changed` is notified after every request."""

    changed: threading.Condition = field(default_factory=threading.Condition)
    queue: list[dict[str, Any]] = field(default_factory=list)
    leases: dict[str, str] = field(default_factory=dict)  # lease id -> trial, while it holds
    told: list[dict[str, Any]] = field(default_factory=list)
    released: list[dict[str, Any]] = field(default_factory=list)
    reports: list[dict[str, Any]] = field(default_factory=list)
    beats: list[str] = field(default_factory=list)
    fleet: list[dict[str, Any]] = field(default_factory=list)
    studies: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    request: dict[str, Any] | None = None
    ended: bool = False
    lease_seconds: float = 3.0
    storage: Path | None = None
    checkpoint: dict[str, Any] | None = None
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def add(self, config: Mapping[str, Any] | None = None, *, attempt: int = 1) -> str:
        """Queue a trial and return its id."""
        number = next(self.numbers)
        trial = {
            "id": f"tr_{number}",
            "study": "st_1",
            "study_name": "study",
            "number": number,
            "config": dict(config or {}),
            "seed": 7 + number,
            "metrics": ["loss"],
        }
        with self.changed:
            self.queue.append({"trial": trial, "attempt": attempt})
        return str(trial["id"])

    def until(self, predicate: Callable[["FakeServer"], object], seconds: float = PATIENCE) -> None:
        """Wait for something to have been said."""
        with self.changed:
            assert self.changed.wait_for(lambda: predicate(self), seconds), self

    def cancel(self) -> None:
        """No lease holds any longer."""
        with self.changed:
            self.leases.clear()

    # The routes.

    def ask(self, body: Mapping[str, Any]) -> tuple[int, Any]:
        if self.ended:
            return 410, {"code": "study_ended", "detail": "the budget is used up"}
        if not self.queue:
            return 202, {"retry_after": 0.05}
        trial = self.queue.pop(0)
        self.leases[body["lease_id"]] = trial["trial"]["id"]
        offer = {"until": None, "checkpoint": self.checkpoint, "lease_seconds": self.lease_seconds}
        return 200, trial | offer

    def act(self, trial: str, verb: str, body: Mapping[str, Any]) -> tuple[int, Any]:
        lease_id = body["lease_id"]
        if self.leases.get(lease_id) != trial:
            return 409, {"code": "lease_lost", "detail": "the lease is lost"}
        handler: Callable[[str, Mapping[str, Any]], Any] = getattr(self, "on_" + verb)
        return 200, handler(trial, body)

    def on_heartbeat(self, trial: str, body: Mapping[str, Any]) -> Any:
        self.beats.append(trial)
        return {"request": self.request, "until": None, "lease_seconds": self.lease_seconds}

    def on_measurements(self, trial: str, body: Mapping[str, Any]) -> Any:
        self.reports += [{"trial": trial, **m} for m in body["measurements"]]
        return {
            "accepted": len(body["measurements"]),
            "already": 0,
            "conflicting": 0,
            "decision": {"kind": "continue", "until": None, "reason": None},
            "request": self.request,
            "lease_seconds": self.lease_seconds,
        }

    def on_tell(self, trial: str, body: Mapping[str, Any]) -> Any:
        self.reports += [{"trial": trial, **m} for m in body.get("measurements", ())]
        self.told.append({"trial": trial, **body["outcome"]})
        del self.leases[body["lease_id"]]
        return {"state": body["outcome"]["kind"], "reason": None, "values": {}}

    def on_release(self, trial: str, body: Mapping[str, Any]) -> Any:
        self.released.append({"trial": trial, **body})
        del self.leases[body["lease_id"]]
        return {}

    def on_checkpoints(self, trial: str, body: Mapping[str, Any]) -> Any:
        assert self.storage is not None
        key = f"{trial}-{body['step']}-{body['sha256'][:12]}"
        uri = str(self.storage / key)
        self.checkpoint = {**{k: body[k] for k in ("step", "size", "sha256")}, "key": key}
        self.checkpoint["uri"] = uri
        return {"key": key, "uri": uri}

    def on_commit(self, trial: str, body: Mapping[str, Any]) -> Any:
        return {"key": body["key"], "step": 0}


def handler_for(server: FakeServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if self.path == "/v1/version":
                self.answer(200, {"server": "0.1.0", "api": "v1", "oldest_sdk": "0.1.0"})
            else:
                self.answer(200, {"items": server.studies, "next": None})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with server.changed:
                server.keys.append(self.headers.get("Authorization"))
                status, answer = self.route(body)
                server.changed.notify_all()
            self.answer(status, answer)

        def route(self, body: dict[str, Any]) -> tuple[int, Any]:
            if self.path == "/v1/fleet:heartbeat":
                server.fleet.append(body)
                return 200, {}
            if self.path.endswith("/trials:ask"):
                return server.ask(body)
            rest = self.path.removeprefix("/v1/trials/").replace("/", ":")
            trial, _, verb = rest.partition(":")
            return server.act(trial, verb.rpartition(":")[2], body)

        def answer(self, status: int, body: Any) -> None:
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *arguments: object) -> None:
            """Tests are quiet."""

    return Handler


class QuietServer(ThreadingHTTPServer):
    """Clients that are killed break their connections: that is what is tested."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        error = sys.exc_info()[1]
        assert isinstance(error, ConnectionError | TimeoutError), repr(error)


@dataclass
class Running:
    """A fake server on its port."""

    state: FakeServer
    url: str


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[Running]:
    """A fake server."""
    state = FakeServer(storage=tmp_path / "storage")
    http = QuietServer(("127.0.0.1", 0), handler_for(state))
    thread = threading.Thread(target=http.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield Running(state, f"http://127.0.0.1:{http.server_port}")
    http.shutdown()
    http.server_close()
    thread.join()


@dataclass
class Bench:
    """Makes agents for a program and sees to their end."""

    fake: Running
    folder: Path
    logs: Path
    agents: list[tuple[Agent, threading.Thread, Transport]] = field(default_factory=list)

    def program(self, source: str, name: str = "train.py") -> None:
        """Write the user's program."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)

    def order(self, run: Mapping[str, Any] | None = None, **changes: Any) -> AgentOrder:
        """An agent's order with short times."""
        given: dict[str, Any] = {
            "name": f"fleet/study/{uuid.uuid4().hex[:4]}",
            "study": "st_1",
            "run": run or {"kind": "program", "path": "train.py:main"},
            "max_seconds": None,
            "url": self.fake.url,
            "key": KEY,
            "code": (str(self.folder),),
            "logs": str(self.logs),
            "timings": Timings(ask_wait=0.2, stop_grace=1, release_grace=1, kill_grace=1),
        }
        return AgentOrder(**given | changes)

    def start(self, order: AgentOrder | None = None) -> Agent:
        """An agent at work in a thread."""
        order = order or self.order()
        transport = Transport(Address(order.url, order.key))
        agent = Agent(order, transport)
        thread = threading.Thread(target=agent.run, daemon=True)
        thread.start()
        self.agents.append((agent, thread, transport))
        return agent

    def close(self) -> None:
        for agent, thread, transport in self.agents:
            agent.stop("the test is over", within=10)
            thread.join(PATIENCE)
            assert not thread.is_alive()
            transport.close()


@pytest.fixture
def bench(fake: Running, tmp_path: Path) -> Iterator[Bench]:
    """A place to run agents in."""
    folder = tmp_path / "code"
    folder.mkdir()
    made = Bench(fake, folder, tmp_path / "logs")
    yield made
    made.close()


def alive(pid: int) -> bool:
    """Whether a process is there and is no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in {"Z", "X"}


@pytest.fixture
def gone() -> Callable[[int], None]:
    """Wait until a process is gone."""

    def wait(pid: int) -> None:
        deadline = time.monotonic() + PATIENCE
        while alive(pid):
            assert time.monotonic() < deadline, f"process {pid} is still there"
            time.sleep(0.02)

    return wait
