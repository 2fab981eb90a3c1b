"""The door: what a route says to let in only those who may."""

from typing import Annotated

from fastapi import Depends, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from service.auth.keyring import KnownKey
from service.auth.principal import Principal
from service.errors import Forbidden, Unauthenticated
from service.resources import Needs

bearer = HTTPBearer(
    auto_error=False,
    scheme_name="key",
    bearerFormat="tt_<public>_<secret>_<crc32>",
    description="An API key: `Authorization: Bearer tt_...`",
)
CHALLENGE = {"WWW-Authenticate": "Bearer"}


async def known_key(
    needs: Needs, sent: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]
) -> KnownKey:
    """The key that the request carries; raises Unauthenticated."""
    if sent is None:
        raise Unauthenticated("send the header `Authorization: Bearer tt_...`", headers=CHALLENGE)
    found = await needs.keyring.find(sent.credentials)
    if found is None:
        raise Unauthenticated("the key is unknown, revoked or expired", headers=CHALLENGE)
    return found


class require:  # noqa: N801  (read as a word: `Depends(require("run"))`)
    """A dependency that returns the Principal if its key has any one of the scopes.

    Raises Unauthenticated without a good key, Forbidden with one that may not.  Without scopes,
    any good key will do.
    """

    def __init__(self, *scopes: str) -> None:
        self.scopes = scopes

    async def __call__(self, key: Annotated[KnownKey, Depends(known_key)]) -> Principal:
        if self.scopes and not key.principal.may(self.scopes):
            wanted = " or ".join(self.scopes)
            raise Forbidden(f"this needs a key with the scope {wanted}")
        return key.principal


# The scopes stand twice so that they appear in OpenAPI too: any one of them will do.
Caller = Annotated[Principal, Depends(require())]
Reader = Annotated[Principal, Security(require("read"), scopes=["read"])]
Looker = Annotated[Principal, Security(require("read", "run"), scopes=["read", "run"])]
Runner = Annotated[Principal, Security(require("run"), scopes=["run"])]
Noter = Annotated[Principal, Security(require("write", "run"), scopes=["write", "run"])]
Writer = Annotated[Principal, Security(require("write"), scopes=["write"])]
Admin = Annotated[Principal, Security(require("admin"), scopes=["admin"])]
