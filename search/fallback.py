"""What answers when a searcher cannot: Sobol points that say why they stand there."""

from dataclasses import replace

from search.searcher import Batch, History, Suggestion
from search.searchers.sobol import Sobol


def sobol_instead(history: History, count: int, because: str) -> Batch:
    """`count` Sobol points whose origin carries `because`; the memo stays as it was.

    For a searcher that failed, and for a caller that ended one which took too long.
    """
    batch = Sobol().suggest(history, count)
    explained = [
        Suggestion(config=suggestion.config, origin={**suggestion.origin, "because": because})
        for suggestion in batch.suggestions
    ]
    return replace(batch, suggestions=explained)
