"""The models of one batch and what each of them counts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from search.alike import most_alike
from search.bayes.mixture import Mixture, Part
from search.bayes.ranking import (
    drawn,
    drawn_left_out,
    ordered_pairs,
    weights,
    wrong_pairs,
)
from search.bayes.sources import Source, own
from search.encoding import Cube
from search.gp.fit import Hyperparameters
from search.gp.posterior import Posterior
from search.origin import origin_of
from search.outcomes import Lesson, lessons
from search.scales import Floats
from search.searcher import History
from search.targets import Targets, telling
from search.values import JSON

ENOUGH = 2  # measured results from which on models are weighed; before, earlier studies lead
RANKED = 100  # results that the models are to rank
MAX_KNOWN = 256  # results that the models of earlier studies take for known places
TOP = 3  # rows of each study near which to look


@dataclass(frozen=True, slots=True)
class Weighed:
    """A mixture of what is of use, with each model's weight by name.

    `best` holds the rows near which to look, `aims` the study's own targets once there is a model,
    `numbers` and `features` are those of the trials that teach.
    """

    cube: Cube
    mixture: Mixture
    shares: Mapping[str, float]
    best: Floats
    aims: Targets | None
    numbers: Sequence[int]
    features: Floats

    def told(
        self, history: History, features: Floats, value: float, mean: float, sd: float
    ) -> dict[str, JSON]:
        """What a suggestion with these features says of itself, in the units of the metric."""
        numbers, aims = {"acquisition": value}, self.aims
        if aims is not None:
            numbers["sd"] = sd * aims.scale
        origin = origin_of(
            "botorch",
            history,
            numbers,
            model_trials=len(aims.y) if aims else 0,
            nearest=self._nearest(features),
            loss=aims.loss(mean) if aims else None,
        )
        transfer: dict[str, JSON] = {name: round(share, 4) for name, share in self.shares.items()}
        return {**origin, "transfer": transfer}

    def _nearest(self, features: Floats) -> int | None:
        return self.numbers[most_alike(features, self.features)] if self.numbers else None


@dataclass(frozen=True, slots=True)
class Members:
    """Studies with their models and weights; with `aims` the last is the study itself."""

    studies: Sequence[Source]
    models: Sequence[Posterior]
    shares: Sequence[float]
    aims: Targets | None

    def weighed(self, cube: Cube, taught: Sequence[Lesson], rows: Floats) -> Weighed:
        """The mixture of those that count, with the study's results known to all of them."""
        features = cube.features(rows)
        order = np.argsort([lesson.loss for lesson in taught], kind="stable")[:TOP]
        counted = [s for s, share in zip(self.studies, self.shares, strict=True) if share]
        return Weighed(
            cube=cube,
            mixture=Mixture(list(self._parts(features[-MAX_KNOWN:]))).known(features),
            shares={s.name: share for s, share in zip(self.studies, self.shares, strict=True)},
            best=np.concatenate([rows[order], *(study.best[:TOP] for study in counted)]),
            aims=self.aims,
            numbers=[lesson.number for lesson in taught],
            features=features,
        )

    def _parts(self, known: Floats) -> Iterator[Part]:
        last = len(self.models) - 1
        for k, (study, model) in enumerate(zip(self.studies, self.models, strict=True)):
            part = Part(model, study.columns, self.shares[k])
            knows = k == last and self.aims is not None
            if part.weight:
                yield part if knows or not len(known) else part.pending(known)


def weigh(
    history: History,
    cube: Cube,
    sources: Sequence[Source],
    at: Sequence[Hyperparameters],
    evaluations: int,
) -> Weighed | None:
    """What the earlier studies and this one's results come to; None if only the latter count.

    `at` holds the hyperparameters of the sources; raises LinAlgError.
    """
    taught = lessons(history.problem, history.trials)
    rows = cube.encode(lesson.config for lesson in taught)
    models = [source.model(fitted) for source, fitted in zip(sources, at, strict=True)]
    if sum(lesson.measured for lesson in taught) < ENOUGH:
        shares = [1.0 / len(sources)] * len(sources)
        return Members(sources, models, shares, None).weighed(cube, taught, rows)
    rng = history.rng()
    mine = own(cube, rows, [lesson.loss for lesson in taught], rng)
    model = mine.model(mine.fit(evaluations, rng))
    some = telling(mine.aims.y.tolist(), RANKED, rng)
    found = _shares(mine, model, list(zip(sources, models, strict=True)), some, rng)
    if found[-1] == 1.0:
        return None
    members = Members([*sources, mine], [*models, model], found.tolist(), mine.aims)
    return members.weighed(cube, taught, rows)


def _shares(
    mine: Source,
    model: Posterior,
    others: Sequence[tuple[Source, Posterior]],
    some: Sequence[int],
    rng: np.random.Generator,
) -> Floats:
    """The weights, the study's own model last."""
    features, y = mine.features[some], mine.aims.y[some]
    wrong = [wrong_pairs(drawn(m, features[:, s.columns], rng), y) for s, m in others]
    left_out = drawn_left_out(model, mine.aims.y, rng)[:, some]
    return weights(np.stack([*wrong, wrong_pairs(left_out, y)]), ordered_pairs(y))
