"""Bodies about what is worked out for people to read."""

from datetime import datetime
from typing import Annotated

from pydantic import Field, TypeAdapter

from search.explain.explanation import Explanation
from service.schemas.base import Body

EXPLANATION: TypeAdapter[Explanation] = TypeAdapter(Explanation)


class StudyExplanation(Body):
    """An explanation, and how many of the trials that have ended it has seen."""

    seen: int
    finished: Annotated[int, Field(description="trials that have ended by now")]
    computed_at: datetime
    explanation: Explanation
