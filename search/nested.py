"""The memos of several searchers within one: for a searcher that is made of others."""

from collections.abc import Mapping

from search.searcher import Memo
from search.values import JSON

VERSION = 1


def read_memos(memo: Memo | None) -> Mapping[str, Memo]:
    """The memos by name; whatever was not written here reads as none."""
    if memo is None or memo.version != VERSION or not isinstance(memo.data, dict):
        return {}
    return {name: found for name, part in memo.data.items() if (found := _part(part))}


def write_memos(**memos: Memo | None) -> Memo | None:
    """One memo that holds them; None where there is nothing to hold."""
    data: dict[str, JSON] = {
        name: {"version": memo.version, "data": memo.data} for name, memo in memos.items() if memo
    }
    return Memo(version=VERSION, data=data) if data else None


def _part(part: JSON) -> Memo | None:
    if not isinstance(part, dict) or not isinstance(version := part.get("version"), int):
        return None
    return Memo(version=version, data=part.get("data"))
