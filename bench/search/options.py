"""The command line."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from bench.search.solvers import HERE, RIVALS
from bench.search.tasks.registry import GROUPS, LARGE, NAMES

ARMS_OF_REPORT = HERE / "arms.json"
COSTLY = tuple(name for name, rival in RIVALS.items() if rival.costly)
CHEAP = tuple(name for name, rival in RIVALS.items() if not rival.costly)
DEFAULT = ("trimtab", "trimtab-core", "random", *CHEAP)
QUICK = ("trimtab", "random", "optuna-tpe", "optuna-auto")

ABOUT = """\
Compare searchers on the same tasks, seeds and budgets.

  python -m bench.search                     the check list, all arms, the costly rivals' list too
  python -m bench.search --quick             a few tasks a group, cheap rivals: 10 minutes
  python -m bench.search --list choose --arms 'trimtab-core:{"kind":"auto","initial":5}' \\
      trimtab-core optuna-tpe --groups continuous mixed --seeds 2 --minutes 5
  python -m bench.search --report            the report list, with the arms written in arms.json
  python -m bench.search reference           find reference values that are missing
  python -m bench.search install             make the rivals' virtual environments
  python -m bench.search keep hebo smac      copy cached results into git's folder (kept/)

Arms: random, the rivals RIVALS; trimtab (the real service, through the SDK) and
trimtab-core (the searcher called in process), either with :KIND or :JSON settings of a searcher.

Lists: develop on `choose`, check what you chose on `check`, and run `report` once per release.
Every finished study is cached under bench/.cache/search; a run goes on where another stopped.
Scores: 0 is the median of random search with the same budget, 1 the best known value.
"""


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The options; ends the program with a message when they do not fit together."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.search",
        description=ABOUT.replace("RIVALS", ", ".join(RIVALS)),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = ("run", "reference", "install", "keep")
    parser.add_argument("command", nargs="?", default="run", choices=commands)
    parser.add_argument("solvers", nargs="*", help="for install and keep: which (all rivals)")
    parser.add_argument("--list", choices=NAMES, help="the tasks (check)")
    parser.add_argument("--arms", nargs="+", metavar="ARM", help=f"({' '.join(DEFAULT)})")
    parser.add_argument("--groups", nargs="+", choices=GROUPS, help="only these groups")
    parser.add_argument("--per-group", type=int, help="at most so many tasks of a group")
    parser.add_argument("--seeds", type=int, help="studies of each task and arm (4)")
    parser.add_argument("--processes", type=int, default=2, help="studies at a time (2)")
    parser.add_argument("--hold", type=float, default=1.0, help="seconds a service's trial is held")
    parser.add_argument("--minutes", type=float, help="begin no study after so many minutes")
    parser.add_argument("--no-costly", action="store_true", help="leave out the costly rivals")
    parser.add_argument("--no-cpu", action="store_true", help="do not measure CPU per suggestion")
    parser.add_argument(
        "--cpu-groups",
        nargs="+",
        choices=LARGE,
        default=["continuous"],
        help="measure CPU per suggestion on a task of these groups (continuous)",
    )
    parser.add_argument("--quick", action="store_true", help="10 minutes on two cores")
    parser.add_argument("--report", action="store_true", help="the report list; see arms.json")
    parser.add_argument("--out", type=Path, help="result file (bench/results/search*.json)")
    return _settled(parser, parser.parse_args(arguments))


def _settled(parser: argparse.ArgumentParser, options: argparse.Namespace) -> argparse.Namespace:
    """The options with defaults filled in, by the kind of run."""
    if options.report:
        if any((options.list, options.arms, options.groups, options.per_group, options.seeds)):
            parser.error("--report takes its list, arms and seeds from bench/search/arms.json")
        return _report(options)
    options.name = "search-quick" if options.quick else _name(options.list)
    options.lists = [options.list] if options.list else list(NAMES)
    options.list = options.list or "check"
    options.costly_arms = () if options.no_costly or options.quick else COSTLY
    options.arms = options.arms or list(QUICK if options.quick else DEFAULT)
    options.per_group = options.per_group or (2 if options.quick else None)
    options.hold = min(options.hold, 0.5) if options.quick else options.hold
    options.counts = (50,) if options.quick else (50, 100, 300)
    options.seeds = list(range(1, (options.seeds or (1 if options.quick else 4)) + 1))
    options.costly_seeds = options.seeds
    return options


def _report(options: argparse.Namespace) -> argparse.Namespace:
    written = json.loads(ARMS_OF_REPORT.read_text())
    options.name, options.list = "search-report", "report"
    options.arms, options.costly_arms = written["arms"], tuple(written["costly"])
    options.seeds, options.costly_seeds = written["seeds"], written["costly_seeds"]
    options.hold = written["hold_seconds"]
    options.counts = (50, 100, 300)
    return options


def _name(chosen: str | None) -> str:
    return "search" if chosen in {None, "check"} else f"search-{chosen}"
