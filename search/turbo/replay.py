"""The trust region of a study, from its trials alone.

Trials are taken in order of number, those proposed together at once: a suggestion's origin says in
which region and batch it was made.  A trial that says nothing, an imported one for instance, counts
where it stands, on its own.  One that says a later region than the trials before it account for
opens that region: results that arrive late may change what the region before came to, but not that
it ended.  One of an earlier region, still running when that ended, teaches the model only.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from search.outcomes import Lesson
from search.trial import Trial, TrialState
from search.turbo.region import Region, Rules
from search.values import JSON


@dataclass(frozen=True, slots=True)
class Replayed:
    """The region that the next suggestion is for, and the trials that belong to it."""

    region: Region
    members: frozenset[int]


def replay(trials: Sequence[Trial], lessons: Sequence[Lesson], rules: Rules) -> Replayed:
    """The region after these trials, given what they taught."""
    losses = {o.number: o.loss if o.measured else math.inf for o in lessons}
    region, members = Region(), set[int]()
    for label, group in _together(trials):
        if region.ended or (label is not None and label > region.number):
            region, members = Region(number=max(region.number + 1, label or 0)), set()
        if label is not None and label < region.number:
            continue
        ended = [losses[trial.number] for trial in group if trial.number in losses]
        waiting = sum(not trial.state.final for trial in group)
        region = region.saw(ended, waiting, rules)
        members.update(trial.number for trial in group)
    if region.ended:
        region, members = Region(number=region.number + 1), set()
    return Replayed(region, frozenset(members))


def _together(trials: Sequence[Trial]) -> Iterator[tuple[int | None, list[Trial]]]:
    """The trials that count, those proposed together in one list, each with their region."""
    counted = [trial for trial in trials if trial.state is not TrialState.CANCELLED]
    for (label, batch, _), group in groupby(counted, key=_key):
        del batch
        yield label, list(group)


def _key(trial: Trial) -> tuple[int | None, int | None, int]:
    region, batch = _whole(trial.origin, "region"), _whole(trial.origin, "batch")
    alone = -1 if None not in (region, batch) else trial.number
    return region, batch, alone


def _whole(origin: Mapping[str, JSON], name: str) -> int | None:
    value = origin.get(name)
    return value if type(value) is int and 0 <= value < 2**31 else None
