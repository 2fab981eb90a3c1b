"""Measurements that wait to be sent."""

from collections.abc import Mapping
from typing import Any

from trimtab._numbers import write_numbers

# Enough for hours of an outage; 10,000 steps of three metrics take some 5 MB.
MOST_STEPS = 10_000
# What one request carries at most: the server takes 1,000 steps and 1 MiB.
BATCH_STEPS = 1_000
BATCH_VALUES = 5_000


class Buffer:
    """Steps in the order in which they were first reported.  Not safe to use from two threads.

    A second report at a step adds metrics to it; a metric's first value stays.  When more than
    MOST_STEPS wait, because the server has been away for long, every other one is given up (the
    last stays): curves get coarser, and nothing grows without end.
    """

    def __init__(self, most: int = MOST_STEPS) -> None:
        self._steps: dict[int, dict[str, Any]] = {}
        self._most = most
        self.given_up = 0

    def __len__(self) -> int:
        return len(self._steps)

    def add(self, step: int, values: Mapping[str, float], elapsed: float) -> None:
        """Remember values measured at a step, `elapsed` seconds after the trial's start."""
        known = self._steps.get(step)
        if known is None:
            self._steps[step] = {"step": step, "values": dict(values), "elapsed_seconds": elapsed}
            self._thin()
        else:
            known["values"] = {**values, **known["values"]}

    def take(self) -> list[dict[str, Any]]:
        """The oldest steps, as many as one request carries; they are no longer in the buffer."""
        batch: list[dict[str, Any]] = []
        values = 0
        for step in list(self._steps):
            values += len(self._steps[step]["values"])
            if batch and (len(batch) == BATCH_STEPS or values > BATCH_VALUES):
                break
            batch.append(self._steps.pop(step))
        return batch

    def put_back(self, batch: list[dict[str, Any]]) -> None:
        """Undo `take`: the batch was not sent."""
        later = self._steps
        self._steps = {measurement["step"]: measurement for measurement in batch}
        for step, measurement in later.items():
            self.add(step, measurement["values"], measurement["elapsed_seconds"])

    def clear(self) -> None:
        """Forget everything."""
        self._steps.clear()

    def _thin(self) -> None:
        if len(self._steps) <= self._most:
            return
        steps = list(self._steps)
        for step in steps[-2::-2]:
            del self._steps[step]
            self.given_up += 1


def to_wire(batch: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The batch as it travels: numbers that JSON lacks become text."""
    return [{**m, "values": write_numbers(m["values"])} for m in batch]
