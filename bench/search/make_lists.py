"""Writes the task lists (lists/*.json).

The three lists have the same make-up and share no instance, table seed or split: what is chosen on
one is checked on another and reported on the third.  The list for the costly rivals is a fourth
draw of 20.

Run from the repository's root: python -m bench.search.make_lists
"""

import json
from itertools import product

from bench.search.tasks.data import DATASETS
from bench.search.tasks.learners import LEARNERS
from bench.search.tasks.models import KINDS
from bench.search.tasks.registry import LISTS

DIMENSIONS = (2, 3, 5, 8, 10, 16, 20)
# Without `car`: over a hundredth of its table is perfect, so that random search finds the best.
HPOBENCH = (
    *("phoneme", "vehicle", "australian", "kc1"),
    *("segment", "blood_transfusion", "credit_g"),
)
HPOLIB = ("naval_propulsion", "parkinsons_telemonitoring", "protein_structure")
TABLES = (
    *(f"hpobench-{table}-val_acc" for table in HPOBENCH),
    *(f"hpolib-{table}-val_loss" for table in (*HPOLIB, "slice_localization")),
    *(f"nasbench201-{table}-val_acc" for table in ("cifar10", "cifar100", "imagenet")),
)
SLOW = ("boosting-digits", "pipeline-digits")  # a quarter of a second a trial
MIXINT = (range(1, 25, 2), range(2, 25, 2), [k for k in range(1, 25) if k % 4 in {1, 2}])
NOISY_TABLES = (
    ("hpobench-phoneme-val_acc", "hpobench-australian-val_acc", "hpolib-naval_propulsion-val_loss"),
    ("hpobench-kc1-val_acc", "hpobench-vehicle-val_acc", "hpolib-slice_localization-val_loss"),
    ("hpobench-segment-val_acc", "hpobench-credit_g-val_acc", "hpolib-protein_structure-val_loss"),
)
COSTLY = (
    *("continuous/f02-i10-d05", "continuous/f06-i10-d10", "continuous/f08-i10-d03"),
    *("continuous/f15-i10-d05", "continuous/f20-i10-d08", "continuous/f21-i10-d10"),
    *("mixed/bbob-f03-i10-d10", "mixed/bbob-f09-i10-d05", "mixed/bbob-f21-i10-d20"),
    *("mixed/select-wine-s44", "mixed/network-breast_cancer-s44"),
    *("tabular/hpobench-vehicle-val_f1-r3", "tabular/hpobench-kc1-val_acc-r3"),
    *("tabular/hpolib-protein_structure-val_loss-r3", "tabular/nasbench201-cifar100-val_acc-r3"),
    *("training/mlp-wine-s44", "training/boosting-breast_cancer-s44", "training/sgd-diabetes-s44"),
    *("noisy/f01-i10-d05-n10", "noisy/f17-i10-d05-n30"),
)


def main() -> None:
    for place, name in enumerate(("choose", "check", "report")):
        _write(name, list(names(place)))
    _write("costly", list(COSTLY))


def names(place: int) -> list[str]:
    """The names on the list at a place: 0, 1 or 2."""
    return [
        *_continuous(place),
        *_mixed(place),
        *_tabular(place),
        *_training(place),
        *_noisy(place),
        *_small(place),
    ]


def _continuous(place: int) -> list[str]:
    return [
        f"continuous/f{f:02}-i{place + 1:02}-d{DIMENSIONS[(f + 2 * place) % 7]:02}"
        for f in range(1, 25)
    ]


def _mixed(place: int) -> list[str]:
    functions = [
        f"mixed/bbob-f{f:02}-i{place + 1:02}-d{(5, 10, 20)[(k + place) % 3]:02}"
        for k, f in enumerate(MIXINT[place])
    ]
    models = [f"{kind}-{data}" for kind, data in product(KINDS, DATASETS)]
    kept = [each for each in models if each not in SLOW]
    return functions + [f"mixed/{each}-s{_split_of(place, each)}" for each in kept]


def _tabular(place: int) -> list[str]:
    scores = [f"hpobench-{table}-val_f1" for table in HPOBENCH]
    return [f"tabular/{each}-r{place}" for each in (*TABLES, *scores)]


def _training(place: int) -> list[str]:
    found = [f"{learner}-{data}" for learner, data in product(LEARNERS, DATASETS)]
    return [f"training/{each}-s{_split_of(place, each)}" for each in found if each not in SLOW]


def _noisy(place: int) -> list[str]:
    functions = [f for f in range(1, 25) if f % 4 != place]
    return [
        f"noisy/f{f:02}-i{place + 4:02}-d{DIMENSIONS[(f + place) % 5]:02}-n{(10, 30)[k % 2]}"
        for k, f in enumerate(functions)
    ] + [f"noisy/{table}" for table in NOISY_TABLES[place]]


def _small(place: int) -> list[str]:
    kinds = ("zdt1", "zdt2", "zdt3", "dtlz2", "fonseca", "pair")
    split = _split(place) + 1
    return [
        *(f"objectives/{kind}-d{6 - 2 * (k % 2)}-s{place + 1}" for k, kind in enumerate(kinds)),
        *(f"stopping/mlp-{data}-s{split}" for data in DATASETS),
        *(f"stopping/network-{data}-s{split}" for data in ("breast_cancer", "wine")),
        *(f"wide/f{f:02}-i{place + 1:02}" for f in (1, 3, 8, 10, 15, 20)),
        *(
            f"parallel/f{f:02}-i{place + 7:02}-d{d:02}"
            for f, d in ((2, 5), (6, 10), (8, 5), (15, 10), (20, 5), (21, 10))
        ),
    ]


def _split(place: int) -> int:
    return 11 * (place + 1)


def _split_of(place: int, name: str) -> int:
    """The split of a task; split 33 of wine is so easy that random search finds a loss of 0."""
    split = _split(place)
    return 55 if split == 33 and name.endswith("-wine") else split


def _write(name: str, found: list[str]) -> None:
    if len(set(found)) < len(found):
        raise ValueError(f"{name}: a task is listed twice")
    (LISTS / f"{name}.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
