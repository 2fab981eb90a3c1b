"""A solver's process, from the benchmark's side of the line protocol (drivers/protocol.py)."""

import json
import os
import selectors
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from bench.parts.machine import ROOT

DRIVERS = Path(__file__).resolve().parent / "drivers"
ANSWER_SECONDS = 900.0  # the costliest rival's first fit compiles for a minute or two
STOP_SECONDS = 10.0
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1"
) | {"XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"}
WARM_SPACE = [
    {"kind": "float", "name": "x", "low": 0.0, "high": 1.0},
    {"kind": "int", "name": "n", "low": 1, "high": 9},
]
WARM_TRIALS = 13  # past every solver's initial design, so that all lazy imports are done


class SolverFailed(Exception):
    """A solver could not answer; the message ends with its traceback."""


class Session:
    """One solver process: a study at a time, as many as one likes one after another."""

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> None:
        self.cpu = 0.0  # processor seconds of the solver, imports and warm-up excluded
        self._before = 0.0
        self._process = subprocess.Popen(
            [command[0], str(DRIVERS / command[1]), *command[2:]],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL if not os.environ.get("BENCH_STDERR") else None,
            cwd=ROOT,
            text=True,
            env={**os.environ, **ONE_THREAD, **(environment or {})},
        )
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._out, selectors.EVENT_READ)

    def warm_up(self, *, seed: int = 0) -> None:
        """Play a small study, so that what is loaded late is loaded; then count CPU from 0."""
        self.try_out(WARM_TRIALS, seed=seed)
        self._before += self.cpu
        self.cpu = 0.0

    def try_out(self, trials: int = 1, *, seed: int = 0) -> None:
        """Play so many trials of a small problem; raises SolverFailed where that is impossible."""
        self.start(WARM_SPACE, seed=seed, budget=WARM_TRIALS)
        for _ in range(trials):
            number, config = self.ask()
            self.tell(number, [(config["x"] - 0.3) ** 2 + config["n"]])

    def start(
        self,
        space: Sequence[Mapping[str, Any]],
        *,
        seed: int,
        budget: int,
        objectives: int = 1,
        parallel: int = 1,
        steps: int | None = None,
    ) -> None:
        """Begin a study."""
        self._call(
            "start",
            space=list(space),
            objectives=objectives,
            seed=seed,
            budget=budget,
            parallel=parallel,
            steps=steps,
        )

    def ask(self) -> tuple[int, dict[str, Any]]:
        """A trial's number and its config."""
        answer = self._call("ask")
        return int(answer["id"]), dict(answer["config"])

    def report(self, number: int, step: int, value: float) -> bool:
        """Whether the trial should stop."""
        return bool(self._call("report", id=number, step=step, value=value)["stop"])

    def tell(self, number: int, values: Sequence[float] | None, *, stopped: bool = False) -> None:
        """End a trial."""
        told = None if values is None else list(values)
        self._call("tell", id=number, values=told, stopped=stopped)

    def replay(self, trials: Sequence[tuple[Mapping[str, Any], Sequence[float]]]) -> None:
        """Hand over finished trials."""
        listed = [{"config": dict(config), "values": list(values)} for config, values in trials]
        self._call("replay", trials=listed)

    def best(self) -> int | None:
        """The trial that the solver recommends, if it has a mind of its own."""
        number = self._call("best")["id"]
        return None if number is None else int(number)

    def close(self) -> None:
        """End the process: a closed pipe is the end of its work."""
        self._selector.close()
        if self._process.stdin:
            with suppress(BrokenPipeError):
                self._process.stdin.close()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._out.close()

    def __enter__(self) -> "Session":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def _out(self) -> Any:
        assert self._process.stdout is not None
        return self._process.stdout

    def _call(self, op: str, **fields: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"op": op, **fields}) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise SolverFailed(f"{self._process.args!r} has ended") from None
        if not self._selector.select(ANSWER_SECONDS):
            raise SolverFailed(f"no answer to {op!r} within {ANSWER_SECONDS:.0f} s")
        line = self._out.readline()
        if not line:
            raise SolverFailed(f"{self._process.args!r} ended at {op!r}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise SolverFailed(f"at {op!r}: {answer['error']}")
        self.cpu = float(answer["cpu"]) - self._before
        return answer
