"""Bodies about spaces, searchers, keys, the fleet and the server itself."""

from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field

from search.space import SearchSpace
from service.schemas.base import Body, ConfigBody, Label, WorkerName

Scope: TypeAlias = Literal["read", "run", "write", "admin"]


class SpaceSample(Body):
    """Draw configs from a space, evenly on its declared scales or as priors say."""

    space: SearchSpace
    count: Annotated[int, Field(ge=1, le=1_000)] = 10
    seed: Annotated[int, Field(ge=0, le=2**53)] = 0


class Sampled(Body):
    """Configs of the space."""

    configs: list[ConfigBody]


class Method(Body):
    """A searcher or scheduler: its settings as a JSON Schema, and what it supports."""

    kind: str
    summary: str
    features: list[str]
    settings: dict[str, Any]


class Methods(Body):
    """All that can be chosen."""

    items: list[Method]


class RecipeItem(Body):
    """A built-in training program that the fleet can run."""

    name: str
    summary: str
    arguments: dict[str, Any]


class Recipes(Body):
    """What the running fleet announced; empty while no fleet runs."""

    items: list[RecipeItem]


class AgentBody(Body):
    """One holder of resources in the fleet."""

    name: WorkerName
    study: str | None = None
    state: Literal["starting", "idle", "running"]
    resources: dict[str, float] = {}


class FleetBeat(Body):
    """What the fleet's controller says every few seconds."""

    fleet: WorkerName
    resources: dict[str, float] = {}
    agents: Annotated[list[AgentBody], Field(max_length=10_000)] = []
    recipes: Annotated[list[RecipeItem], Field(max_length=100)] = []


class AgentItem(AgentBody):
    """An agent and when it was last heard of."""

    seen_at: datetime


class Fleet(Body):
    """The agents heard of in the last minute."""

    items: list[AgentItem]
    resources: dict[str, float]


class Me(Body):
    """Who the key says you are."""

    project: str
    key: str
    name: str
    scopes: list[Scope]
    expires_at: datetime | None


class Version(Body):
    """The server's version and the oldest SDK that it serves."""

    server: str
    api: str
    oldest_sdk: str


class KeyCreate(Body):
    """A key to be made."""

    name: Label
    scopes: Annotated[list[Scope], Field(min_length=1)]
    days: Annotated[int, Field(ge=1, le=3_650)] | None = 90


class KeyItem(Body):
    """A key without its secret."""

    id: str
    name: str
    scopes: list[Scope]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


class KeyMade(KeyItem):
    """A new key; the secret is shown this once."""

    key: str


class Problem(Body):
    """An error, as RFC 9457 has it; `code` names it for programs."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    errors: list[dict[str, Any]] = []
    request_id: str | None = None
    reason: str | None = None
