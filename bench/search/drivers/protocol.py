"""The line protocol that every solver of the search benchmark speaks, from the solver's side.

One JSON object a line, a question on standard input and its answer on standard output:

  {"op": "start", "space": [...], "objectives": 1, "seed": 7, "budget": 50, "parallel": 1,
   "steps": null}                                  a new study; the one before is forgotten
  {"op": "ask"}                                    {"id": 0, "config": {...}}
  {"op": "report", "id": 0, "step": 3, "value": 1.5}   {"stop": false}
  {"op": "tell", "id": 0, "values": [1.5], "stopped": false}   lower is better, always
  {"op": "replay", "trials": [{"config": {...}, "values": [...]}]}   finished trials of others
  {"op": "best"}                                   {"id": 3}, or null for "the lowest value told"

Every answer carries `cpu`, the processor seconds that the process (threads and children too) has
used since it began to listen, so that imports are not in it.  `space` is a list of parameters as
they travel to Trimtab's API.  A question that cannot be answered gets {"error": traceback}.

This module needs the standard library only: it runs in the virtual environment of each rival.
"""

import ctypes
import json
import os
import resource
import signal
import sys
import traceback
from abc import ABC, abstractmethod

PR_SET_PDEATHSIG = 1  # of prctl(2)


class Study:
    """What a solver is told of a new study."""

    def __init__(self, message):
        self.space = message["space"]
        self.objectives = message["objectives"]
        self.seed = message["seed"]
        self.budget = message["budget"]
        self.parallel = message["parallel"]
        self.steps = message["steps"]  # of a full trial, where trials report; else None


class Solver(ABC):
    """One study in the hands of one solver; `handle` is whatever the solver calls a trial."""

    @abstractmethod
    def ask(self):
        """A handle and a config, with inactive parameters absent."""

    @abstractmethod
    def tell(self, handle, values, *, stopped=False):
        """The trial's objective values; None for a trial without any."""

    @abstractmethod
    def replay(self, trials):
        """Take in finished trials: pairs of config and values."""

    def report(self, handle, step, value):
        """Whether the trial should stop after this step."""
        return False

    def best(self):  # noqa: B027 - most have no mind of their own
        """The handle of the trial that the solver recommends; None leaves it to the values."""


class Server:
    """Answers questions about one study at a time."""

    def __init__(self, make, cpu):
        self._make = make
        self._cpu = cpu
        self._solver = None
        self._handles = {}
        self._asked = 0

    def answer(self, message):
        """The answer to one question."""
        answer = getattr(self, "_" + message["op"])(message)
        return {**answer, "cpu": self._cpu()}

    def _start(self, message):
        self._solver, self._handles, self._asked = self._make(Study(message)), {}, 0
        return {}

    def _ask(self, message):
        handle, config = self._solver.ask()
        number, self._asked = self._asked, self._asked + 1
        self._handles[number] = handle
        return {"id": number, "config": config}

    def _report(self, message):
        handle = self._handles[message["id"]]
        return {"stop": bool(self._solver.report(handle, message["step"], message["value"]))}

    def _tell(self, message):
        handle = self._handles[message["id"]]
        self._solver.tell(handle, message["values"], stopped=message["stopped"])
        return {}

    def _replay(self, message):
        self._solver.replay([(trial["config"], trial["values"]) for trial in message["trials"]])
        return {}

    def _best(self, message):
        chosen = self._solver.best()
        found = [number for number, handle in self._handles.items() if handle is chosen]
        return {"id": found[0] if chosen is not None and found else None}


def _end_with_parent():
    """A solver that waits for a service would outlive a benchmark that was killed (Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def process_cpu():
    """Processor seconds of this process and of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def serve(make, *, cpu=process_cpu):
    """Answer questions until standard input ends; `make(study)` gives the solver of a study.

    What libraries print goes to standard error.
    """
    _end_with_parent()
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    before = cpu()
    server = Server(make, lambda: cpu() - before)
    for line in sys.stdin:
        try:
            answer = server.answer(json.loads(line))
        except Exception:
            answer = {"error": traceback.format_exc()}
        answers.write(json.dumps(answer) + "\n")
