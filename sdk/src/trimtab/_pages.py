"""Lists that come in pages."""

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel

from trimtab._transport import Call, Transport
from trimtab.models import Page

Item = TypeVar("Item", bound=BaseModel)
PAGE = 200


def pages(
    transport: Transport, path: str, item: type[Item], params: Mapping[str, Any] | None = None
) -> Iterator[Item]:
    """All items of a list, page by page as they are consumed."""
    cursor: str | None = None
    while True:
        query = {"limit": PAGE, **(params or {}), "cursor": cursor}
        page = transport.send(Call("GET", path, params=query)).read(Page[item])  # type: ignore[valid-type]
        yield from page.items
        if page.next is None:
            return
        cursor = page.next
