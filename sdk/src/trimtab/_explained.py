"""Explanations in the terminal: a row with bars for each parameter, then what to beware of."""

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from trimtab._view import number, sparkline
from trimtab.explanation import Answers, Dependence, Diagnostics, Explanation
from trimtab.models import Value

BAR = 20
COLUMNS = ("parameter", "importance", "total", "alone", "best set apart", "", "from", "to")


def render(found: Explanation) -> RenderableType:
    """A headline, the parameters, and the warnings."""
    parts: list[RenderableType] = [_headline(found), _table(found)]
    if found.diagnostics:
        parts.append(_checked(found.diagnostics))
    if found.answers:
        parts.append(_foretold(found.answers))
    if found.because:
        parts.append(Text(f"no model: {found.because}", "yellow"))
    parts += [Text(f"! {warning}", "yellow") for warning in found.warnings]
    return Group(*parts)


def as_text(found: Explanation) -> str:
    """The same without colours."""
    console = Console(width=200, color_system=None, force_terminal=False)
    with console.capture() as capture:
        console.print(render(found))
    return "\n".join(line.rstrip() for line in capture.get().rstrip().split("\n"))


def bar(share: float | None, width: int = BAR) -> str:
    """A share of 1 as a bar."""
    return "" if share is None else "█" * round(min(max(share, 0.0), 1.0) * width)


def _headline(found: Explanation) -> Text:
    old = f", {found.finished - found.seen} newer results are not in it" * (
        found.finished > found.seen
    )
    return Text.assemble(
        (f"{found.goal} {found.metric}", "bold"), f"  from {found.measured} results{old}"
    )


def _table(found: Explanation) -> Table:
    """The bars are of the larger index, or of the share where there is no model."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in COLUMNS:
        table.add_column(column, no_wrap=True)
    for one in found.importance:
        length = one.share if one.total is None else max(one.total, one.first_order or 0.0)
        curves = [curve for curve in found.dependence if curve.parameter == one.parameter]
        plain = next((curve for curve in curves if curve.item is None), None)
        table.add_row(
            Text(one.parameter),
            Text(bar(length), "cyan"),
            _percent(one.total),
            _percent(one.first_order),
            _percent(one.share),
            *_curve(plain),
        )
        for curve in curves:
            if curve.item is not None:
                table.add_row(Text(f"  {curve.item}"), "", "", "", "", *_curve(curve))
    return table


def _curve(curve: Dependence | None) -> tuple[Text, Text, Text]:
    if curve is None:
        return Text(), Text(), Text()
    return (
        Text(sparkline(curve.mean)),
        Text(_value(curve.values[0])),
        Text(_value(curve.values[-1])),
    )


def _checked(found: Diagnostics) -> Text:
    return Text(
        f"leaving out one of {found.trials} trials at a time: R^2 {found.r_squared:.2f}, rank "
        f"correlation {found.rank_correlation:.2f}, {found.coverage:.0%} within 90% intervals",
        "dim",
    )


def _foretold(found: Answers) -> Text:
    return Text(
        f"leaving out one of {found.answers} answers at a time: {found.foretold:.0%} are foretold",
        "dim",
    )


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.0%}"


def _value(value: Value) -> str:
    return number(value) if isinstance(value, float) else str(value)
