"""The search benchmark; `python -m bench.search --help` tells what it can do."""

import argparse
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

from rich.console import Console

from bench.parts import machine
from bench.parts.results import elapsed, save
from bench.search import install as installing
from bench.search import options as command_line
from bench.search import picture, reference, report, score, variants
from bench.search.cache import Cache, keep
from bench.search.cpu import CpuCache, measure
from bench.search.place import running_service
from bench.search.runner import Ran, jobs, run
from bench.search.session import Session, SolverFailed
from bench.search.solvers import RIVALS, Arm, arm
from bench.search.table import Plan, scores
from bench.search.tasks.registry import read_list, thin
from bench.search.tasks.task import Task

CONSOLE = Console(stderr=True)
REMOTE_PROCESSES = 6  # they mostly wait for the suggester


def main() -> None:
    options = command_line.parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended
    {"run": _run, "reference": _reference, "install": _install, "keep": _keep}[options.command](
        options
    )


def _run(options: argparse.Namespace) -> None:
    if options.report:
        _check_written_down()
    facts = machine.facts()
    left_out = installing.install([*options.arms, *options.costly_arms], CONSOLE)
    plans = _plans(options, left_out)
    cache, cpu, ran = Cache(), CpuCache(), Ran()
    for plan in plans.values():
        if options.list == "choose":
            variants.note(plan.arms)
        for each in plan.arms:
            _play(each, plan, options, cache, cpu, ran, left_out)
    result = _result(options, facts, plans, cache, cpu, ran, left_out)
    written = save(options.name, result, options.out)
    main_list = next(iter(plans))
    picture.draw(result["lists"][main_list], written.with_suffix(".svg"))
    print(report.printed(result["lists"]))
    CONSOLE.print(f"written to {written} and {written.with_suffix('.svg').name}")
    if ran.open:
        CONSOLE.print(f"{ran.open} studies are still to run: the same command goes on with them")


def _plans(options: argparse.Namespace, left_out: dict[str, str]) -> dict[str, Plan]:
    """The list asked for and, where costly rivals take part, theirs."""
    arms = [arm(text) for text in options.arms if text not in left_out]
    tasks = _with_reference(_chosen(read_list(options.list), options))
    plans = {options.list: Plan(arms, tasks, options.seeds)}
    costly = [arm(text) for text in options.costly_arms if text not in left_out]
    if costly and options.list != "costly":
        tasks = _with_reference(_chosen(read_list("costly"), options))
        plans["costly"] = Plan([*arms, *costly], tasks, options.costly_seeds)
    return plans


def _chosen(tasks: list[Task], options: argparse.Namespace) -> list[Task]:
    kept = [t for t in tasks if options.groups is None or t.group in options.groups]
    return kept if options.per_group is None else thin(kept, options.per_group)


def _with_reference(tasks: Sequence[Task]) -> list[Task]:
    kept = []
    for each in tasks:
        try:
            score.reference(each)
            kept.append(each)
        except score.NoReference as error:
            CONSOLE.print(f"[yellow]left out: {error}")
    return kept


def _play(
    each: Arm,
    plan: Plan,
    options: argparse.Namespace,
    cache: Cache,
    cpu: CpuCache,
    ran: Ran,
    left_out: dict[str, str],
) -> None:
    """Run what is not known of one arm: its studies, then its CPU per suggestion."""
    groups = [] if options.no_cpu else [g for g in plan.groups if g in options.cpu_groups]
    needs_cpu = any(cpu.get(each, g, n) is None for g in groups for n in options.counts)
    if not needs_cpu and not jobs([each], plan.tasks, plan.seeds, cache):
        return
    place = running_service(options.hold) if each.remote else nullcontext({})
    with place as environment:
        try:
            with Session(each.command, {**dict(each.environment), **environment}) as session:
                session.try_out()
        except SolverFailed as error:
            left_out[each.name] = str(error).strip()[-2000:]
            CONSOLE.print(f"[red]{each.name} does not start and is left out: {error}")
            return
        minutes = None if options.minutes is None else options.minutes - elapsed() / 60
        processes = REMOTE_PROCESSES if each.remote else options.processes
        todo = jobs([each], plan.tasks, plan.seeds, cache, environment)
        done = run(todo, cache, processes=processes, minutes=minutes, label=each.name[:30])
        ran.open += done.open
        ran.failures += done.failures
        if needs_cpu and (options.minutes is None or elapsed() < 60 * options.minutes):
            measure(each, groups, cpu, counts=options.counts, environment=environment)


def _result(
    options: argparse.Namespace,
    facts: dict[str, object],
    plans: dict[str, Plan],
    cache: Cache,
    cpu: CpuCache,
    ran: Ran,
    left_out: dict[str, str],
) -> dict[str, Any]:
    arms = {each.name: each for plan in plans.values() for each in plan.arms}
    lists = {
        name: report.section(plan, scores(plan, cache), cache, cpu, options.counts)
        for name, plan in plans.items()
    }
    return {
        "benchmark": "search",
        "machine": facts,
        "how": {
            "list": options.list,
            "seeds": options.seeds,
            "score": "(random_median - value) / (random_median - best_known), means over tasks",
            "interval": "95%, two-level bootstrap over tasks within groups and seeds within tasks",
            "cpu": "process CPU on one thread, imports excluded, the same history for all",
            "hold_seconds": options.hold,
            "variants_of_ours_tried_on_choose": len(variants.tried()),
        },
        "solvers": {name: each.version for name, each in arms.items()},
        "left_out": left_out,
        "failures": ran.failures,
        "studies_still_to_run": ran.open,
        **{key: lists[options.list][key] for key in ("groups", "overall")},
        "lists": lists,
    }


def _check_written_down() -> None:
    """Refuse to report on arms that are not in git."""
    path = str(command_line.ARMS_OF_REPORT)
    command = ["git", "-C", str(machine.ROOT), "status", "--porcelain", "--", path]
    if subprocess.run(command, capture_output=True, text=True, check=True).stdout:
        sys.exit("Commit bench/search/arms.json first: a report's arms are written down before it.")


def _reference(options: argparse.Namespace) -> None:
    """Find what is missing, group by group; each group's file is written as it grows."""
    for name in options.lists:
        for each in _chosen(read_list(name), options):
            if options.minutes is not None and elapsed() > 60 * options.minutes:
                return
            score.read.cache_clear()  # another process may be at it too
            try:
                score.reference(each)
            except score.NoReference:
                found = reference.find(each)
                score.read.cache_clear()
                score.write(each.group, {**score.read(each.group), each.name: found})
                CONSOLE.print(
                    f"{elapsed():6.0f} s  {each.name}: random {found['random_median']}, "
                    f"best {found['best_known']:.6g} ({found['best_by']})"
                )


def _install(options: argparse.Namespace) -> None:
    failed = installing.install(options.solvers or RIVALS, CONSOLE)
    if failed:
        sys.exit(f"not installed: {', '.join(failed)}")


def _keep(options: argparse.Namespace) -> None:
    cache = Cache()
    for name in options.solvers or RIVALS:
        CONSOLE.print(f"{name}: {keep(cache, name)} results in bench/search/kept")


if __name__ == "__main__":
    main()
