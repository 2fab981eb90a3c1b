"""One batch where there are several objectives, constraints, costs, noise on the inputs or another
acquisition than expected improvement: from history to suggestions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from search.bayes.acquire import FULL_EFFORT
from search.bayes.contest import reference_point
from search.bayes.learned import Learned, lacking, learned, taught_by
from search.bayes.outcomes_model import write
from search.bayes.scores import Score, Task, evaluated, front_contenders, per_cost, score_of
from search.bayes.screen import FINALISTS, screen_of
from search.bayes.spending import expected_log_cost
from search.bayes.suggest import NUMERICAL, alone
from search.bayes.wavering import Wavering
from search.candidates import Candidates
from search.encoding import Cube
from search.fallback import sobol_instead
from search.fresh import topped_up
from search.maximise import highest, maximise
from search.scales import Floats
from search.searcher import Batch, History, Suggestion
from search.searchers.fitting import acquisition_for
from search.values import JSON

if TYPE_CHECKING:
    from search.searchers.botorch import BoTorch

WORK = 40_000_000  # numbers that may be worked out for one suggestion
LEAST_CANDIDATES = 200


@dataclass(frozen=True, slots=True)
class Pick:
    """A row chosen, by which acquisition, and the logarithm of that there."""

    row: Floats
    name: str
    value: float
    prior: float  # what of the value is the user's belief


def suggest(settings: BoTorch, history: History, count: int) -> Batch:
    """`count` configs by the acquisition that suits the study, or Sobol points that say why not."""
    cube = Cube(history.problem.space)
    if not cube.free:
        return sobol_instead(history, count, "no parameter has more than one value")
    taught = taught_by(history)
    if because := lacking(history.problem, taught):
        return sobol_instead(history, count, because)
    rng = history.rng()
    try:
        with alone(seed=int(rng.integers(2**31))):
            known = learned(settings, cube, history, taught, rng)
            found = [
                _suggestion(history, settings, known, pick)
                for pick in _picks(settings, history, known, count, rng)
            ]
    except NUMERICAL as error:
        because = f"the model failed: {type(error).__name__}: {error}"
        return sobol_instead(history, count, because[:500])
    return topped_up(history, found, count, write(known.memo_of()))


def _picks(
    settings: BoTorch, history: History, known: Learned, count: int, rng: np.random.Generator
) -> Iterator[Pick]:
    """Up to `count` rows one after the other; those chosen before are pending for the next."""
    wanted: str = acquisition_for(settings.acquisition, history.problem)
    # While nothing was feasible, nothing can be improved on.
    name = wanted if known.met.any() else "log_pof"
    task = _task(settings, history, known, name, rng)
    share = max(LEAST_CANDIDATES, settings.candidates * FULL_EFFORT // max(FULL_EFFORT, count))
    for _ in range(count):
        task = replace(task, seed=int(rng.integers(2**31)))
        scores = [screen_of(name, task), score_of(name, task)]
        costed = [_with_cost(settings, history, known, score) for score in scores if score]
        found = _highest(costed, task, _near(known, rng), share)
        if found is None:
            return
        row, value = found
        yield Pick(row, name, value, float(task.candidates.favour(row[None])[0]))
        task.candidates.take(row)
        task = replace(task, pending=np.concatenate([task.pending, row[None]]))


def _highest(
    scores: Sequence[Score], task: Task, near: Floats, share: int
) -> tuple[Floats, float] | None:
    """The best of about `share` candidates by the last score, those before it being screens."""
    effort = max(LEAST_CANDIDATES, min(share, WORK // scores[0].numbers))
    first, *rest = (_favoured(evaluated(s, task.wavering), task.candidates) for s in scores)
    if not rest:
        return maximise(first, task.candidates, near, effort)
    found = highest(first, task.candidates, near, effort, FINALISTS)
    if found is None:
        return None
    rows, _ = found
    values = rest[-1](rows)
    place = int(np.argmax(values))
    return rows[place], float(values[place])


def _task(
    settings: BoTorch, history: History, known: Learned, name: str, rng: np.random.Generator
) -> Task:
    """What the scores of this batch are made for."""
    taken, weight = known.cube.encode(history.taken()), settings.prior_weight / len(known.rows)
    candidates = Candidates(known.cube, taken, rng, weight)
    seed = int(rng.integers(2**31))
    counted = name == "log_nehvi"
    wavering = Wavering(known.cube, settings.input_noise, settings.risk, seed)
    return Task(
        learned=known,
        wavering=wavering,
        candidates=candidates,
        pending=known.cube.encode(history.pending()),
        reference=reference_point(history.problem, known, candidates) if counted else None,
        contenders=front_contenders(known, wavering, seed) if counted else (),
        seed=seed,
    )


def _favoured(
    score: Callable[[Floats], Floats], candidates: Candidates
) -> Callable[[Floats], Floats]:
    """With what the user believes of where good values lie."""
    return lambda rows: score(rows) + candidates.favour(rows)


def _with_cost(settings: BoTorch, history: History, known: Learned, score: Score) -> Score:
    if settings.cost is None:
        return score
    ended = sum(trial.state.final for trial in history.trials)
    return per_cost(score, known, settings.cost.power_after(ended))


def _near(known: Learned, rng: np.random.Generator) -> Floats:
    """The rows to look around: the front in random order, then what else did well."""
    order = np.arange(len(known.rows))
    front = int(known.front.sum())
    if not known.met.any():
        mean, sd = known.predict(torch.from_numpy(known.cube.features(known.rows)))
        order = torch.argsort(-known.feasibility.log_probability(mean, sd), stable=True).numpy()
    elif known.objectives > 1:
        order[:front] = rng.permutation(front)
    return known.rows[order]


def _suggestion(history: History, settings: BoTorch, known: Learned, pick: Pick) -> Suggestion:
    """The pick as a config, with what the models expect in the units of the metrics."""
    X = torch.from_numpy(known.cube.features(pick.row[None]))
    mean, sd = known.predict(X)
    numbers = {"acquisition": pick.value}
    if known.feasibility.bounds:
        numbers["feasible"] = float(known.feasibility.log_probability(mean, sd).exp())
    if history.problem.space.believes:
        numbers["prior"] = pick.prior
    if known.cost is not None:
        numbers["cost"] = float(expected_log_cost(known.cost, X).exp())
    origin: dict[str, JSON] = {"by": "botorch", "acquisition_function": pick.name}
    predicted = _predicted(known, mean[0].tolist(), sd[0].tolist())
    if known.objectives == 1:
        origin |= predicted[known.metrics[0].name]
    origin |= {**_finite(numbers), "predicted": {**predicted}, "seen": len(known.rows)}
    if settings.cost is not None and known.cost is None:
        origin["cost_unknown"] = f"fewer than two trials have told their {settings.cost.metric}"
    return Suggestion(config=known.cube.decode(pick.row), origin=origin)


def _predicted(known: Learned, mean: list[float], sd: list[float]) -> dict[str, dict[str, JSON]]:
    """The mean and standard deviation of every metric."""
    found = zip(known.metrics, known.surfaces, mean, sd, strict=True)
    return {
        metric.name: _finite({"mean": metric.sign * surface.loss(m), "sd": s * surface.units.scale})
        for metric, surface, m, s in found
    }


def _finite(numbers: dict[str, float]) -> dict[str, JSON]:
    return {name: value for name, value in numbers.items() if math.isfinite(value)}
