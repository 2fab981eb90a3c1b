"""The budget of a study: its columns, and whether its searcher can keep it."""

from typing import Any

from search.foresight import foresees
from service.db.rows import Row
from service.errors import UnsupportedStudy
from service.schemas.studies import Budget
from service.studies.spec import Spec

PATIENCE = 5  # results in a row, unless the budget says otherwise


def budget_of(row: Row) -> Budget:
    """The budget in a row of `study`."""
    return Budget(
        trials=row["budget_trials"],
        hours=row["budget_hours"],
        target=row["budget_target"],
        min_expected_gain=row["budget_gain"],
        patience=row["budget_patience"],
    )


def budget_values(budget: Budget) -> dict[str, Any]:
    """What is stored of a budget."""
    patience = budget.patience or (None if budget.min_expected_gain is None else PATIENCE)
    return {**budget.model_dump(), "patience": patience}


def check_budget(budget: Budget, spec: Spec) -> None:
    """Raise UnsupportedStudy where the budget needs an expected gain that nobody works out."""
    if budget.min_expected_gain is None or foresees(spec.searcher, spec.problem):
        return
    message = (
        f"min_expected_gain: searcher {spec.searcher.kind_of()!r} does not say what gain to expect "
        "in this study: it takes auto, gp or (without priors) plain botorch, one objective, "
        "no constraints on outcomes and no context"
    )
    problem = {"in": "body", "field": "budget.min_expected_gain", "message": message}
    raise UnsupportedStudy(message, errors=[problem])
