"""The draws of one generation, and which trials became of them.

Draw k of a generation is a trial if one says so in its origin.  Otherwise it is drawn (again); if
its config is a trial's all the same, then that trial's result is the draw's: nothing is tried
twice, and a distribution that has narrowed down to a few configs still learns.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from search.cma.distribution import Distribution
from search.cma.numbers import finite_row
from search.cma.run import Run, draw_seed
from search.encoding import config_key
from search.outcomes import losses
from search.problem import Problem
from search.scales import Floats
from search.searcher import History
from search.trial import Trial, TrialState
from search.values import Value

WORST = 1e150  # losses beyond it are as bad; differences of them could overflow


@dataclass(frozen=True, slots=True)
class Draw:
    """One draw and its trial, None while nobody has tried its config."""

    number: int
    row: Floats
    trial: Trial | None
    own: bool = False  # the trial was made for this draw
    late: bool = False  # of the generation before


@dataclass(frozen=True, slots=True)
class Drawn:
    """A draw that is no trial yet, as a config."""

    draw: Draw
    config: dict[str, Value]
    key: str


@dataclass(frozen=True, slots=True)
class Trials:
    """The trials of a study, by what they say of their making and by their configs."""

    problem: Problem
    own: Mapping[tuple[int, int], Mapping[int, Trial]]
    known: Mapping[str, Trial]

    @classmethod
    def of(cls, history: History) -> "Trials":
        """Sorted once; of several trials of one config, or one draw, the first counts."""
        own: dict[tuple[int, int], dict[int, Trial]] = {}
        known: dict[str, Trial] = {}
        for trial in history.trials:
            known.setdefault(config_key(trial.config), trial)
            if (place := _place(trial)) is not None:
                own.setdefault(place[:2], {}).setdefault(place[2], trial)
        return cls(history.problem, own, known)

    def generation(self, run: Run, distribution: Distribution) -> "Generation":
        """The generation that the distribution is at."""
        number = distribution.generation
        own = self.own.get((run.number, number), {})
        before = self.own.get((run.number, number - 1), {}) if run.told else {}
        return Generation(self, run, distribution, own, before)


@dataclass(frozen=True, slots=True)
class Generation:
    """Draws of one distribution."""

    trials: Trials
    run: Run
    distribution: Distribution
    own: Mapping[int, Trial]
    before: Mapping[int, Trial]
    _drawn: dict[int, Drawn] = field(default_factory=dict)

    def complete(self) -> list[Draw] | None:
        """The late draws and the first of its own, as many as the population, once all have ended.

        A draw whose trial was cancelled is passed over: another takes its place.
        """
        found = self._late()
        if not all(draw.trial is not None and draw.trial.state.final for draw in found):
            return None
        number = 0
        while len(found) < self.distribution.population:
            draw = self.draw(number)
            number += 1
            if draw.trial is None or not draw.trial.state.final:
                return None
            if not (draw.own and draw.trial.state is TrialState.CANCELLED):
                found.append(draw)
        return found

    def _late(self) -> list[Draw]:
        """Draws of the generation before that it was not told of.

        Which they are is settled with the first trial of this generation, of which there is one at
        least; until then there are none.
        """
        settled = min((trial.number for trial in self.own.values()), default=-1)
        late = [
            Draw(k, self.distribution.near(self._recorded(trial)), trial, own=True, late=True)
            for k, trial in sorted(self.before.items())
            if k >= self.run.told
            and trial.number < settled
            and trial.state is not TrialState.CANCELLED
        ]
        return late[: self.distribution.population - 1]

    def draw(self, number: int) -> Draw:
        """The draw of this number, with its trial."""
        if (trial := self.own.get(number)) is not None:
            return Draw(number, self._recorded(trial), trial, own=True)
        return self.drawn(number).draw

    def drawn(self, number: int) -> Drawn:
        """The draw of this number, made anew."""
        if number not in self._drawn:
            seed = self.trials.problem.seed
            at = draw_seed(seed, self.run.number, self.distribution.generation, number)
            row = self.distribution.draw(at)
            config = self._config(row)
            key = config_key(config)
            draw = Draw(number, row, self.trials.known.get(key))
            self._drawn[number] = Drawn(draw, config, key)
        return self._drawn[number]

    def _config(self, row: Floats) -> dict[str, Value]:
        return self.distribution.layout.cube.decode(self.distribution.encoded(row))

    def _recorded(self, trial: Trial) -> Floats:
        """The row that its origin holds; where that is gone, the row of its config."""
        layout = self.distribution.layout
        row = finite_row(trial.origin.get("row"), len(layout.order))
        return layout.row(layout.cube.encode([trial.config])[0]) if row is None else row


def ranked(problem: Problem, draws: Sequence[Draw]) -> tuple[list[Floats], list[float], bool]:
    """Rows and losses, best first, and whether any loss was measured.

    Failed trials and bad points come last and count as much as the worst that was measured.
    """
    found = [(loss_of(problem, draw.trial), k, draw.row) for k, draw in enumerate(draws)]
    found.sort(key=lambda entry: entry[:2])
    finite = [loss for loss, _, _ in found if math.isfinite(loss)]
    worst = finite[-1] if finite else 0.0
    values = [
        min(max(loss if math.isfinite(loss) else worst, -WORST), WORST) for loss, _, _ in found
    ]
    return [row for _, _, row in found], values, bool(finite)


def loss_of(problem: Problem, trial: Trial | None) -> float:
    """The loss of a trial that has ended; +inf where there is none to speak of."""
    if trial is None or trial.state not in (TrialState.COMPLETED, TrialState.STOPPED):
        return math.inf
    known = losses(problem, trial)
    return math.inf if known is None else known[0]


def _place(trial: Trial) -> tuple[int, int, int] | None:
    """The run, the generation and the draw that a trial was made for."""
    origin = trial.origin
    if origin.get("by") != "cmaes":
        return None
    found = [origin.get(name) for name in ("restart", "generation", "draw")]
    places = [n for n in found if isinstance(n, int) and not isinstance(n, bool) and n >= 0]
    return (places[0], places[1], places[2]) if len(places) == 3 else None
