"""A study in the hands of the fleet."""

from typing import TYPE_CHECKING

from trimtab.errors import StudyHalted
from trimtab.models import ENDED_STUDY, Changes

if TYPE_CHECKING:
    from trimtab.study import Study


class Run:
    """What study.run() returns.  The study goes on whether anybody waits for it or not."""

    def __init__(self, study: "Study") -> None:
        self.study = study

    def wait(self, *, progress: bool = False) -> "Study":
        """Wait until the study has ended, and return it; with `progress`, show it meanwhile.

        Raises StudyHalted when the study is paused, by a person or because its trials fail, with
        the reason.  Ctrl-C ends the waiting, not the study.
        """
        if progress:
            from trimtab._watch import watch

            watch(self.study, on_change=self._check)
        else:
            for changes in self.study.changes():
                self._check(changes)
        self.study.refresh()
        return self.study

    def done(self) -> bool:
        """Whether the study has ended."""
        return self.study.state in ENDED_STUDY

    def _check(self, changes: Changes) -> None:
        if changes.state != "paused":
            return
        info = self.study.refresh()
        if info.state == "paused":
            raise StudyHalted(
                f"the study {info.name!r} is paused ({info.state_reason or 'by a person'}): "
                f"look at `trimtab trials {info.name}`, then study.resume()"
            )
