"""How many variants of our searcher have been tried on the list that one may choose on.

Each variant, settings and sources together, is written down when it first runs there.  Whoever
reads a reported number can then tell from how many it was picked.
"""

import json
from collections.abc import Iterable
from pathlib import Path

from bench.search.solvers import Arm

PATH = Path(__file__).resolve().parent / "variants.json"


def tried(path: Path = PATH) -> list[str]:
    """The variants so far."""
    return list(json.loads(path.read_text())) if path.exists() else []


def note(arms: Iterable[Arm], path: Path = PATH) -> None:
    """Write down the variants of ours among the arms."""
    before = tried(path)
    ours = [f"{arm.name} @ {arm.version}" for arm in arms if arm.ours]
    after = list(dict.fromkeys([*before, *ours]))
    if after != before:
        path.write_text(json.dumps(after, indent=1) + "\n")
