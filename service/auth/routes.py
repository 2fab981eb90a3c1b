"""Keys, who one is, and the versions."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from sqlalchemy import Row

from service.auth import store
from service.auth.deps import Admin, Caller, Writer
from service.auth.keys import digest, new_key, public_part
from service.auth.principal import SCOPES
from service.errors import Forbidden, NotFound
from service.http.cursors import decode, page
from service.http.json import StrictRoute
from service.http.params import Paging
from service.resources import Needs
from service.schemas.base import Page
from service.schemas.others import KeyCreate, KeyItem, KeyMade, Me, Version
from service.version import API, OLDEST_SDK, SERVER

router = APIRouter(route_class=StrictRoute, tags=["keys"])


@router.post("/keys", status_code=201)
async def create_key(body: KeyCreate, needs: Needs, caller: Writer) -> KeyMade:
    """Make a key; it may do no more than the key that makes it, and is shown this once."""
    if not caller.allowed.issuperset(body.scopes):
        given = ", ".join(_ordered(caller.allowed))
        raise Forbidden(f"this key can give only these scopes: {given}")
    key = new_key()
    public = public_part(key)
    assert public is not None
    async with needs.engine.begin() as connection:
        row = await store.add(
            connection,
            project_id=caller.project_id,
            public_id=public,
            name=body.name,
            stored=digest(key, needs.settings.key_pepper.get_secret_value()),
            scopes=_ordered(set(body.scopes)),
            days=body.days,
        )
    return KeyMade(**_item(row).model_dump(), key=key)


@router.get("/keys")
async def list_keys(
    paging: Annotated[Paging, Query()], needs: Needs, caller: Admin
) -> Page[KeyItem]:
    """The project's keys, revoked ones included, oldest first; never a secret."""
    after = decode(paging.cursor, int)[0] if paging.cursor else 0
    async with needs.engine.connect() as connection:
        rows = await store.page(
            connection, project_id=caller.project_id, after=after, limit=paging.limit + 1
        )
    return page(rows, limit=paging.limit, item=_item, key=lambda row: [row.id])


@router.delete("/keys/{key}", status_code=204)
async def revoke_key(key: str, needs: Needs, caller: Admin) -> None:
    """Revoke a key by its public id; other replicas notice within five seconds."""
    async with needs.engine.begin() as connection:
        found = await store.revoke(connection, project_id=caller.project_id, public_id=key)
    if not found:
        raise NotFound("the project has no such key")
    needs.keyring.forget(key)


@router.get("/me")
async def me(needs: Needs, caller: Caller) -> Me:
    """What the key is, and what it may do."""
    async with needs.engine.connect() as connection:
        name = await store.project_name(connection, caller.project_id)
    return Me(
        project=name,
        key=caller.public_id,
        name=caller.name,
        scopes=_ordered(caller.scopes),
        expires_at=caller.expires_at,
    )


@router.get("/version")
async def version() -> Version:
    """The server's version, and the oldest SDK that it serves.  Needs no key."""
    return Version(server=SERVER, api=API, oldest_sdk=OLDEST_SDK)


def _ordered(scopes: frozenset[str] | set[str]) -> list[Any]:
    return [scope for scope in SCOPES if scope in scopes]


def _item(row: Row[Any]) -> KeyItem:
    return KeyItem(
        id=row.public_id,
        name=row.name,
        scopes=row.scopes,
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        last_used_at=row.last_used_at,
    )
