"""What a batch leaves for the next: the run, and the distribution after its last generation."""

from collections.abc import Mapping

from search.cma.layout import Layout
from search.cma.numbers import finite_row, written
from search.cma.progress import Progress
from search.cma.run import LARGEST, Run, begin
from search.searcher import Memo
from search.searchers.cmaes import CMAES
from search.values import JSON, is_number

VERSION = 1
MOST_NUMBERS = 40_000  # with 25 characters each a memo stays below its limit
WHOLES = ("number", "large", "population", "barren", "told")


def write(progress: Progress) -> Memo | None:
    """The memo; None where nothing was learned yet, or more than a memo holds."""
    run, state = progress.run, progress.distribution.state()
    at_first = run.number == 0 and progress.distribution.generation == 0
    if at_first or sum(map(len, state.values())) > MOST_NUMBERS:
        return None
    best: JSON = None if run.best is None else [run.best[0], *written(run.best[1])]
    data: dict[str, JSON] = {name: getattr(run, name) for name in WHOLES}
    data |= {"small": run.small, "fresh": run.fresh, "sigma": run.sigma}
    data |= {"spent": list(run.spent), "best": best}
    data["distribution"] = {name: list(values) for name, values in state.items()}
    return Memo(version=VERSION, data=data)


def read(memo: Memo | None, settings: CMAES, layout: Layout, seed: int) -> Progress | None:
    """What a memo of ours holds; None for any other."""
    if memo is None or memo.version != VERSION or not isinstance(memo.data, Mapping):
        return None
    run = _run(memo.data, len(layout.order))
    if run is None:
        return None
    distribution = begin(settings, layout, run, seed, None)
    if not distribution.restore(memo.data.get("distribution")):
        return None
    return Progress(settings, layout, run, distribution)


def _run(data: Mapping[str, JSON], width: int) -> Run | None:
    wholes = {name: value for name in WHOLES if _whole(value := data.get(name))}
    spent, sigma, best = data.get("spent"), data.get("sigma"), data.get("best")
    small, fresh = data.get("small"), data.get("fresh")
    if len(wholes) < len(WHOLES) or not 2 <= wholes["population"] <= LARGEST:  # type: ignore[operator]
        return None
    if not isinstance(spent, list) or len(spent) != 2 or not all(map(_whole, spent)):
        return None
    if not (isinstance(small, bool) and isinstance(fresh, bool) and is_number(sigma)):
        return None
    row = None if best is None else finite_row(best, 1 + width)
    if not 0 < sigma <= 10 or (best is not None and row is None):  # type: ignore[operator]
        return None
    return Run(
        **wholes,  # type: ignore[arg-type]
        small=small,
        fresh=fresh,
        sigma=float(sigma),  # type: ignore[arg-type]
        spent=(spent[0], spent[1]),  # type: ignore[arg-type]
        best=None if row is None else (float(row[0]), row[1:]),
    )


def _whole(value: JSON) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53
