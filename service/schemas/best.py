"""Which trial did best."""

from typing import Annotated

from pydantic import Field

from service.schemas.base import Body
from service.schemas.trials import TrialItem


class Best(Body):
    """The best completed trial, null while there is none.

    By preference it is the one of the highest utility: utilities, on a logistic scale, make the
    answers that were given most probable (Bradley and Terry), and ties go to the lower number.
    """

    trial: TrialItem | None
    utility: Annotated[float | None, Field(description="by preference only")] = None
