"""What `auto` chooses: the first row of the table that fits the study as it stands.

A row is passed over where its searcher cannot serve the problem, and from `until` trials on: so the
choice may change as trials come in.  What a choice rests on is said in docs/search.md.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from search.problem import Problem
from search.searcher import unsupported
from search.searchers.aims import MAX_FOR_HYPERVOLUME
from search.searchers.botorch import BoTorch
from search.searchers.gp import GP
from search.searchers.nsga2 import NSGA2
from search.searchers.phased import Part
from search.searchers.tpe import TPE

# Trials after which a model of several metrics, which looks at 500 of them and costs half a second
# or more for a suggestion, gives way to what goes on from all of the best.  At 500 it is ahead.
MANY = 1000

# Trials that cover the space before a model chooses, one for every PARAMETERS_EACH parameters if
# that is more; a study of one objective and at most SMALL trials has no more than FEW to spare.
FIRST, PARAMETERS_EACH = 10, 2
SMALL, FEW = 15, 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A searcher, for which problems it is the one, and why."""

    fits: Callable[[Problem], bool]
    searcher: Part
    because: str
    until: int | None = None  # trials
    covered: bool = True  # whether trials that cover the space come before it


def _by_preference(problem: Problem) -> bool:
    return problem.by_preference


def _transfers(problem: Problem) -> bool:
    return bool(problem.earlier)


def _few_objectives(problem: Problem) -> bool:
    return 1 < len(problem.objectives) <= MAX_FOR_HYPERVOLUME


def _several_objectives(problem: Problem) -> bool:
    return len(problem.objectives) > 1


def _constrained(problem: Problem) -> bool:
    return bool(problem.constraints)


def _noisy(problem: Problem) -> bool:
    return any(objective.noisy for objective in problem.objectives)


def _any(_: Problem) -> bool:
    return True


TABLE: Sequence[Choice] = (
    Choice(
        fits=_by_preference,
        searcher=BoTorch(),
        because="a person's answers instead of a metric",
        covered=False,
    ),
    Choice(
        fits=_transfers,
        searcher=BoTorch(),
        because="it learns from earlier studies",
        covered=False,
    ),
    Choice(
        fits=_few_objectives,
        searcher=BoTorch(),
        because="several objectives, by expected hypervolume improvement",
        until=MANY,
    ),
    Choice(
        fits=_several_objectives,
        searcher=BoTorch(),
        because=f"more than {MAX_FOR_HYPERVOLUME} objectives, by random scalarisations",
        until=MANY,
    ),
    Choice(
        fits=_several_objectives,
        searcher=NSGA2(),
        because=f"several objectives, and {MANY} trials or more to breed from",
    ),
    Choice(
        fits=_constrained,
        searcher=BoTorch(),
        because="constraints on outcomes, each with a model of its own",
        until=MANY,
    ),
    Choice(
        fits=_constrained,
        searcher=TPE(),
        because=f"constraints on outcomes, and {MANY} trials or more",
    ),
    Choice(
        fits=_noisy,
        searcher=GP(),
        because="one noisy objective, whose noise it fits along with the values",
    ),
    Choice(fits=_any, searcher=GP(), because="one objective"),
    Choice(fits=_any, searcher=BoTorch(), because="no other model serves this study"),
)


def choices(problem: Problem) -> Iterator[Choice]:
    """The rows that the problem may come to, in order; none where no model serves it."""
    for choice in TABLE:
        if choice.fits(problem) and not unsupported(problem, choice.searcher):
            yield choice
            if choice.until is None:
                return


def choose(problem: Problem, trials: int) -> Choice | None:
    """The row for a study of so many trials; None where no model serves it."""
    for choice in choices(problem):
        if choice.until is None or trials < choice.until:
            return choice
    return None


def covering(problem: Problem, budget: int | None) -> int:
    """How many trials cover the space before a model chooses."""
    if is_small(problem, budget):
        return FEW
    return max(FIRST, len(problem.space.parameters) // PARAMETERS_EACH)


def is_small(problem: Problem, budget: int | None) -> bool:
    """Whether the study has few trials to spare, and one model to learn from them."""
    one = len(problem.objectives) == 1 and not problem.constraints
    return one and budget is not None and budget <= SMALL


def refusals(problem: Problem) -> tuple[str, ...]:
    """Why no model serves the problem: the objections to the last searcher that would have."""
    fitting = [choice.searcher for choice in TABLE if choice.fits(problem)]
    return unsupported(problem, fitting[0])
