"""Who is calling, and what that allows."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

SCOPES = ("read", "run", "write", "admin")
_IMPLIED = {"admin": frozenset(SCOPES), "write": frozenset({"write", "read"})}


@dataclass(frozen=True)
class Principal:
    """The key that a request carries, and its project: nothing outside it exists for the caller."""

    project_id: int
    key_id: int
    public_id: str
    name: str
    scopes: frozenset[str]
    expires_at: datetime | None = None

    def may(self, scopes: Iterable[str]) -> bool:
        """Whether any of the scopes is held: admin holds all, write holds read."""
        return not self.allowed.isdisjoint(scopes)

    @property
    def allowed(self) -> frozenset[str]:
        """The scopes with all that they imply."""
        return self.scopes.union(*(_IMPLIED.get(scope, ()) for scope in self.scopes))
