"""The result file, and what is printed of it."""

from collections.abc import Mapping, Sequence
from typing import Any

from bench.parts.results import table as text_table
from bench.search.bootstrap import Interval
from bench.search.cache import Cache, key
from bench.search.cpu import CpuCache
from bench.search.solvers import Arm
from bench.search.table import (
    Plan,
    Table,
    against_each_rival,
    differences,
    group_rows,
    overall_rows,
)


def section(
    plan: Plan, table: Table, cache: Cache, cpu: CpuCache, counts: Sequence[int]
) -> dict[str, Any]:
    """The numbers of one list of tasks."""
    return {
        "groups": {
            group: _rows(plan, group_rows(plan, table, group), cache, cpu, counts, group)
            for group in plan.groups
        },
        "overall": _rows(plan, overall_rows(plan, table), cache, cpu, counts, None),
        "against_the_best_rival": differences(plan, table),
        "against_each_rival": against_each_rival(plan, table),
        "scores": {
            arm.name: {
                task: {str(seed): round(score, 4) for seed, score in seeds.items()}
                for group in plan.groups
                for task, seeds in table[arm.name][group].items()
            }
            for arm in plan.arms
        },
    }


def printed(sections: Mapping[str, Mapping[str, Any]]) -> str:
    """The sections as text."""
    lines: list[str] = []
    for title, found in sections.items():
        lines += [f"\n{title}", text_table(_score_rows(found))]
        for arm, groups in found["against_the_best_rival"].items():
            lines += [f"\n{arm} less the best rival", text_table(_difference_rows(groups))]
        for arm, rivals in found["against_each_rival"].items():
            lines += [f"\n{arm} less each rival", text_table(_rival_rows(rivals))]
    return "\n".join(lines)


def _rows(
    plan: Plan,
    intervals: Mapping[str, Interval],
    cache: Cache,
    cpu: CpuCache,
    counts: Sequence[int],
    group: str | None,
) -> dict[str, Any]:
    arms = {arm.name: arm for arm in plan.arms}
    found = {}
    for name, interval in intervals.items():
        row: dict[str, Any] = interval.rounded()
        row["cpu_seconds_per_suggestion"] = cpu.of(arms[name], group or "continuous", counts)
        row["cpu_seconds_per_trial_played"] = played_cpu(plan, arms[name], cache, group)
        found[name] = row
    return found


def played_cpu(plan: Plan, arm: Arm, cache: Cache, group: str | None) -> float | None:
    """Processor seconds a trial over the studies played; None where studies shared a process."""
    if arm.remote:
        return None
    found = [
        result
        for task in plan.tasks
        if group is None or task.group == group
        for seed in plan.seeds
        if (result := cache.get(key(arm, task, seed))) is not None
    ]
    trials = sum(result.trials for result in found)
    return round(sum(result.cpu_seconds for result in found) / trials, 5) if trials else None


def _score_rows(found: Mapping[str, Any]) -> list[list[str]]:
    groups = {**found["groups"], "overall": found["overall"]}
    solvers = list(dict.fromkeys(name for rows in groups.values() for name in rows))
    return [
        ["solver", *groups],
        *([name, *(_cell(rows.get(name)) for rows in groups.values())] for name in solvers),
    ]


def _cell(row: Mapping[str, Any] | None) -> str:
    return "" if row is None else f"{row['score']:.2f} [{row['low']:.2f}, {row['high']:.2f}]"


def _difference_rows(groups: Mapping[str, Any]) -> list[list[str]]:
    return [
        ["group", "best rival", "difference", "low", "high", "tasks"],
        *(
            [
                group,
                row["best_rival"],
                f"{row['difference']:+.3f}",
                f"{row['low']:+.3f}",
                f"{row['high']:+.3f}",
                str(row["tasks"]),
            ]
            for group, row in groups.items()
        ),
    ]


def _rival_rows(rivals: Mapping[str, Any]) -> list[list[str]]:
    groups = list(dict.fromkeys(group for rows in rivals.values() for group in rows))
    return [
        ["rival", *groups],
        *([name, *(_ahead(rows.get(group)) for group in groups)] for name, rows in rivals.items()),
    ]


def _ahead(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return ""
    return f"{row['difference']:+.2f} [{row['low']:+.2f}, {row['high']:+.2f}] ({row['tasks']})"
