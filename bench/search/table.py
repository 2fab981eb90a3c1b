"""From studies to the numbers that are reported: scores by group, and differences to rivals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from bench.search.bootstrap import Interval, Scores, difference, mean_score
from bench.search.cache import Cache, key
from bench.search.score import reference
from bench.search.solvers import Arm
from bench.search.tasks.task import Task

Table: TypeAlias = Mapping[str, Mapping[str, Scores]]  # arm -> group -> task -> seed -> score


@dataclass(frozen=True)
class Plan:
    """What is compared."""

    arms: Sequence[Arm]
    tasks: Sequence[Task]
    seeds: Sequence[int]

    @property
    def groups(self) -> list[str]:
        """The groups that there are tasks of, in order."""
        return list(dict.fromkeys(task.group for task in self.tasks))


def scores(plan: Plan, cache: Cache) -> Table:
    """Every score known; a study that is not known is absent."""
    found: dict[str, dict[str, dict[str, dict[int, float]]]] = {}
    for arm in plan.arms:
        mine = found[arm.name] = {group: {} for group in plan.groups}
        for task in plan.tasks:
            known = {seed: cache.get(key(arm, task, seed)) for seed in plan.seeds}
            worth = {
                seed: reference(task).score(result.value)
                for seed, result in known.items()
                if result is not None
            }
            if worth:
                mine[task.group][task.name] = worth
    return found


def complete(plan: Plan, table: Table, arm: str, group: str) -> bool:
    """Whether the arm has a score for every task of the group and every seed."""
    names = [task.name for task in plan.tasks if task.group == group]
    mine = table[arm][group]
    return all(set(mine.get(name, ())) == set(plan.seeds) for name in names)


def group_rows(plan: Plan, table: Table, group: str) -> dict[str, Interval]:
    """Arm to mean score, for the arms that have run any of the group."""
    return {
        arm.name: mean_score([table[arm.name][group]])
        for arm in plan.arms
        if table[arm.name][group]
    }


def overall_rows(plan: Plan, table: Table) -> dict[str, Interval]:
    """Arm to mean score over all tasks, for the arms that have run them all."""
    return {
        arm.name: mean_score([table[arm.name][group] for group in plan.groups])
        for arm in plan.arms
        if all(complete(plan, table, arm.name, group) for group in plan.groups)
    }


def best_rival(plan: Plan, rows: Mapping[str, Interval]) -> str | None:
    """The rival with the highest mean, chosen after the fact, which favours the rivals."""
    rivals = [arm.name for arm in plan.arms if arm.rival is not None and arm.name in rows]
    return max(rivals, key=lambda name: rows[name].mean, default=None)


def differences(plan: Plan, table: Table) -> dict[str, dict[str, Any]]:
    """For each arm of ours: group, and `overall`, to how far it is ahead of the best rival."""
    by_group = {group: _comparable(plan, table, group) for group in plan.groups}
    overall = overall_rows(plan, table)
    found: dict[str, dict[str, Any]] = {}
    for arm in plan.arms:
        if not arm.ours:
            continue
        mine = {
            group: _against(plan, table, arm.name, [group], rows)
            for group, rows in by_group.items()
            if table[arm.name][group]
        }
        if arm.name in overall:
            mine["overall"] = _against(plan, table, arm.name, plan.groups, overall)
        found[arm.name] = {group: each for group, each in mine.items() if each is not None}
    return found


def _comparable(plan: Plan, table: Table, group: str) -> Mapping[str, Interval]:
    """The means over all of a group, which tell who is best; any, where no rival ran it all."""
    rows = group_rows(plan, table, group)
    whole = {name: row for name, row in rows.items() if complete(plan, table, name, group)}
    return rows if best_rival(plan, whole) is None else whole


def against_each_rival(plan: Plan, table: Table) -> dict[str, dict[str, dict[str, Any]]]:
    """For each arm of ours: rival, and group or `overall`, to how far it is ahead of that one.

    Of the studies that both have run, so that a rival that could not run them all is there too.
    """
    rivals = [arm.name for arm in plan.arms if arm.rival is not None]
    return {
        arm.name: {rival: _ahead(plan, table, arm.name, rival) for rival in rivals}
        for arm in plan.arms
        if arm.ours
    }


def _ahead(plan: Plan, table: Table, arm: str, rival: str) -> dict[str, Any]:
    parts = {**{group: [group] for group in plan.groups}, "overall": plan.groups}
    found = {name: _difference(table, arm, rival, groups) for name, groups in parts.items()}
    return {name: each for name, each in found.items() if each is not None}


def _against(
    plan: Plan, table: Table, arm: str, groups: Sequence[str], rows: Mapping[str, Interval]
) -> dict[str, Any] | None:
    rival = best_rival(plan, rows)
    found = None if rival is None else _difference(table, arm, rival, groups)
    return None if found is None else {"best_rival": rival, **found}


def _difference(table: Table, arm: str, rival: str, groups: Sequence[str]) -> dict[str, Any] | None:
    """How far the arm is ahead where both have a score; None where that is nowhere."""
    strata = [(table[arm][group], table[rival][group]) for group in groups]
    if not any(set(ours) & set(theirs) for ours, theirs in strata):
        return None
    found = difference([ours for ours, _ in strata], [theirs for _, theirs in strata])
    rounded = found.rounded()
    return {"difference": rounded.pop("score"), **rounded}
