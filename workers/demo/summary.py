"""What the demo says at the end: the best config, how good it is, and where to look further."""

from collections.abc import Mapping, Sequence

from trimtab.models import StudyInfo, TrialInfo, Value


def summary(
    info: StudyInfo, best: TrialInfo | None, defaults: TrialInfo | None, url: str, home: str
) -> str:
    """The end of the demo, in lines."""
    lines = ["", f"{info.name}: {info.trials.finished} trials, {_counts(info)}."]
    if best is None:
        lines += ["No trial was completed; `trimtab logs` shows what went wrong."]
    else:
        lines += _best(best, defaults)
    return "\n".join([*lines, *_further(info.name, url, home)])


def _counts(info: StudyInfo) -> str:
    counts: Mapping[str, int] = info.trials.model_dump()
    return ", ".join(f"{count} {state}" for state, count in counts.items() if count) or "none ended"


def _best(best: TrialInfo, defaults: TrialInfo | None) -> Sequence[str]:
    lines = ["", f"The best is trial {best.number} (found by {best.origin.get('by', 'hand')}):", ""]
    lines += [f"    {name:<18}{_short(value)}" for name, value in best.config.items()]
    lines += ["", "Its accuracy on data that it was not trained on:", ""]
    lines += [_accuracies(best, "")]
    if defaults is not None and defaults.number != best.number and defaults.state == "completed":
        lines += [_accuracies(defaults, "   (the defaults, trial 0)")]
    return [
        *lines,
        "",
        "The search looked at the validation part only: the test part is the honest number.",
    ]


def _accuracies(trial: TrialInfo, remark: str) -> str:
    validation, test = (trial.values.get(f"{part}_accuracy") for part in ("val", "test"))
    return f"    validation {_percent(validation)}    test {_percent(test)}{remark}"


def _further(name: str, url: str, home: str) -> Sequence[str]:
    prefix = f"TRIMTAB_HOME={home} .venv/bin/trimtab"
    return [
        "",
        f"The API was at {url} and stops with this demo; everything is kept.  To look further:",
        "",
        f"    {prefix} up                # then, in another terminal",
        f"    {prefix} trials {name}",
        f"    {prefix} export {name}",
        f"    open {url}/docs",
    ]


def _percent(value: float | None) -> str:
    return "   -  " if value is None else f"{value:6.1%}"


def _short(value: Value) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
