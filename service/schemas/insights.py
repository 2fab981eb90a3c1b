"""Bodies about what is worked out for people to read."""

from datetime import datetime
from typing import Annotated

from pydantic import Field, TypeAdapter

from search.explain.explanation import Explanation
from service.schemas.base import Body

EXPLANATION: TypeAdapter[Explanation] = TypeAdapter(Explanation)


class StudyExplanation(Body):
    """An explanation, and how many of the results it has seen: trials that ended, and answers."""

    seen: int
    finished: Annotated[int, Field(description="results there are by now")]
    computed_at: datetime
    explanation: Explanation
