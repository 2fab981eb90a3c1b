"""The benchmark's picture: scores with their intervals by group, and CPU by number of trials."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

COLOURS = {
    "trimtab": "#c2410c",
    "trimtab-core": "#fb923c",
    "optuna-tpe": "#1d4ed8",
    "optuna-auto": "#60a5fa",
    "optuna-gp": "#0891b2",
    "ax": "#7c3aed",
    "hebo": "#15803d",
    "smac": "#a16207",
    "vizier": "#be185d",
    "random": "#6b7280",
}


# Scores below it are drawn at the edge: one task on which chance fails badly would hide the rest.
LEAST = -0.6


def draw(found: Mapping[str, Any], path: Path) -> None:
    """Write the picture of one section of a result file as SVG."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "trimtab"  # the same numbers give the same file
    mpl.rcParams["svg.fonttype"] = "none"
    from matplotlib import pyplot as plt

    groups = {"overall": found["overall"], **found["groups"]}
    groups = {name: rows for name, rows in groups.items() if rows}
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(11, 1.5 + 0.75 * len(groups)), width_ratios=[2, 1], layout="constrained"
    )
    _scores(left, groups)
    _cpu(right, found["groups"])
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def colour(solver: str) -> str:
    """A solver's colour; one of ours with settings looks like ours."""
    return COLOURS.get(solver) or COLOURS.get(solver.split(":", 1)[0], "#111827")


def _scores(axis: Any, groups: Mapping[str, Mapping[str, Any]]) -> None:
    solvers = list(dict.fromkeys(name for rows in groups.values() for name in rows))
    for index, solver in enumerate(solvers):
        offset = 0.7 * ((index + 0.5) / len(solvers) - 0.5)
        mine = [(y, _cut(rows[solver])) for y, rows in enumerate(groups.values()) if solver in rows]
        axis.errorbar(
            [row["score"] for _, row in mine],
            [y + offset for y, _ in mine],
            xerr=[
                [row["score"] - row["low"] for _, row in mine],
                [row["high"] - row["score"] for _, row in mine],
            ],
            fmt="o",
            markersize=4,
            color=colour(solver),
            label=solver,
        )
    axis.set_yticks(range(len(groups)), list(groups))
    axis.invert_yaxis()
    axis.axvline(0, color="#9ca3af", linewidth=0.8)
    if axis.get_xlim()[0] < LEAST:
        axis.set_xlim(left=LEAST)
    axis.set_xlabel("score: 0 = random search's median, 1 = best known")
    axis.figure.legend(fontsize=8, loc="outside upper center", ncols=5)


def _cut(row: Mapping[str, Any]) -> dict[str, float]:
    return {name: max(row[name], LEAST) for name in ("score", "low", "high")}


def _cpu(axis: Any, groups: Mapping[str, Mapping[str, Any]]) -> None:
    for solver, row in next(iter(groups.values()), {}).items():
        measured = row["cpu_seconds_per_suggestion"]
        if measured:
            counts = [int(count) for count in measured]
            axis.plot(counts, list(measured.values()), "o-", markersize=4, color=colour(solver))
            axis.annotate(solver, (counts[-1], list(measured.values())[-1]), fontsize=7)
    axis.set_yscale("log")
    axis.margins(x=0.3)  # room for the names
    axis.set_xlabel("finished trials")
    axis.set_ylabel("CPU seconds per suggestion, one thread")
