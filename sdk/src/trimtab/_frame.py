"""Trials as a pandas table."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from trimtab.errors import MissingPackage
from trimtab.models import TrialInfo

if TYPE_CHECKING:
    import pandas as pd


def frame(trials: Iterable[TrialInfo]) -> "pd.DataFrame":
    """A row for each trial, indexed by number; raises MissingPackage.

    Metrics are columns `value.<metric>`, standard errors `error.<metric>`, derivatives
    `gradient.<name>`, parameters `config.<name>`, what was given with the ask `context.<name>`, in
    the order of appearance.
    """
    try:
        import pandas as pd
    except ImportError as error:
        raise MissingPackage("to_pandas needs pandas: pip install 'trimtab[pandas]'") from error
    table = pd.DataFrame([_row(trial) for trial in trials])
    return table if table.empty else table.set_index("number").sort_index()


def _row(trial: TrialInfo) -> dict[str, Any]:
    seconds = None
    if trial.started_at and trial.finished_at:
        seconds = (trial.finished_at - trial.started_at).total_seconds()
    return {
        "number": trial.number,
        "id": trial.id,
        "state": trial.state,
        **{f"value.{name}": value for name, value in trial.values.items()},
        **{f"error.{name}": error for name, error in trial.errors.items()},
        **{f"gradient.{name}": slope for name, slope in trial.gradients.items()},
        **{f"config.{name}": value for name, value in trial.config.items()},
        **{f"context.{name}": value for name, value in trial.context.items()},
        "last_step": trial.last_step,
        "attempt": trial.attempt,
        "by": trial.origin.get("by"),
        "reason": trial.reason,
        "started_at": trial.started_at,
        "seconds": seconds,
    }
