"""The acquisition functions by name, as functions of rows: higher is better, all as logarithms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from botorch.utils.safe_math import logmeanexp
from torch import Tensor

from search.bayes.anchored import Observed
from search.bayes.contest import contenders
from search.bayes.improvement import Chebyshev, Front, incumbents, log_improvement, simplex
from search.bayes.information import JointEntropy, KnowledgeGradient, Maxima, MaxValueEntropy
from search.bayes.joint import Joint
from search.bayes.learned import Learned
from search.bayes.spending import expected_log_cost
from search.bayes.wavering import Wavering
from search.candidates import Candidates
from search.scales import Floats

CHUNK = 4_000_000  # numbers worked on at a time
MAX_PENDING = 64  # the latest; more would cost time and say little that these do not
DRAWS = 128
# By the number of objectives: the boxes under a front multiply with them.
FRONT_DRAWS = {2: 64, 3: 32, 4: 16}
FRONT_POINTS = {2: 64, 3: 48, 4: 32}
MAX_BASELINE, MAX_WAVERING = 64, 16
MAXIMA, POINTS = 16, 500


@dataclass(frozen=True, slots=True)
class Score:
    """An acquisition function of groups b x w x c, and how many numbers it takes for a point."""

    of: Callable[[Tensor], Tensor]
    numbers: int


@dataclass(frozen=True, slots=True)
class Task:
    """What a score is made for: models, configs that waver, pending rows, and a seed.

    Where hypervolume counts, `contenders` are the places of the rows that may be on the front.
    """

    learned: Learned
    wavering: Wavering
    candidates: Candidates
    pending: Floats
    reference: Tensor | None
    contenders: Sequence[int]
    seed: int


def score_of(name: str, task: Task) -> Score:
    """The acquisition function of that name."""
    match name:
        case "log_nei":
            return _best_of(task, lambda objectives: objectives[..., 0])
        case "parego":
            generator = torch.Generator().manual_seed(task.seed)
            weights = simplex(task.learned.objectives, generator)
            return _best_of(task, Chebyshev(weights, task.learned.u))
        case "log_nehvi":
            return _front(task)
        case "log_pof":
            return _feasible(task)
        case "kg":
            return _knowledge(task)
        case "mes" | "jes":
            return _entropy(name, task)
    raise ValueError(name)


def front_contenders(learned: Learned, wavering: Wavering, seed: int) -> list[int]:
    """The places of the rows that may be on the front, as many as hypervolume is counted over."""
    most = FRONT_POINTS[learned.objectives] if wavering.width == 1 else MAX_WAVERING
    return contenders(learned, wavering, None, most, seed)


def per_cost(score: Score, learned: Learned, power: float) -> Score:
    """The score for each unit of cost, whose logarithm counts `power` times."""
    cost = learned.cost
    if cost is None or power == 0:
        return score
    return Score(lambda X: score.of(X) - power * _mean_log_cost(learned, X), score.numbers)


def evaluated(score: Score, wavering: Wavering) -> Callable[[Floats], Floats]:
    """The score of rows, worked out in chunks."""
    size = max(1, CHUNK // score.numbers)

    def of(rows: Floats) -> Floats:
        X = wavering.groups(rows)
        with torch.no_grad():
            values = [score.of(X[start : start + size]) for start in range(0, len(X), size)]
        found: Floats = torch.cat(values).numpy()
        # A point at which rounding left nothing is as bad as can be.
        return np.where(np.isnan(found), -np.inf, found)

    return of


def _mean_log_cost(learned: Learned, X: Tensor) -> Tensor:
    assert learned.cost is not None
    return expected_log_cost(learned.cost, X.flatten(0, 1)).reshape(X.shape[:2]).mean(dim=1)


def _joint(task: Task, rows: Floats, draws: int) -> Joint:
    most = MAX_PENDING if task.wavering.width == 1 else MAX_WAVERING
    anchors = task.wavering.groups(np.concatenate([rows, task.pending[-most:]]))
    observed = [surface.observed for surface in task.learned.surfaces]
    return Joint(observed, anchors, samples=draws, seed=task.seed)


def _best_of(task: Task, value: Callable[[Tensor], Tensor]) -> Score:
    """Noisy expected improvement of one number made of the objectives."""
    learned, risk = task.learned, task.wavering.risk
    most = MAX_BASELINE if task.wavering.width == 1 else MAX_WAVERING
    places = contenders(learned, task.wavering, value, most, task.seed)
    joint = _joint(task, learned.rows[places], DRAWS)
    anchors = risk(joint.anchors)
    best = incumbents(value(_objectives(task, anchors)), learned.feasibility.holds(anchors))

    def of(X: Tensor) -> Tensor:
        new = risk(joint.draw(X))
        worth = value(_objectives(task, new))
        return log_improvement(best, worth, learned.feasibility.log(new))

    return Score(of, _numbers(task, joint, DRAWS))


def _front(task: Task) -> Score:
    """Noisy expected hypervolume improvement."""
    assert task.reference is not None
    learned, risk = task.learned, task.wavering.risk
    m = learned.objectives
    joint = _joint(task, learned.rows[task.contenders], FRONT_DRAWS[m])
    anchors = risk(joint.anchors)
    front = Front(_objectives(task, anchors), learned.feasibility.holds(anchors), task.reference)

    def of(X: Tensor) -> Tensor:
        new = risk(joint.draw(X))
        return front.log_improvement(_objectives(task, new), learned.feasibility.log(new))

    return Score(of, front.cells + _numbers(task, joint, FRONT_DRAWS[m]))


def _feasible(task: Task) -> Score:
    """The probability that a point is feasible and nothing pending is."""
    learned, risk = task.learned, task.wavering.risk
    joint = _joint(task, learned.rows[:0], DRAWS)
    taken = learned.feasibility.log(risk(joint.anchors)).exp().sum(dim=1)
    open_ = torch.log1p(-taken.clamp(0, 1 - 1e-6)).unsqueeze(1)

    def of(X: Tensor) -> Tensor:
        expected: Tensor = logmeanexp(learned.feasibility.log(risk(joint.draw(X))) + open_, dim=0)
        return expected

    return Score(of, _numbers(task, joint, DRAWS))


def _knowledge(task: Task) -> Score:
    observed, points = _believed(task)
    gradient = KnowledgeGradient(observed, points)
    return Score(lambda X: _log(gradient(X.squeeze(1))), 4 * len(points))


def _entropy(name: str, task: Task) -> Score:
    observed, points = _believed(task)
    generator = torch.Generator().manual_seed(task.seed)
    maxima = Maxima.drawn(observed, points, MAXIMA, generator)
    entropy = MaxValueEntropy(observed, maxima) if name == "mes" else JointEntropy(observed, maxima)
    return Score(lambda X: _log(entropy(X.squeeze(1))), 8 * MAXIMA + len(points))


def _believed(task: Task) -> tuple[Observed, Tensor]:
    """The model as if pending points had come out as expected, and points for the maximum."""
    learned, candidates = task.learned, task.candidates
    observed = learned.surfaces[0].observed
    if len(task.pending):
        observed = observed.believing(task.wavering.groups(task.pending[-MAX_PENDING:]).squeeze(1))
    near = candidates.mutations(learned.rows[:5], POINTS // 20, 0.1)
    wide = candidates.cube.snap(np.concatenate([candidates.uniform(POINTS // 2), near]))
    rows = np.unique(np.concatenate([wide, learned.rows[: POINTS // 4]]), axis=0)
    return observed, task.wavering.groups(rows).squeeze(1)


def _objectives(task: Task, draws: Tensor) -> Tensor:
    return draws[..., : task.learned.objectives]


def _numbers(task: Task, joint: Joint, draws: int) -> int:
    """How many numbers a new point takes, roughly: its draws, and its solves."""
    metrics, width = len(task.learned.surfaces), joint.width
    solves = joint.anchors.shape[1] * width + max(len(s.observed.X) for s in task.learned.surfaces)
    return width * (draws * metrics + solves)


def _log(gain: Tensor) -> Tensor:
    return gain.clamp_min(1e-300).log()
