"""What the evolutionary searchers share: Sobol points to begin with, then children."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import islice

from search.fallback import sobol_instead
from search.fresh import patience, topped_up
from search.searcher import Batch, History, Memo, Suggestion
from search.searchers.sobol import Sobol

AT_A_TIME = 32  # children; NumPy makes as many in little more time than one


def first_then(
    history: History,
    count: int,
    *,
    first: int,
    children: Iterable[Suggestion] | None,
    memo: Memo | None = None,
) -> Batch:
    """Sobol points until the study has `first` trials, children from then on.

    None for children says that there are no parents yet: Sobol points stand in, and say so.
    """
    missing = max(0, first - len(history.trials) - len(history.reserved))
    early = min(count, missing)
    begin = Sobol().suggest(history, early) if early else Batch(suggestions=())
    rest = count - len(begin.suggestions)
    if not rest:
        return replace(begin, memo=memo)
    proposed = [suggestion.config for suggestion in begin.suggestions]
    later = replace(history, reserved=[*history.reserved, *proposed])
    if children is None:
        because = "fewer than two trials have a finite result"
        end = replace(sobol_instead(later, rest, because), memo=memo)
    else:
        end = topped_up(later, islice(children, patience(rest)), rest, memo)
    return replace(end, suggestions=[*begin.suggestions, *end.suggestions])
