"""What a person says of finished trials, in a study by preference."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TypeAlias

from trimtab._pages import pages
from trimtab._transport import Call, Transport
from trimtab.models import Numbered, TrialInfo, Wire
from trimtab.trial import Trial

Which: TypeAlias = TrialInfo | Trial | Numbered | str | int


class Preference(Wire):
    """One answer: completed trials from best to worst."""

    id: int
    ranking: list[Numbered]
    created_at: datetime


class Preferred(Wire):
    """Answers as the server took them."""

    preferences: list[Preference]


class Judging:
    """The part of a study that takes answers."""

    _transport: Transport
    _path: str

    def prefer(self, better: Which, worse: Which) -> Preference:
        """Say that one completed trial is better than another: `study.prefer(4, 2)`.

        Answers count in a study made with `prefer=`, may contradict each other, and are welcome
        after it has ended too.  What a trial is best compared with is in its origin under
        "compare_with"; `study.best` is the trial that the answers speak for.
        """
        return self.rank([better, worse])

    def rank(self, trials: Sequence[Which]) -> Preference:
        """Say how completed trials compare, from best to worst: `study.rank([4, 2, 7])`."""
        body = {"rankings": [[_reference(trial) for trial in trials]]}
        call = Call("POST", f"{self._path}/preferences", body).once()
        return self._transport.send(call).read(Preferred).preferences[0]

    def preferences(self) -> Iterator[Preference]:
        """What was said so far, the oldest first."""
        return pages(self._transport, f"{self._path}/preferences", Preference)


def _reference(trial: Which) -> int | str:
    return trial if isinstance(trial, int | str) else trial.id
