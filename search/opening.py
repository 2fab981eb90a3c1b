"""Sobol points for the first trials of a study, before there is anything to learn from."""

from collections.abc import Callable
from dataclasses import replace

from search.searcher import Batch, History
from search.searchers.sobol import Sobol


def after_opening(
    history: History, count: int, initial: int, rest: Callable[[History, int], Batch]
) -> Batch:
    """Sobol points until the study has `initial` trials, then what `rest` answers.

    Every trial counts, however it ended, and so does every suggestion that waits to become one.
    """
    early = min(count, max(0, initial - len(history.trials) - len(history.reserved)))
    if not early:
        return rest(history, count)
    opening = Sobol().suggest(history, early)
    if early == count or opening.exhausted:
        return opening
    proposed = [suggestion.config for suggestion in opening.suggestions]
    later = rest(replace(history, reserved=[*history.reserved, *proposed]), count - early)
    return replace(later, suggestions=[*opening.suggestions, *later.suggestions])
