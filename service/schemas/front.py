"""Bodies about which trials did best."""

from service.schemas.base import Body
from service.schemas.studies import ChosenBy
from service.schemas.trials import TrialItem


class Best(ChosenBy):
    """The best completed trial, null while there is none."""

    trial: TrialItem | None


class Pareto(Body):
    """The completed trials that no other one beats in every objective."""

    items: list[TrialItem]
