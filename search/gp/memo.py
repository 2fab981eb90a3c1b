"""What a fit on part of the trials leaves for the batches after it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from search.gp.ensemble import MEMBERS
from search.gp.fit import Hyperparameters
from search.searcher import Memo
from search.values import JSON

VERSION = 1


@dataclass(frozen=True, slots=True)
class Fitted:
    """Each member's hyperparameters, and how many lessons there were when they were fitted."""

    members: tuple[Hyperparameters, ...]
    lessons: int

    def serves(self, lessons: int, free: int) -> bool:
        """Whether they are good enough for as many lessons, of a space with as many parameters."""
        fresh = 0 <= lessons - self.lessons < math.ceil(lessons / 50)
        return fresh and all(len(member.lengths) == free for member in self.members)


def read(memo: Memo | None) -> Fitted | None:
    """What a memo of ours holds; None for any other."""
    if memo is None or memo.version != VERSION or not isinstance(memo.data, dict):
        return None
    lessons, members = memo.data.get("lessons"), memo.data.get("members")
    if not isinstance(lessons, int) or not isinstance(members, list):
        return None
    found = [at for member in members if (at := _member(member))]
    return Fitted(tuple(found), lessons) if len(found) == len(MEMBERS) else None


def write(fitted: Fitted) -> Memo:
    """The memo that holds it."""
    members: Sequence[JSON] = [
        {"lengths": list(at.lengths), "noise": at.noise} for at in fitted.members
    ]
    return Memo(version=VERSION, data={"lessons": fitted.lessons, "members": list(members)})


def _member(data: JSON) -> Hyperparameters | None:
    if not isinstance(data, Mapping) or not isinstance(lengths := data.get("lengths"), list):
        return None
    values = [*lengths, data.get("noise")]
    numbers = [float(value) for value in values if isinstance(value, int | float)]
    if len(numbers) != len(values):
        return None
    at = Hyperparameters(lengths=tuple(numbers[:-1]), noise=numbers[-1])
    return at if at.sound else None
