"""What a front leaves open of the space of outcomes, as boxes apart; higher is better.

    points      S x r x m   S fronts of up to r points each, in m objectives
    reference   m           outcomes that are not above it everywhere do not count

Each front begins as one box, from the reference up without end.  A point p takes {y <= p} away: a
box that reaches below p everywhere is cut at p, objective by objective, into at most m boxes.  All
fronts are cut at the same time.  The number of boxes is r + 1 with two objectives, and two to three
times that of the decomposition of Dächert and others, "Efficient computation of the search region
in multi-objective optimization", 2017, with three and four; but to find them takes a hundredth of
the time.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from search.scales import Floats

Places = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Boxes:
    """Boxes from `low` up to `high`, each N x m; `high` may be infinite.

    `owner` says which front a box belongs to, N, in order.
    """

    low: Floats
    high: Floats
    owner: Places

    def cut(self, points: Floats) -> "Boxes":
        """Less what lies below its front's point, S x m."""
        p = points[self.owner]
        hit = (self.low < p).all(axis=1)
        if not hit.any():
            return self
        whole = Boxes(self.low[~hit], self.high[~hit], self.owner[~hit])
        return _joined([whole, *Boxes(self.low[hit], self.high[hit], self.owner[hit])._cut(p[hit])])

    def _cut(self, p: Floats) -> "list[Boxes]":
        """What is left of each box: above p in objective k, and at most p in those before k."""
        pieces, high = [], self.high.copy()
        for k in range(p.shape[1]):
            above = p[:, k] < self.high[:, k]
            low = self.low[above].copy()
            low[:, k] = p[above, k]
            pieces.append(Boxes(low, high[above], self.owner[above]))
            high[:, k] = np.minimum(high[:, k], p[:, k])
        return pieces

    def sorted(self) -> "Boxes":
        """By front."""
        order = np.argsort(self.owner, kind="stable")
        return Boxes(self.low[order], self.high[order], self.owner[order])


def left_open(points: Floats, counted: npt.NDArray[np.bool_], reference: Floats) -> Boxes:
    """What the points that are `counted`, S x r, leave open of each of the S fronts."""
    fronts, _, m = points.shape
    kept = counted & (points > reference).all(axis=2)
    kept &= ~_dominated(np.where(kept[..., None], points, -np.inf))
    ordered = np.where(kept[..., None], points, -np.inf)
    # From the best in the first objective on: a later point then cuts few boxes.
    order = np.argsort(-ordered[..., 0], axis=1, kind="stable")
    ordered = np.take_along_axis(ordered, order[..., None], axis=1)
    boxes = Boxes(np.tile(reference, (fronts, 1)), np.full((fronts, m), np.inf), np.arange(fronts))
    for place in range(int(kept.sum(axis=1).max(initial=0))):
        boxes = boxes.cut(ordered[:, place])
    return boxes.sorted()


def _dominated(points: Floats) -> npt.NDArray[np.bool_]:
    """Which points another of their front beats, S x r."""
    a, b = points[:, None], points[:, :, None]
    beats: npt.NDArray[np.bool_] = np.all(a >= b, axis=3) & np.any(a > b, axis=3)
    beaten: npt.NDArray[np.bool_] = np.any(beats, axis=2)
    return beaten


def _joined(parts: list[Boxes]) -> Boxes:
    return Boxes(
        np.concatenate([part.low for part in parts]),
        np.concatenate([part.high for part in parts]),
        np.concatenate([part.owner for part in parts]),
    )
