"""How commands print: tables for people, JSON for programs."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from rich.console import Console
from rich.table import Table
from rich.text import Text


def console() -> Console:
    """Where tables go; off a terminal they are as wide as they need to be."""
    out = Console()
    return out if out.is_terminal else Console(width=200)


def print_json(things: Iterable[BaseModel]) -> None:
    """A JSON object on each line."""
    for thing in things:
        print(json.dumps(_plain(thing.model_dump(mode="json"))))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], empty: str) -> None:
    """A table, or `empty` when there are no rows."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*[Text("" if cell is None else str(cell)) for cell in row])
    console().print(table if table.row_count else Text(empty))


def _plain(value: Any) -> Any:
    """The value without NaN and infinity, which JSON lacks: as text."""
    if isinstance(value, float) and value not in (float("inf"), float("-inf")) and value == value:  # noqa: PLR0124
        return value
    if isinstance(value, float):
        return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[str(value)]
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value
