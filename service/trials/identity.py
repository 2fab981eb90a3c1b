"""What a trial is known by: its public id, the hash of its config, and its seed."""

import hashlib

from search.values import Config, canonical_json
from service.auth.keys import base62

ID_LENGTH = 22  # of 62 letters: 131 random bits


def new_trial_id() -> str:
    """A public id that nobody can guess."""
    return f"tr_{base62(ID_LENGTH)}"


def config_hash(config: Config, context: Config | None = None) -> bytes:
    """Equal for equal configs in equal contexts, whatever the order of their names.

    Unique within a study.
    """
    text = canonical_json(config) + (canonical_json(context) if context else "")
    return hashlib.sha256(text.encode()).digest()[:16]


def trial_seed(study_seed: int, number: int) -> int:
    """The seed of one trial, below 2**63: the same whenever and wherever it is asked for."""
    digest = hashlib.sha256(f"{study_seed}:{number}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
