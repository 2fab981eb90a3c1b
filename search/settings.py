"""Checks on the settings of searchers and schedulers."""

from search.errors import InvalidSettings


def check_range(name: str, value: float, low: float, high: float) -> None:
    """Raise InvalidSettings unless low <= value <= high."""
    if not low <= value <= high:
        raise InvalidSettings(f"expected {low} to {high}, got {value}", at=(name,))
