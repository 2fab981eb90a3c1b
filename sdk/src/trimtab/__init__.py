"""The client of the Trimtab hyperparameter tuning service.

    import trimtab as tt

    study = tt.Client().create_study(
        "digits", space=[tt.Float("lr", 1e-5, 1e-1, log=True)], maximize="accuracy"
    )
    for trial in study.trials():
        trial.report(0, accuracy=train(trial.config))

Start with `Client`; `trimtab.errors` holds every error, `trimtab.models` what is read.
"""

from trimtab._version import __version__
from trimtab.belief import Normal
from trimtab.client import Client
from trimtab.decision import Decision
from trimtab.errors import (
    ApiError,
    ConnectionFailed,
    Infeasible,
    InvalidSpec,
    LeaseLost,
    NotFound,
    NothingToRun,
    Released,
    StudyEnded,
    StudyExists,
    StudyHalted,
    StudyPaused,
    TrimtabError,
)
from trimtab.linear import Linear
from trimtab.run import Run
from trimtab.space import Bool, Choice, Fixed, Float, Int, Ordinal, Parameter, Permutation
from trimtab.spec import Budget, Constraint, Maximize, Minimize, Objective
from trimtab.study import Study
from trimtab.trial import Trial

__all__ = [
    "ApiError",
    "Bool",
    "Budget",
    "Choice",
    "Client",
    "ConnectionFailed",
    "Constraint",
    "Decision",
    "Fixed",
    "Float",
    "Infeasible",
    "Int",
    "InvalidSpec",
    "LeaseLost",
    "Linear",
    "Maximize",
    "Minimize",
    "Normal",
    "NotFound",
    "NothingToRun",
    "Objective",
    "Ordinal",
    "Parameter",
    "Permutation",
    "Released",
    "Run",
    "Study",
    "StudyEnded",
    "StudyExists",
    "StudyHalted",
    "StudyPaused",
    "Trial",
    "TrimtabError",
    "__version__",
]
