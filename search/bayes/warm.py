"""What one fit leaves for the next: where it ended, as a memo."""

from search.bayes.model import Hyperparameters, cold_starts
from search.searcher import History, Memo
from search.values import JSON

VERSION = 1


def starts(history: History, free: int) -> list[Hyperparameters]:
    """Where the last fit ended, if it is known, and a cold start; batches take turns with those."""
    cold = cold_starts(free)
    last = read(history.memo)
    if last is None or len(last.lengths) != free:
        return cold
    return [last, cold[history.batch % len(cold)]]


def read(memo: Memo | None) -> Hyperparameters | None:
    """The hyperparameters in a memo; None for a memo that is not ours."""
    if memo is None or memo.version != VERSION or not isinstance(memo.data, dict):
        return None
    lengths = memo.data.get("lengths")
    if not isinstance(lengths, list) or not lengths:
        return None
    values = [*lengths, memo.data.get("noise"), memo.data.get("mean")]
    numbers = [float(v) for v in values if isinstance(v, int | float)]
    if len(numbers) != len(values):
        return None
    found = Hyperparameters(lengths=tuple(numbers[:-2]), noise=numbers[-2], mean=numbers[-1])
    return found if found.sound else None


def write(at: Hyperparameters) -> Memo:
    """The memo of a fit that ended there."""
    data: JSON = {"lengths": list(at.lengths), "noise": at.noise, "mean": at.mean}
    return Memo(version=VERSION, data=data)
