"""The context of a trial: checked as it comes in, and as it is stored."""

from collections.abc import Sequence

from psycopg.types.json import Jsonb

from search.context import check_given
from search.errors import InvalidConfig
from search.parameters import Parameter
from search.values import Config, Value
from service.errors import InvalidRequest


def check_context(
    parameters: Sequence[Parameter], given: Config, field: str = "context"
) -> dict[str, Value]:
    """The context as the study holds it; raises InvalidRequest, naming the culprit."""
    try:
        return check_given(parameters, given)
    except InvalidConfig as error:
        name = f"{field}.{error.parameter}"
        problem = {"in": "body", "field": name, "message": str(error), "kind": "context"}
        raise InvalidRequest(f"{name}: {error}", errors=[problem]) from None


def stored(context: Config) -> Jsonb | None:
    """The context as a column holds it: null in a study that has none."""
    return Jsonb(dict(context)) if context else None
