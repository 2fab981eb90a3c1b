"""A process that runs searchers, one batch after another: `python -P -m service.suggester.child`.

A process and no thread: a fit that takes too long can be ended, and a searcher that crashes takes
nobody with it.  It has no connection to the database; all it knows came down its standard input.
"""

import importlib
import os
import pickle
import queue
import signal
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import BinaryIO

from search.fallback import sobol_instead
from search.searcher import Batch, History, Searcher
from service.suggester.history import Trials
from service.suggester.task import LENGTH, Answer, Fit, Inquiry, WarmUp, write_answer

LONGEST_ERROR = 500  # characters


def main() -> None:
    """Serve until standard input ends, as it does when the suggester is gone, however it went."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the suggester, which ends us
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not end up between the answers
    tasks: queue.SimpleQueue[Fit | Inquiry | WarmUp] = queue.SimpleQueue()
    reader = threading.Thread(target=_read, args=(sys.stdin.buffer, tasks), daemon=True)
    reader.start()
    remembered: dict[int, Trials] = {}
    while True:
        task = tasks.get()
        line = _serve(task, remembered)
        answers.write(LENGTH.pack(len(line)) + line)
        answers.flush()


def _read(source: BinaryIO, tasks: "queue.SimpleQueue[Fit | Inquiry | WarmUp]") -> None:
    while len(header := source.read(LENGTH.size)) == LENGTH.size:
        (length,) = LENGTH.unpack(header)
        tasks.put(pickle.loads(source.read(length)))  # noqa: S301  (from our own parent)
    os._exit(0)  # in the middle of a fit too: nobody waits for it


def _serve(task: Fit | Inquiry | WarmUp, remembered: dict[int, Trials]) -> bytes:
    if isinstance(task, WarmUp):
        _load(task.modules)
        return write_answer(Answer())
    try:
        answer = work_out(task) if isinstance(task, Inquiry) else compute(task, remembered)
        return write_answer(answer)
    except Exception as error:  # a searcher may raise anything: it is told, and Sobol answers
        text = f"the searcher failed: {type(error).__name__}: {error}"
        return write_answer(Answer(error=text[:LONGEST_ERROR]))


def compute(fit: Fit, remembered: dict[int, Trials]) -> Answer:
    """The batch; raises whatever the searcher raises."""
    for study_id in fit.forget:
        remembered.pop(study_id, None)
    if fit.anew:
        remembered[fit.study_id] = Trials()
    trials = remembered[fit.study_id]
    trials.update(fit.version, fit.changed)
    history = History(
        problem=fit.problem,
        trials=trials.in_order(),
        reserved=fit.reserved,
        batch=fit.batch,
        memo=fit.memo,
        preferences=fit.preferences,
        context=fit.context,
        budget=fit.budget,
    )
    _load(fit.modules)  # not part of what the fit takes
    begun = time.monotonic()
    batch = _suggest(fit, history)
    return Answer(
        suggestions=[
            (fit.problem.space.check(suggestion.config), suggestion.origin, suggestion.until)
            for suggestion in batch.suggestions[: fit.count]
        ],
        memo=batch.memo,
        exhausted=batch.exhausted,
        seen=fit.answers + sum(trial.state.final for trial in history.trials),
        pending=[{**config, **context} for config, context in history.under_way()],
        seconds=time.monotonic() - begun,
        error=_because(batch),
    )


def work_out(task: Inquiry) -> Answer:
    """The insight; raises whatever goes wrong."""
    from search.explain.explain import explain
    from search.explain.posterior_best import posterior_best

    if task.kind == "explanation":
        found = explain(task.problem, task.trials, task.metric, task.preferences)
        return Answer(body=asdict(found))
    best = posterior_best(task.problem, task.trials)
    return Answer(body=None if best is None else asdict(best))


def _load(modules: Sequence[str]) -> None:
    for name in modules:
        importlib.import_module(name)


def _suggest(fit: Fit, history: History) -> Batch:
    if fit.because is not None:
        return _as_short(fit.searcher, sobol_instead(history, fit.count, fit.because))
    return fit.searcher.suggest(history, fit.count)


def _as_short(searcher: Searcher, batch: Batch) -> Batch:
    """Points that nobody chose are run as far as need be and no further."""
    planned = searcher.planned_steps()
    if planned is None:
        return batch
    least = planned[0]
    short = [
        replace(s, until=least, origin={**s.origin, "steps": least}) for s in batch.suggestions
    ]
    return replace(batch, suggestions=short)


def _because(batch: Batch) -> str | None:
    """Why Sobol answered for the searcher, if it did."""
    reasons = (suggestion.origin.get("because") for suggestion in batch.suggestions)
    return next((reason for reason in reasons if isinstance(reason, str)), None)


if __name__ == "__main__":
    main()
