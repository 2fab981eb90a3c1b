"""Numbers made of samples, and the file a benchmark leaves behind."""

import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from bench.parts.machine import ROOT

FOLDER = ROOT / "bench" / "results"
_BEGAN = time.monotonic()


def say(text: str) -> None:
    """Print a line of progress with the seconds since the start."""
    print(f"[{time.monotonic() - _BEGAN:6.1f} s] {text}", file=sys.stderr, flush=True)


def elapsed() -> float:
    """Seconds since the benchmark began."""
    return time.monotonic() - _BEGAN


def summary(samples: Sequence[float]) -> dict[str, float | int]:
    """The median of the samples and how far they spread."""
    return {
        "median": round(median(samples), 4),
        "low": round(min(samples), 4),
        "high": round(max(samples), 4),
        "n": len(samples),
    }


def quantile(samples: Sequence[float], share: float) -> float:
    """The smallest sample that at least `share` of the samples do not exceed."""
    if not samples:
        raise ValueError("a quantile needs at least one sample")
    ordered = sorted(samples)
    rank = -(-share * len(ordered) // 1)  # ceiling
    return ordered[min(len(ordered), max(1, int(rank))) - 1]


def save(name: str, result: Mapping[str, object], path: Path | None = None) -> Path:
    """Write the result as JSON, to bench/results/<name>.json unless a path is given."""
    target = path or FOLDER / f"{name}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(result, indent=2, allow_nan=False) + "\n")
    return target


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows as text in columns, the first row as the head."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    ]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])
