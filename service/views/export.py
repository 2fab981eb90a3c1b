"""A study's trials as a file: CSV for spreadsheets, JSON lines for programs.

Rows are read in batches, each on a connection of its own, so that a slow reader holds none.
"""

import csv
import io
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Literal

from search.gradients import differentiable
from service.db.rows import Row, fetch_all
from service.http.cursors import encode
from service.http.streams import begun
from service.resources import Resources
from service.studies.spec import Spec
from service.views.listing import TrialFilter, TrialQuery, trial_rows
from service.views.trials import trial_item

BATCH = 500
# What a spreadsheet takes for the beginning of a formula.
DANGEROUS = ("=", "+", "-", "@", "\t", "\r")
FIXED = (
    "number",
    "id",
    "state",
    "reason",
    "attempt",
    "last_step",
    "worker",
    "created_at",
    "started_at",
    "finished_at",
    "tags",
)
# Parts of a trial that take columns, and how those are headed.
HEADS = {
    "config": "config",
    "context": "context",
    "values": "metric",
    "errors": "error",
    "gradients": "gradient",
}
METRICS = """
select n.name, exists (select from trial t where t.study_id = n.study_id and t.errors ? n.name)
       as has_errors
  from metric_name n where n.study_id = %(study)s order by n.id
"""


class ExportQuery(TrialFilter):
    """Which trials, in which form."""

    format: Literal["csv", "jsonl"] = "csv"


async def json_lines(needs: Resources, study_id: int, wanted: TrialFilter) -> AsyncIterator[str]:
    """A line for each trial, as it stands in a list."""
    async for row in _rows(needs, study_id, wanted):
        yield trial_item(row).model_dump_json() + "\n"


async def csv_lines(
    needs: Resources, study_id: int, spec: Spec, wanted: TrialFilter
) -> AsyncIterator[str]:
    """A header and a line for each trial; a column for each parameter and each metric told.

    Metrics have a column for their standard errors where any trial has one, float parameters one
    for the objective's derivatives where those are told.
    """
    async with needs.cold() as connection:
        rows = await fetch_all(connection, METRICS, {"study": study_id})
    columns = {
        "config": [parameter.name for parameter in spec.problem.space.parameters],
        "context": [parameter.name for parameter in spec.problem.context],
        "values": [row["name"] for row in rows],
        "errors": [row["name"] for row in rows if row["has_errors"]],
        "gradients": differentiable(spec.problem),
    }
    found = await begun(_rows(needs, study_id, wanted))
    yield _line([*FIXED, *_heads(columns)])
    async for row in found:
        yield _line(_cells(row, columns))


async def _rows(needs: Resources, study_id: int, wanted: TrialFilter) -> AsyncIterator[Row]:
    cursor: str | None = None
    while True:
        query = TrialQuery(state=wanted.state, where=wanted.where, cursor=cursor)
        async with needs.cold() as connection:
            rows = await trial_rows(connection, study_id, query, limit=BATCH)
        for row in rows:
            yield row
        if len(rows) < BATCH:
            return
        cursor = encode([rows[-1]["sort_key"], rows[-1]["number"]])


def _heads(columns: Mapping[str, Sequence[str]]) -> list[str]:
    return [f"{HEADS[part]}.{name}" for part, names in columns.items() for name in names]


def _cells(row: Row, columns: Mapping[str, Sequence[str]]) -> list[Any]:
    item = trial_item(row).model_dump(mode="json")
    fixed = [" ".join(item["tags"]) if name == "tags" else item[name] for name in FIXED]
    found = (item[part].get(name) for part, names in columns.items() for name in names)
    return [*fixed, *map(_value, found)]


def _value(value: Any) -> Any:
    """A permutation as JSON, like in a body; any other value as it stands."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list) else value


def _line(cells: Sequence[Any]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow([_safe(cell) for cell in cells])
    return text.getvalue()


def _safe(cell: Any) -> Any:
    """Text that a spreadsheet would run gets an apostrophe before it; numbers stay as they are."""
    if isinstance(cell, str) and cell.startswith(DANGEROUS) and cell != "-Infinity":
        return f"'{cell}"
    return cell
