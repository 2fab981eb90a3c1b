"""Small studies that a searcher drives, for tests of what it finds."""

from search.problem import Objective, Problem
from search.searcher import History
from search.searchers.phased import Phased
from search.searchers.sobol import Sobol
from search.space import SearchSpace
from search.trial import Trial, TrialState


def problem(*parameters, objectives=("loss",), constraints=(), seed=0):
    """A problem in these parameters; an objective is itself, or the name of a loss."""
    asked = [o if isinstance(o, Objective) else Objective(metric=o) for o in objectives]
    space = SearchSpace(parameters=parameters)
    return Problem(space=space, objectives=asked, constraints=constraints, seed=seed)


def completed(number, config, values):
    """A trial that ended well."""
    return Trial(number=number, config=config, state=TrialState.COMPLETED, values=values)


def finished(study, values_of, count=12):
    """The first Sobol points of a study, all completed."""
    batch = Sobol().suggest(History(problem=study), count)
    configs = [s.config for s in batch.suggestions]
    return [completed(n, config, values_of(config)) for n, config in enumerate(configs)]


def play(searcher, study, values_of, count, first=8):
    """The trials of a study that a searcher drives, one after the other."""
    driver = Phased(first=Sobol(), then=searcher, after=first)
    trials, memo = [], None
    for number in range(count):
        history = History(problem=study, trials=trials, batch=number, memo=memo)
        batch = driver.suggest(history, 1)
        memo, config = batch.memo, batch.suggestions[0].config
        trials.append(completed(number, config, values_of(config)))
    return trials
