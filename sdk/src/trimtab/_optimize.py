"""study.optimize: a function, run for each trial on threads of this process."""

import threading
from collections.abc import Callable, Mapping
from typing import SupportsFloat, TypeAlias

from trimtab._loop import TrialLoop
from trimtab.errors import InvalidSpec
from trimtab.trial import Metrics, Trial

Function: TypeAlias = Callable[[Trial], SupportsFloat | Metrics | None]


def optimize(
    function: Function,
    *,
    metric: str,
    loop: Callable[[threading.Event], TrialLoop],
    parallel: int,
    catch: tuple[type[Exception], ...],
) -> None:
    """Run the function for each trial of `parallel` loops; raises the first error not to catch."""
    if parallel < 1:
        raise InvalidSpec(f"optimize: expected parallel >= 1, got {parallel}")
    workers = Workers(function, metric=metric, loop=loop, catch=catch)
    if parallel == 1:
        workers.work()  # in the caller's own thread, where Ctrl-C reaches it
    else:
        workers.spread(parallel)
    if workers.error is not None:
        raise workers.error


class Workers:
    """The threads of one call of optimize."""

    def __init__(
        self,
        function: Function,
        *,
        metric: str,
        loop: Callable[[threading.Event], TrialLoop],
        catch: tuple[type[Exception], ...],
    ) -> None:
        self.error: BaseException | None = None
        self._function = function
        self._metric = metric
        self._loop = loop
        self._catch = catch
        self._cancel = threading.Event()
        self._running: set[Trial] = set()
        self._lock = threading.Lock()

    def work(self) -> None:
        """Run trials until the study has ended or a worker has failed."""
        try:
            for trial in self._loop(self._cancel):
                self._run(trial)
        except BaseException as error:  # it is raised again by optimize, in the caller's thread
            with self._lock:
                self.error = self.error or error
            self._cancel.set()

    def spread(self, parallel: int) -> None:
        """Work on so many threads, and wait for them; an interrupt gives running trials back."""
        threads = [
            threading.Thread(target=self.work, name=f"trimtab-worker-{n}", daemon=True)
            for n in range(parallel)
        ]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                thread.join()
        except BaseException as error:
            self._interrupt(f"interrupted by {type(error).__name__}")
            for thread in threads:
                thread.join()
            raise

    def _run(self, trial: Trial) -> None:
        with self._lock:
            self._running.add(trial)
        try:
            with trial:
                self._tell(trial, self._function(trial))
        except self._catch:
            return  # the trial has failed, and says why
        finally:
            with self._lock:
                self._running.discard(trial)

    def _tell(self, trial: Trial, result: SupportsFloat | Metrics | None) -> None:
        if result is None or not trial.open or trial.decision.stop:
            return
        trial.complete(result if isinstance(result, Mapping) else {self._metric: result})

    def _interrupt(self, reason: str) -> None:
        self._cancel.set()
        with self._lock:
            for trial in self._running:
                trial.request("release", reason)
