"""Computing one batch: by the study's searcher, and by Sobol where that fails or takes too long."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from search.preferences import pairs_of
from search.values import Config
from service.db.engine import HotPool
from service.preferences.read import rankings
from service.studies.spec import Spec
from service.suggester.batches import BatchLease, Before, Made, Proposal, read_before
from service.suggester.children import Child, ChildDied, Lane, TookTooLong
from service.suggester.history import read_changed
from service.suggester.models import modules
from service.suggester.plan import Plan
from service.suggester.task import Answer, Fit

FALLBACK_SECONDS = 60.0  # Sobol takes milliseconds; its process may have to start first
EXHAUSTED = "search space exhausted"


@dataclass(slots=True)
class Lanes:
    """Where batches are computed."""

    quick: Lane
    models: Lane
    insights: Lane = field(default_factory=lambda: Lane(1))
    _loading: dict[tuple[str, ...], asyncio.Task[None]] = field(default_factory=dict)

    def load_models(self, modules: tuple[str, ...]) -> None:
        """Have one process load what fits need, before the first of them; a repeat does nothing."""
        if modules not in self._loading:
            self._loading[modules] = asyncio.create_task(self.models.warm_up(modules))

    async def close(self) -> None:
        """End all processes."""
        for task in self._loading.values():
            task.cancel()
        await asyncio.gather(*self._loading.values(), return_exceptions=True)
        await self.quick.close()
        await self.models.close()
        await self.insights.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A batch that is to be computed."""

    lease: BatchLease
    spec: Spec
    plan: Plan
    model: bool
    context: Config = field(default_factory=dict)
    budget: int | None = None
    asked: bool = True  # somebody waits for it


class Computing:
    """Turns orders into batches."""

    def __init__(self, pool: HotPool, lanes: Lanes, *, fit_seconds: float) -> None:
        self._pool = pool
        self._lanes = lanes
        self._fit_seconds = fit_seconds

    async def compute(self, order: Order) -> tuple[Made, Before]:
        """The batch.  No transaction and no connection is held meanwhile.

        Raises LookupError when the study is gone; what else goes wrong ends in Sobol points.
        """
        lane = self._lanes.models if order.model else self._lanes.quick
        needed = modules(order.spec.searcher, order.spec.problem) if order.model else ()
        async with lane.child(order.lease.study_id, modules=needed) as child:
            fit, before, superseded = await self._fit(order, child)
            begun = time.monotonic()
            try:
                answer = await child.fit(fit, self._fit_seconds)
            except (ChildDied, TookTooLong) as error:
                answer = Answer(error=f"the fit {error}")
            seconds = time.monotonic() - begun
        if answer.error is not None and not answer.suggestions and not answer.exhausted:
            answer = await self.fall_back(order, order.plan.count, answer.error)
        made = _made(answer, superseded, fit.version, seconds)
        return replace(made, context=order.context), before

    async def fall_back(self, order: Order, count: int, because: str) -> Answer:
        """As many Sobol points, beside whatever is in the buffer."""
        async with self._lanes.quick.child(order.lease.study_id) as child:
            fit, before, _ = await self._fit(order, child)
            sobol = replace(fit, because=because, count=count, reserved=before.buffer, modules=())
            try:
                answer = await child.fit(sobol, FALLBACK_SECONDS)
            except (ChildDied, TookTooLong) as error:
                answer = Answer(error=f"Sobol {error}")
        return replace(answer, memo=fit.memo, error=because)

    async def _fit(self, order: Order, child: Child) -> tuple[Fit, Before, Sequence[Config]]:
        study_id, plan = order.lease.study_id, order.plan
        async with self._pool.connection() as connection:
            since = child.versions.get(study_id)
            version, changed = await read_changed(
                connection,
                study_id,
                -1 if since is None else since,
                curves=order.spec.problem.objectives[0].metric if order.model else None,
            )
            before = await read_before(connection, study_id, order.context)
            given: list[list[int]] = []
            if order.spec.problem.by_preference:
                given = await rankings(connection, study_id, version)
        kept = plan.soon_taken if plan.refresh else len(before.buffer)
        fit = Fit(
            study_id=study_id,
            version=version,
            changed=changed,
            anew=since is None,
            forget=child.to_forget(study_id),
            problem=order.spec.problem,
            searcher=order.spec.searcher,
            batch=order.lease.number,
            memo=before.memo,
            reserved=before.buffer[:kept],
            count=plan.count,
            preferences=pairs_of(given),
            answers=len(given),
            modules=modules(order.spec.searcher, order.spec.problem) if order.model else (),
            context=order.context,
            budget=order.budget,
        )
        return fit, before, before.buffer[kept:]


def _made(answer: Answer, superseded: Sequence[Config], version: int, seconds: float) -> Made:
    return Made(
        proposals=[Proposal(config=c, origin=o, until=u) for c, o, u in answer.suggestions],
        superseded=superseded,
        seen=answer.seen,
        watermark=version,
        pending=answer.pending,
        memo=answer.memo,
        exhausted=EXHAUSTED if answer.exhausted else None,
        error=answer.error,
        seconds=seconds,
    )
