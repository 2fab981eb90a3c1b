"""What to beware of in an explanation, beside what the diagnostics of its model say."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from search.explain.leave_one_out import FEWEST
from search.explain.within import contexts_of, differ
from search.outcomes import Lesson


def alone(company: npt.NDArray[np.bool_]) -> Iterator[str]:
    """That most trials have nothing to be compared with, given which of them have."""
    single = int(np.sum(~company))
    if 1 < len(company) < 2 * single:
        yield (
            f"{single} of {len(company)} trials are the only ones in their contexts: there is "
            f"nothing to compare them with"
        )


def caveats(taught: Sequence[Lesson], known: Sequence[int], *, judged: bool) -> Iterator[str]:
    """What makes a model worth little, given the numbers of the trials that it knows.

    One that was judged has said already whether it rests on few trials.
    """
    own = [lesson for lesson in taught if lesson.measured]
    if not judged and len(own) < FEWEST:
        yield (
            f"the model rests on {len(own)} measured trials: fewer than {FEWEST} say little about "
            f"anything"
        )
    measured = sum(lesson.number in set(known) for lesson in own)
    if 2 * measured < len(known):
        yield (
            f"only {measured} of the {len(known)} trials that the model knows have a value: the "
            f"others failed, or were bad, and what they count as is a guess"
        )
    if _equal(own):
        where = "" if contexts_of(own).max() == 0 else " within each context"
        yield f"all measured values are equal{where}: there is nothing to explain"


def _equal(own: Sequence[Lesson]) -> bool:
    """Whether there is no difference between trials of one context, though there might be."""
    groups = contexts_of(own)
    losses = np.array([lesson.loss for lesson in own])
    return len(set(groups.tolist())) < len(own) and not differ(losses, groups)
