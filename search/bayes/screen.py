"""Which candidates are worth the noisy acquisition: those that its closed form puts first.

Noisy expected hypervolume improvement averages over draws of the front; the hypervolume expected
over the front of the expected outcomes costs a hundredth of that, and differs little unless noise
is large.  So thousands of candidates are screened by the latter, and the few best are compared by
the former.  Points that are pending count there as if they had come out as expected.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from search.bayes.boxes import Boxes, left_open
from search.bayes.expected_volume import ExpectedVolume
from search.bayes.scores import MAX_PENDING, Score, Task

FINALISTS = 32


def screen_of(name: str, task: Task) -> Score | None:
    """What to screen candidates by before that acquisition; None where all are to have it."""
    if name != "log_nehvi" or task.wavering.width > 1:
        return None
    rows = np.concatenate([task.learned.rows[task.contenders], task.pending[-MAX_PENDING:]])
    known = task.wavering.groups(rows).squeeze(1)
    believed = task.learned.believing(known[len(task.contenders) :])
    expected, _ = believed.predict(known)
    volume = ExpectedVolume(_left_open(task, expected))
    m = believed.objectives

    def of(X: Tensor) -> Tensor:
        mean, sd = believed.predict(X.squeeze(1))
        found = torch.from_numpy(volume.log(mean[:, :m].numpy(), sd[:, :m].numpy()))
        return found + believed.feasibility.log_probability(mean, sd)

    observations = sum(len(surface.observed.X) for surface in believed.surfaces)
    return Score(of, volume.numbers + observations)


def _left_open(task: Task, expected: Tensor) -> Boxes:
    """What the expected outcomes leave open, n x metrics."""
    assert task.reference is not None
    met = task.learned.feasibility.holds(expected)
    points = expected[:, : task.learned.objectives]
    return left_open(points[None].numpy(), met[None].numpy(), task.reference.numpy())
