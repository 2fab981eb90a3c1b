"""What can be chosen: searchers, schedulers, and a look at what a space would give."""

import asyncio
import inspect
from collections.abc import Mapping
from functools import cache
from typing import Any

from fastapi import APIRouter
from pydantic import TypeAdapter

from search.registry import SCHEDULERS, SEARCHERS
from search.searcher import Searcher
from search.space import SearchSpace
from service.auth.deps import Looker, Reader
from service.http.json import StrictRoute
from service.schemas.others import Method, Methods, Sampled, SpaceSample

router = APIRouter(route_class=StrictRoute, tags=["methods"])


@router.post("/spaces:sample")
async def sample(body: SpaceSample, caller: Reader) -> Sampled:
    """Configs of a space, drawn evenly on its declared scales or as priors say.

    The same seed draws the same.
    """
    return Sampled(configs=await asyncio.to_thread(draw, body.space, body.count, body.seed))


@router.get("/searchers")
async def searchers(caller: Looker) -> Methods:
    """What can propose configs."""
    return Methods(items=list(_methods("searchers")))


@router.get("/schedulers")
async def schedulers(caller: Looker) -> Methods:
    """What can decide how far a trial runs."""
    return Methods(items=list(_methods("schedulers")))


def draw(space: SearchSpace, count: int, seed: int) -> list[dict[str, Any]]:
    """Configs of the space; numpy is loaded here and not with the app."""
    import numpy as np

    return space.sample(np.random.default_rng(seed), count)


@cache
def _methods(which: str) -> tuple[Method, ...]:
    known: Mapping[str, type] = {"searchers": SEARCHERS, "schedulers": SCHEDULERS}[which]
    return tuple(_method(kind, settings) for kind, settings in sorted(known.items()))


def _method(kind: str, settings: type) -> Method:
    features = settings.features | settings.aids if issubclass(settings, Searcher) else ()
    text = inspect.cleandoc(settings.__doc__ or "")
    return Method(
        kind=kind,
        summary=" ".join(text.split("\n\n", maxsplit=1)[0].split()),
        features=sorted(str(feature) for feature in features),
        settings=TypeAdapter(settings).json_schema(),
    )
