"""Trials from elsewhere, as they travel."""

from collections.abc import Mapping
from typing import Any

from trimtab._numbers import write_numbers


def trial_to_json(trial: Mapping[str, Any]) -> dict[str, Any]:
    """The trial with its numbers as JSON can carry them."""
    body = dict(trial)
    if "values" in body:
        body["values"] = _numbers(body["values"])
    for part in ("errors", "gradients"):
        if part in body:
            body[part] = {name: float(number) for name, number in body[part].items()}
    if "measurements" in body:
        body["measurements"] = [
            {**m, "values": _numbers(m["values"])} for m in body["measurements"]
        ]
    return body


def _numbers(values: Mapping[str, Any]) -> dict[str, float | str]:
    return write_numbers({name: float(value) for name, value in values.items()})
