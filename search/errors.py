"""What can go wrong in the search layer.

SearchError
├── InvalidSpace          a parameter or a search space that cannot be searched     (ValueError)
├── InvalidConfig         a config that is not a point of its space                 (ValueError)
├── InvalidProblem        objectives or outcome constraints that contradict         (ValueError)
├── InvalidSettings       a searcher's or scheduler's setting out of its range      (ValueError)
└── UnsupportedProblem    a searcher that cannot serve a problem, with the reasons  (ValueError)

All are ValueErrors too, so that a reader such as pydantic reports them as bad input.
"""

from typing import TypeAlias

Path: TypeAlias = tuple[str | int, ...]


class SearchError(Exception):
    """Root of every error that the search layer raises on purpose.

    `at` leads to the field that is wrong, from what was being made: ("parameters", 2, "when"); it
    is empty where the whole is wrong.  `reason` says what is wrong with it.
    """

    def __init__(self, message: str = "", *, at: Path = ()) -> None:
        super().__init__(message)
        self.at = at
        self.reason = message


class InvalidSpace(SearchError, ValueError):
    """A parameter or a search space that cannot be searched."""


class InvalidConfig(SearchError, ValueError):
    """A config that is not a point of its space; `parameter` names the culprit, if there is one."""

    def __init__(self, message: str, *, parameter: str | None = None, at: Path = ()) -> None:
        super().__init__(message, at=at)
        self.parameter = parameter


class InvalidProblem(SearchError, ValueError):
    """Objectives or outcome constraints that contradict each other."""


class InvalidSettings(SearchError, ValueError):
    """A setting of a searcher or a scheduler that is out of its range; the message names it."""

    def __init__(self, reason: str, *, at: Path) -> None:
        super().__init__(f"{'.'.join(map(str, at))}: {reason}", at=at)
        self.reason = reason


class UnsupportedProblem(SearchError, ValueError):
    """A searcher that cannot serve a problem."""

    def __init__(self, searcher: str, reasons: tuple[str, ...]) -> None:
        super().__init__(f"searcher {searcher!r} cannot serve this study: {'; '.join(reasons)}")
        self.searcher = searcher
        self.reasons = reasons
