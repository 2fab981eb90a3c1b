"""Which observed points a new one has to beat, and from where hypervolume is counted.

Only points that may be the best are worth drawing jointly with each new point: those that are, in
some of CONTESTS draws of the posterior, feasible and the best, or not dominated.
"""

from collections.abc import Callable

import numpy as np
import torch
from botorch.utils.multi_objective.hypervolume import infer_reference_point
from botorch.utils.multi_objective.pareto import is_non_dominated
from torch import Tensor

from search.bayes.joint import Joint
from search.bayes.learned import Learned
from search.bayes.wavering import Wavering
from search.candidates import Candidates
from search.problem import Problem

CONTESTS = 64
HOPES = 1000  # points among which the models' front is sought


def reference_point(problem: Problem, learned: Learned, candidates: Candidates) -> Tensor:
    """The worst outcomes worth having, on the scale of the models.

    What an objective does not say is inferred: a tenth of the front's range below its worst.  The
    front is the one that was measured together with the one that the models expect: a front that
    has only just been begun may span next to nothing, and a point beyond its ends would not count.
    """
    inferred = infer_reference_point(
        torch.cat([learned.u[learned.front], _hoped(learned, candidates)])
    )
    given = [
        np.nan if o.reference is None else -float(s.units.y(o.loss(o.reference)))
        for o, s in zip(problem.objectives, learned.surfaces, strict=False)
    ]
    stated = torch.tensor(given, dtype=torch.double)
    return torch.where(stated.isnan(), inferred, stated)


def _hoped(learned: Learned, candidates: Candidates) -> Tensor:
    """The outcomes that the models expect of the best among points drawn everywhere and nearby."""
    near = candidates.mutations(learned.rows[:10], HOPES // 20, 0.2)
    rows = learned.cube.snap(np.concatenate([candidates.uniform(HOPES // 2), near]))
    mean, _ = learned.predict(torch.from_numpy(learned.cube.features(rows)))
    expected = mean[learned.feasibility.holds(mean), : learned.objectives]
    return expected[is_non_dominated(expected)]


def contenders(
    learned: Learned,
    wavering: Wavering,
    value: Callable[[Tensor], Tensor] | None,
    most: int,
    seed: int,
) -> list[int]:
    """The places of at most `most` rows that may be the best, the likeliest first.

    `value` makes one number of the objectives, ... x m; None: what counts is to be non-dominated.
    """
    draws = _draws(learned, wavering, seed)
    met = learned.feasibility.holds(draws)
    objectives = draws[..., : learned.objectives]
    if value is None:
        wins = sum(_undominated(draw, ok) for draw, ok in zip(objectives, met, strict=True))
    else:
        worth = torch.where(met, value(objectives), -torch.inf)
        lost = worth.amax(dim=1) == -torch.inf
        wins = torch.bincount(worth.argmax(dim=1)[~lost], minlength=draws.shape[1])
    # What was best when it was measured stays a contender.
    wins = torch.as_tensor(wins).double() + 0.5 * learned.front
    order = torch.argsort(-wins, stable=True)[:most]
    return [int(place) for place in order[wins[order] > 0]]


def _draws(learned: Learned, wavering: Wavering, seed: int) -> Tensor:
    """Draws x rows x metrics; the risk of the mean where configs waver, in place of draws."""
    X = wavering.groups(learned.rows)
    observed = [surface.observed for surface in learned.surfaces]
    if wavering.width == 1:
        return Joint(observed, X, samples=CONTESTS, seed=seed).anchors.squeeze(2)
    mean, _ = learned.predict(X.flatten(0, 1))
    return wavering.risk(mean.reshape(*X.shape[:2], -1)).unsqueeze(0)


def _undominated(draw: Tensor, met: Tensor) -> Tensor:
    best = torch.zeros(len(draw), dtype=torch.long)
    best[met] = is_non_dominated(draw[met]).long()
    return best
