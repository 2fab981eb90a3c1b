"""Public ids: what URLs show of rows, unguessable, so that counting up finds nothing."""

import re

from service.auth.keys import base62

STUDY_ID = re.compile(r"st_[0-9A-Za-z]{22}")
TRIAL_ID = re.compile(r"tr_[0-9A-Za-z]{22}")


def new_study_id() -> str:
    """A new public id of a study: 131 random bits."""
    return f"st_{base62(22)}"
