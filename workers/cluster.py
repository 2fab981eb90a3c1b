"""Ray, as far as a fleet needs it: where agents run, and with which resources.

Ray places and scales.  It retries nothing: what is to be tried again stands in the database.
"""

import logging
import os
import secrets
import shutil
import signal
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workers.actor import AgentActor
from workers.agent import Status
from workers.errors import ClusterFailed
from workers.settings import AgentOrder
from workers.sweep import Sweeper

log = logging.getLogger(__name__)

LOCAL = "local"
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
# Agents send nothing through Ray's object store.
_OBJECT_STORE_BYTES = 100 * 2**20
_SHORT = Path("/tmp").resolve()  # sockets lie in it, and their paths may have 107 bytes  # noqa: S108
# A process that does not answer for so long is taken for dead.
_SILENCE_SECONDS = 60.0
_LAST_LOOK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of an agent: nothing yet (no `status`), how it is, or that it is `dead`."""

    status: Status | None = None
    dead: str | None = None


@dataclass(slots=True)
class _Handle:
    actor: Any
    group: Any
    pending: Any  # the reference of a status that was asked for
    asked_at: float = field(default_factory=time.monotonic)
    seen: Seen = Seen()


class RayCluster:
    """A local Ray of our own (address "local"), or a running one; opened when first needed."""

    def __init__(
        self, address: str = LOCAL, *, cpus: float | None = None, gpus: float | None = None
    ) -> None:
        self._address = address
        self._cpus = cpus
        self._gpus = gpus
        self._handles: dict[str, _Handle] = {}
        self._folder: Path | None = None
        self._sweeper: Sweeper | None = None
        self._running = False

    @property
    def running(self) -> bool:
        return self._running

    def open(self) -> None:
        """Start or join Ray.  Raises ClusterFailed.  Takes seconds; a repeat does nothing."""
        if self._running:
            return
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        options: dict[str, Any] = {"address": self._address}
        if self._address == LOCAL:
            options |= self._local_options()
        handlers = {number: signal.getsignal(number) for number in _SIGNALS}
        try:
            self._ray.init(
                log_to_driver=False, logging_level=logging.ERROR, configure_logging=False, **options
            )
            self._running = True
        except Exception as error:  # Ray raises many kinds, and plain RuntimeError
            self._clean_up()
            raise ClusterFailed(f"Ray at {self._address!r} did not come up: {error}") from error
        finally:
            for number, handler in handlers.items():  # Ray puts its own in their place
                signal.signal(number, handler)

    def capacity(self) -> dict[str, float]:
        """What the whole cluster has, used or not: cpu, gpu and custom resources."""
        if not self._running:
            return {}
        return {
            _our_name(name): float(amount)
            for name, amount in self._ray.cluster_resources().items()
            if not name.startswith(("node:", "accelerator_type:", "object_store_memory"))
        }

    def start(self, order: AgentOrder, resources: Mapping[str, float]) -> None:
        """Start an agent; it waits in Ray's queue until its resources are free."""
        options, group = self._placement(resources)
        actor = (
            self._ray.remote(AgentActor)
            .options(
                name=order.name,
                max_restarts=0,
                max_task_retries=0,
                max_concurrency=4,
                **options,
            )
            .remote(order)
        )
        self._handles[order.name] = _Handle(actor, group, actor.status.remote())

    def poll(self, *, wait: float = 0) -> dict[str, Seen]:
        """All agents, as far as they have answered within `wait` seconds."""
        done = set(self._await([handle.pending for handle in self._handles.values()], wait))
        for handle in self._handles.values():
            handle.seen = self._look(handle, answered=handle.pending in done)
        return {name: handle.seen for name, handle in self._handles.items()}

    def retire(self, name: str) -> None:
        """Let an agent go after its trial; one that has not come up yet goes at once."""
        handle = self._handles[name]
        if handle.seen.status is None:
            self.discard(name)
        else:
            handle.actor.retire.remote()

    def discard(self, name: str) -> None:
        """End an agent's process and free what it holds."""
        handle = self._handles.pop(name)
        self._ray.kill(handle.actor, no_restart=True)
        if handle.group is not None:
            self._ray.util.remove_placement_group(handle.group)

    def close(self, reason: str, *, within: float) -> None:
        """Let all agents give their trials back, then leave Ray; a local one ends with that."""
        if not self._running:
            return
        self.poll(wait=_LAST_LOOK_SECONDS)  # some may have come up, and taken a trial, since
        up = [h for h in self._handles.values() if h.seen.status and not h.seen.dead]
        self._await([handle.actor.stop.remote(reason, within) for handle in up], within)
        for name in list(self._handles):
            self.discard(name)
        self._ray.shutdown()
        self._running = False
        self._clean_up()

    def _await(self, refs: Sequence[Any], seconds: float) -> Sequence[Any]:
        """Those of the references that are there in time; Ray does not take an empty list."""
        if not refs:
            return ()
        found: Sequence[Any] = self._ray.wait(refs, num_returns=len(refs), timeout=seconds)[0]
        return found

    @property
    def _ray(self) -> Any:
        import ray

        return ray

    def _local_options(self) -> dict[str, Any]:
        # The token keeps other users of this machine out; it is never written to a file.
        os.environ["RAY_AUTH_MODE"] = "token"
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
        _remove_left_over()
        self._folder = Path(tempfile.mkdtemp(prefix=f"{_prefix()}{os.getpid()}-", dir=_SHORT))
        self._sweeper = Sweeper(self._folder)
        return {
            "include_dashboard": False,
            "_temp_dir": str(self._folder),
            "object_store_memory": _OBJECT_STORE_BYTES,
            "num_cpus": self._cpus,
            "num_gpus": self._gpus,
        }

    def _clean_up(self) -> None:
        if self._sweeper is not None:
            self._sweeper.dismiss()
            self._sweeper = None
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def _placement(self, resources: Mapping[str, float]) -> tuple[dict[str, Any], Any]:
        options = _actor_options(resources)
        if resources.get("gpu", 0) <= 1:
            return options, None
        # Several GPUs are reserved in one piece, on one machine.
        bundle = {_ray_name(name): amount for name, amount in resources.items() if amount}
        group = self._ray.util.placement_group([bundle], strategy="STRICT_PACK")
        strategy = self._ray.util.scheduling_strategies.PlacementGroupSchedulingStrategy(
            placement_group=group
        )
        return options | {"scheduling_strategy": strategy}, group

    def _look(self, handle: _Handle, *, answered: bool) -> Seen:
        if not answered:
            silent = time.monotonic() - handle.asked_at > _SILENCE_SECONDS
            if silent and handle.seen.status is not None:
                return Seen(handle.seen.status, dead=f"no answer for {_SILENCE_SECONDS:g} s")
            return handle.seen
        try:
            status = self._ray.get(handle.pending)
        except self._ray.exceptions.RayError as error:
            return Seen(handle.seen.status, dead=str(error).strip().splitlines()[0])
        handle.pending, handle.asked_at = handle.actor.status.remote(), time.monotonic()
        return Seen(status)


def _actor_options(resources: Mapping[str, float]) -> dict[str, Any]:
    known = {"cpu": "num_cpus", "gpu": "num_gpus", "memory": "memory"}
    options: dict[str, Any] = {"num_cpus": 0, "num_gpus": 0, "resources": {}}
    for name, amount in resources.items():
        if name in known:
            options[known[name]] = int(amount) if name == "memory" else amount
        else:
            options["resources"][name] = amount
    return options


def _our_name(name: str) -> str:
    return name.lower() if name in {"CPU", "GPU"} else name


def _ray_name(name: str) -> str:
    return name.upper() if name in {"cpu", "gpu"} else name


def _prefix() -> str:
    return f"trimtab-ray-{os.getuid()}-"


def _remove_left_over() -> None:
    """Remove the folders of fleets that were killed."""
    for folder in _SHORT.glob(f"{_prefix()}*"):
        pid = folder.name.removeprefix(_prefix()).split("-")[0]
        if pid.isdigit() and folder.stat().st_uid == os.getuid() and not _alive(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
