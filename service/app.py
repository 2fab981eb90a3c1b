"""The FastAPI app: what it is made of, and what starts and stops with it."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import cache, partial

from fastapi import APIRouter, FastAPI

from service.auth.bootstrap import bootstrapping
from service.auth.keyring import Keyring
from service.auth.routes import router as keys
from service.checkpoints.routes import router as checkpoints
from service.db.engine import make_engine, make_hot_pool
from service.fleet.routes import router as fleet
from service.http.problems import install
from service.insights.routes import router as insights
from service.leases.reaper import listening, reaping
from service.leases.routes import router as leases
from service.methods.routes import router as methods
from service.observability.health import router as health
from service.observability.requests import Requests
from service.openapi import document
from service.pages.routes import router as pages
from service.preferences.routes import router as preferences
from service.resources import Resources, storage_of
from service.settings import Settings
from service.studies.routes import router as studies
from service.studies.sweeper import sweeping
from service.trials.routes import bulk as bulk_trials
from service.trials.routes import router as trials
from service.version import SERVER
from service.views.study_routes import router as study_views
from service.views.trial_routes import router as trial_views

# Everything under /v1, a slice a line.  Routes are tried in this order: workers call most.
ROUTERS: tuple[APIRouter, ...] = (
    leases,
    keys,
    studies,
    study_views,
    insights,
    trial_views,
    methods,
    fleet,
    trials,
    bulk_trials,
    preferences,
    checkpoints,
)
# What runs beside the requests for as long as the app does.
BACKGROUND: tuple[Callable[[Resources], AbstractAsyncContextManager[None]], ...] = (
    bootstrapping,
    sweeping,
    listening,
    reaping,
)


def create_app(settings: Settings | None = None) -> FastAPI:
    """The app; connections open when it starts and close when it ends."""
    settings = settings or Settings()
    app = FastAPI(
        title="Trimtab",
        summary="Hyperparameter tuning: ask for a config, report, tell",
        version=SERVER,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    app.state.settings = settings
    for router in ROUTERS:
        app.include_router(router, prefix="/v1")
    app.include_router(health)
    app.include_router(pages)
    app.add_middleware(Requests)
    install(app)
    app.openapi = cache(partial(document, app))  # type: ignore[method-assign]
    return app


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open what requests need, in order; close it in the opposite one."""
    settings: Settings = app.state.settings
    async with AsyncExitStack() as stack:
        engine = make_engine(settings)
        stack.push_async_callback(engine.dispose)
        hot = make_hot_pool(settings)
        # The app starts without its database too, and says so at /readyz.
        await hot.open(wait=False)
        stack.push_async_callback(hot.close)
        resources = Resources(
            settings=settings,
            engine=engine,
            hot=hot,
            storage=storage_of(settings),
            keyring=Keyring(hot, pepper=settings.key_pepper.get_secret_value()),
        )
        app.state.resources = resources
        for running in BACKGROUND:
            await stack.enter_async_context(running(resources))
        yield
