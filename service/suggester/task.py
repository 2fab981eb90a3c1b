"""What a suggester and its computing processes say to each other.

Tasks go down as pickles, from a process to its own child; answers come up as JSON, so that what a
searcher made is known to be JSON before it goes anywhere near the database.
"""

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from search.problem import Problem
from search.searcher import MAX_MEMO_BYTES, Memo, Searcher
from search.trial import Trial
from search.values import JSON, Config

LENGTH = struct.Struct("!Q")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """A batch to be computed; `because` asks for Sobol points instead, and says why."""

    study_id: int
    version: int
    changed: Mapping[int, Trial]  # since the version that the child has; all, if `anew`
    anew: bool
    forget: Sequence[int]  # studies that the child need not remember any more
    problem: Problem
    searcher: Searcher
    batch: int
    memo: Memo | None
    reserved: Sequence[Config]
    count: int
    preferences: Sequence[tuple[int, int]] = ()
    answers: int = 0  # that the preferences come from
    modules: Sequence[str] = ()  # loaded before the time is taken
    because: str | None = None
    context: Config = field(default_factory=dict)
    budget: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Inquiry:
    """An insight to be worked out: a metric's explanation, or the best trial of a noisy one."""

    kind: Literal["explanation", "best"]
    metric: str
    problem: Problem
    trials: Sequence[Trial]
    preferences: Sequence[tuple[int, int]] = ()


@dataclass(frozen=True, slots=True)
class WarmUp:
    """Load what batches need, so that the first one does not wait for it."""

    modules: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A batch that was computed, or the body of an insight; or why there is none."""

    suggestions: Sequence[tuple[Config, Mapping[str, JSON], int | None]] = ()  # the last: until
    memo: Memo | None = None
    exhausted: bool = False
    seen: int = 0
    pending: Sequence[Config] = ()
    seconds: float = 0.0
    error: str | None = None
    body: JSON = None


def write_answer(answer: Answer) -> bytes:
    """The answer as JSON; raises ValueError for what JSON cannot hold."""
    memo: JSON = None
    if answer.memo is not None:
        memo = {"version": answer.memo.version, "data": answer.memo.data}
    if memo is not None and len(json.dumps(memo, allow_nan=False)) > MAX_MEMO_BYTES:
        raise ValueError(f"the memo exceeds {MAX_MEMO_BYTES} bytes")
    body: dict[str, Any] = {
        "suggestions": [
            [dict(config), dict(origin), until] for config, origin, until in answer.suggestions
        ],
        "memo": memo,
        "exhausted": answer.exhausted,
        "seen": answer.seen,
        "pending": [dict(config) for config in answer.pending],
        "seconds": answer.seconds,
        "error": answer.error,
        "body": answer.body,
    }
    return json.dumps(body, allow_nan=False).encode()


def read_answer(line: bytes) -> Answer:
    """What `write_answer` wrote."""
    body = json.loads(line)
    memo = body["memo"] and Memo(version=body["memo"]["version"], data=body["memo"]["data"])
    suggestions = [(config, origin, until) for config, origin, until in body["suggestions"]]
    return Answer(**{**body, "memo": memo, "suggestions": suggestions})
