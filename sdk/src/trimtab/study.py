"""A study: ask, run, look, change."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, SupportsFloat, TypeAlias
from urllib.parse import quote

from trimtab import _spec
from trimtab._asking import Asking
from trimtab._judging import Judging, Which
from trimtab._loop import TrialLoop
from trimtab._pages import pages
from trimtab._retry import Retry
from trimtab._transport import Answer, Call, Transport, raise_for
from trimtab.errors import NotFound, RevisionConflict
from trimtab.explanation import Explanation
from trimtab.models import (
    ENDED_STUDY,
    Best,
    BestTrial,
    Changes,
    Config,
    Curve,
    Curves,
    LogItem,
    Logs,
    Made,
    Measurements,
    MetricSeries,
    Numbered,
    StudyInfo,
    Transferred,
    TrialInfo,
    Trials,
)
from trimtab.run import Run
from trimtab.space import Part, space_from_json
from trimtab.spec import Budget
from trimtab.trial import Metrics, Trial

if TYPE_CHECKING:
    import pandas as pd

Objective: TypeAlias = Callable[[Trial], SupportsFloat | Metrics | None]
BEST_EFFORT = Retry(patience=30.0)


class Study(Judging):
    """One study.  `info` is how it stood when it was last read; `refresh()` reads it again."""

    def __init__(self, transport: Transport, info: StudyInfo) -> None:
        self._transport = transport
        self._path = f"/v1/studies/{info.id}"
        self.info = info

    @property
    def id(self) -> str:
        """Its public id, which never changes."""
        return self.info.id

    @property
    def name(self) -> str:
        """Its name, unique within the project."""
        return self.info.name

    @property
    def transfer(self) -> list[Transferred]:
        """The earlier studies that it learns from, as they were when it was made."""
        return self.info.transfer

    @property
    def state(self) -> str:
        """Its state now: active, paused, stopped or completed."""
        return self.refresh().state

    @property
    def space(self) -> list[Part]:
        """Its search space, as create_study takes it: `space=other.space` searches the same."""
        return space_from_json(self.info.space)

    def refresh(self) -> StudyInfo:
        """Read the study again."""
        self.info = self._get("").read(StudyInfo)
        return self.info

    # Running trials here

    def ask(
        self,
        *,
        context: Config | None = None,
        timeout: float | None = None,
        worker: str | None = None,
    ) -> Trial:
        """Take a trial to run; waits until there is one.

        A study with a context wants it given: `study.ask(context={"rows": 10_000})`.

        Use it as a context manager, `with study.ask() as trial:`, or end it by its methods
        (complete, fail, ...).  Raises StudyEnded, StudyPaused, and NothingToRun after `timeout`
        seconds.  `worker` is what this worker is called, host and process id by default.
        """
        return Asking(self._transport, self.id, worker, context).one(timeout)

    def tell(
        self,
        trial: Trial,
        values: Metrics | None = None,
        /,
        *,
        errors: Metrics | None = None,
        gradients: Metrics | None = None,
        **metrics: SupportsFloat,
    ) -> None:
        """End a trial of `ask`: `study.tell(trial, accuracy=0.9)` is trial.complete(...)."""
        trial.complete(values, errors=errors, gradients=gradients, **metrics)

    def trials(self, *, context: Config | None = None, worker: str | None = None) -> TrialLoop:
        """Trials to run here, one after another, until the study has ended.

        In a study with a context all of them run in the `context` given, and the loop also ends
        when every config has been tried in it.

            for trial in study.trials():
                for epoch in range(50):
                    if trial.report(epoch, accuracy=train_epoch(trial.config)).stop:
                        break

        Any number of such loops may run, on any machines.  While the study is paused the loop
        waits.  How the body is left says how its trial ends:

        - it goes on to the next trial: completed with its last measurements; `stopped` after a
          decision to stop; given back after one to release
        - tt.Infeasible: infeasible
        - another Exception: failed(user_error) with the end of the traceback
        - `break`, `return`, KeyboardInterrupt, SystemExit: given back, to be run again.  Call
          trial.complete() before a `break` to keep a trial.

        Exceptions leave the `for` loop, as they leave any.  To go on with the next trial after
        Infeasible, LeaseLost or Released, put the body into `with trial:`.  A loop learns of an
        exception by the end of the frame that it runs in: use the call in the `for` statement
        itself, as above, and before Python 3.12 allow it two seconds.
        """
        return TrialLoop(Asking(self._transport, self.id, worker, context))

    def optimize(
        self,
        function: Objective,
        *,
        context: Config | None = None,
        parallel: int = 1,
        catch: tuple[type[Exception], ...] = (),
    ) -> "Study":
        """Run `function(trial)` for each trial, on `parallel` threads, until the study has ended.

        It may report, and may return the objective's value or a mapping of metrics.  An exception
        ends its trial as `study.trials()` says; one that is not in `catch` (and is no Infeasible,
        LeaseLost or Released) then ends the call, once the trials that run have ended.
        """
        from trimtab._optimize import optimize

        metric = self.info.objectives[0].metric
        optimize(
            function,
            metric=metric,
            loop=lambda cancel: TrialLoop(
                Asking(self._transport, self.id, context=context), cancel
            ),
            parallel=parallel,
            catch=catch,
        )
        return self

    # Running trials on the fleet

    def run(
        self,
        target: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        resources: Mapping[str, float] | None = None,
        parallel: int = 1,
        max_seconds: float | None = None,
    ) -> Run:
        """Hand the study to the fleet: `study.run("train.py:main", resources={"gpu": 0.5}).wait()`.

        `target` is a program in a folder that the operator allows, or a recipe, which takes
        `arguments`.  `resources` is what each trial holds (cpu, gpu or a custom Ray resource),
        `parallel` how many run at once, `max_seconds` how long one may take.  Running trials go on;
        calling it again changes the terms for later ones.
        """
        body = _spec.managed(
            target,
            arguments=arguments,
            resources=resources,
            parallel=parallel,
            max_seconds=max_seconds,
        )
        self.change(managed=body)
        return Run(self)

    # Looking

    @property
    def best(self) -> Best | None:
        """The best completed trial, None while there is none.

        Of a noisy objective it is the one of which a model expects most: `by` says so, `mean` and
        `sd` what it expects.
        """
        return self._get("/best").read(BestTrial).read()

    def explain(self, metric: str | None = None, *, timeout: float = 60.0) -> Explanation:
        """Which parameters matter and how, and how far to trust that; print it for a table.

        Of the first objective, or of any metric that an objective or a constraint names.  It is
        worked out when it is asked for; raises NotReady after `timeout` seconds without any.
        """
        from trimtab._explain import explain

        return explain(self._transport, self._path, metric, timeout)

    def pareto(self) -> list[TrialInfo]:
        """The completed trials that no other one beats in every objective."""
        return self._get("/pareto").read(Trials).items

    def results(
        self, *, state: str | None = None, where: str | None = None, sort: str | None = None
    ) -> Iterator[TrialInfo]:
        """The study's trials as they stand, read page by page.

        `where` holds conditions, as in "lr<0.01,optimizer=adamw"; `sort` is number, value, created
        or finished, with a - in front for the reverse.
        """
        query = {"state": state, "where": where, "sort": sort}
        return pages(self._transport, f"{self._path}/trials", TrialInfo, query)

    def result(self, trial: Which) -> TrialInfo:
        """Everything about one trial, by number, id or what a list gave; raises NotFound."""
        return self._transport.send(Call("GET", self._trial(trial))).read(TrialInfo)

    def curves(self, metric: str | None = None, *, limit: int | None = None) -> list[Curve]:
        """The curves of the latest trials, thinned; of the first objective by default."""
        return self._get("/curves", metric=metric, limit=limit).read(Curves).items

    def measurements(self, trial: Which, metric: str | None = None) -> list[MetricSeries]:
        """A trial's measurements, thinned, a series for each metric."""
        call = Call("GET", f"{self._trial(trial)}/measurements", params={"metric": metric})
        return self._transport.send(call).read(Measurements).series

    def logs(self, trial: Which) -> list[LogItem]:
        """The ends of the logs of a trial's attempts, the latest last."""
        call = Call("GET", f"{self._trial(trial)}/log")
        return self._transport.send(call).read(Logs).items

    def changes(self, since: int = 0, *, wait: float = 20.0) -> Iterator[Changes]:
        """What changes, as it changes, from a version on; ends with the study.

        Each item holds the trials that changed and the `version` from which to go on.  When a study
        is stopped, trials that were running may end after the last item.
        """
        while True:
            call = Call(
                "GET",
                f"{self._path}/changes",
                params={"since": since, "wait": wait},
                timeout=wait + 20.0,
            )
            changes = self._transport.send(call, BEST_EFFORT).read(Changes)
            yield changes
            ended = changes.state in ENDED_STUDY
            if ended and not changes.items:
                return
            since, wait = changes.version, 0.0 if ended else wait

    def to_pandas(self) -> "pd.DataFrame":
        """A row for each trial, indexed by number.  Needs pandas: pip install 'trimtab[pandas]'."""
        from trimtab._frame import frame

        return frame(self.results())

    def export(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        format: str = "csv",  # noqa: A002
    ) -> str | None:
        """Write all trials to a file as csv or jsonl; without a path, return the text."""
        call = Call("GET", f"{self._path}/export", params={"format": format}, timeout=300.0)
        with self._transport.stream(call) as response:
            if response.is_error:
                response.read()
                raise_for(response)
            if path is None:
                return str(response.read().decode("utf-8"))
            with open(path, "wb") as file:  # noqa: PTH123 - takes what open() takes
                file.writelines(response.iter_bytes())
        return None

    def watch(self) -> None:
        """Show the study in the terminal, live, until it has ended; Ctrl-C only ends the show."""
        from trimtab._watch import watch

        watch(self)

    # Changing

    def change(self, **changes: Any) -> StudyInfo:
        """Change name, notes, tags, budget, max_running or managed; None removes a limit.

        If somebody changes the study at the same moment, this is done after them.
        """
        body = {
            name: value.to_json() if isinstance(value, Budget) else value
            for name, value in changes.items()
        }
        while True:
            headers = {"If-Match": f'"{self.refresh().revision}"'}
            try:
                answer = self._transport.send(Call("PATCH", self._path, body, headers=headers))
            except RevisionConflict:
                continue
            self.info = answer.read(StudyInfo)
            return self.info

    def pause(self, *, now: bool = False) -> None:
        """Hand out no more trials; with `now`, running ones are asked to be given back."""
        self._post(":pause", {"now": now})

    def resume(self) -> None:
        """Hand out trials again."""
        self._post(":resume", {})

    def stop(self, reason: str = "stopped by a person") -> None:
        """End the study for good; running trials are asked to stop."""
        self._post(":stop", {"reason": reason})

    def delete(self) -> None:
        """Delete the study and all its trials."""
        self._transport.send(Call("DELETE", self._path))

    def enqueue(
        self, *configs: Config, context: Config | None = None, replicate: bool = False
    ) -> list[Numbered]:
        """Queue configs to run before any suggestion; they count in the budget.

        In a study with a context they are for whoever asks in the `context` given.  Raises
        ConfigExists when the study has one of them (in this context), unless `replicate`.
        """
        body: dict[str, Any] = {
            "configs": [dict(config) for config in configs],
            "replicate": replicate,
        }
        if context:
            body["context"] = dict(context)
        return self._post("/trials", body).read(Made).trials

    def import_trials(
        self, trials: Sequence[Mapping[str, Any]], *, replicate: bool = True
    ) -> list[Numbered]:
        """Bring in trials that ran elsewhere, for the searcher to learn from.

        Each is `{"config": ..., "values": {...}}`, with `errors` (standard errors of the values),
        `gradients`, `context`, `state`, `measurements`, `reason` and `tags` if one likes.
        """
        from trimtab._import import trial_to_json

        body = {"trials": [trial_to_json(trial) for trial in trials], "replicate": replicate}
        return self._post("/trials:import", body).read(Made).trials

    def cancel(self, trial: Which, reason: str = "cancelled by a person") -> None:
        """Cancel a trial; its worker learns of it at its next report."""
        self._transport.send(Call("POST", f"{self._trial(trial)}:cancel", {"reason": reason}))

    def retry(self, trial: Which) -> Numbered:
        """Run the config of an ended trial again, as a new trial."""
        call = Call("POST", f"{self._trial(trial)}:retry", {}).once()
        return self._transport.send(call).read(Numbered)

    def __repr__(self) -> str:
        return f"<Study {self.name!r}>"

    def _get(self, path: str, **params: Any) -> Answer:
        return self._transport.send(Call("GET", self._path + path, params=params))

    def _post(self, path: str, body: Mapping[str, Any]) -> Answer:
        return self._transport.send(Call("POST", self._path + path, body).once())

    def _trial(self, trial: Which) -> str:
        if isinstance(trial, int):
            for found in self.results():
                if found.number == trial:
                    return f"/v1/trials/{found.id}"
            raise NotFound(f"{self.name} has no trial {trial}", status=404)
        return f"/v1/trials/{quote(trial if isinstance(trial, str) else trial.id, safe='')}"
