"""Pages for people who open the server's address in a browser; they work without any network."""

from functools import cache
from pathlib import Path

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse

from service.pages.reference import page, reference
from service.version import SERVER

router = APIRouter(include_in_schema=False)

HOME = """
<p>This is a hyperparameter tuning service: it proposes configs, workers train with them and report
what they measure, and every number is kept.</p>
<pre>import trimtab as tt

client = tt.Client()
study = client.create_study("first", space=[tt.Float("lr", 1e-5, 0.1, log=True)],
                            minimize="loss", budget=tt.Budget(trials=5))
for trial in study.trials():
    trial.report(0, loss=(trial.config["lr"] - 0.01) ** 2)
print(study.best.config)</pre>
<ul>
<li><a href="/docs">The API's documentation</a>, and as <a href="/openapi.json">OpenAPI</a></li>
<li><a href="/readyz">Whether it is ready</a>, and <a href="/metrics">its metrics</a></li>
</ul>
"""


@router.get("/")
async def home() -> HTMLResponse:
    """What this is."""
    return HTMLResponse(page("Trimtab", f"{HOME}<p>Version {SERVER}</p>"))


@router.get("/docs")
async def docs(request: Request) -> HTMLResponse:
    """The documentation of the API."""
    return HTMLResponse(reference(request.app.openapi()))


@router.get("/openapi.json")
async def openapi(request: Request) -> JSONResponse:
    """The contract."""
    return JSONResponse(request.app.openapi())


@router.get("/style.css")
async def style() -> Response:
    """How the pages look."""
    return Response(_style(), media_type="text/css")


@cache
def _style() -> str:
    return Path(__file__).with_name("style.css").read_text(encoding="utf-8")
