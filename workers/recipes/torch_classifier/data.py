"""Examples in three parts: one to train on, one that the search sees, one that it never sees."""

import csv
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from workers.recipes.torch_classifier.arguments import Arguments

BUNDLED = ("digits", "breast_cancer", "wine")
# Train 60%, validation 20%, test 20%.
HELD_OUT = 0.4
IMAGE_DIMENSIONS = 3  # example, row, column


@dataclass(frozen=True, slots=True)
class Part:
    """Inputs (n, features) or (n, rows, columns), and classes (n,)."""

    x: Tensor
    y: Tensor

    def to(self, device: torch.device) -> "Part":
        """The part on a device."""
        return Part(self.x.to(device), self.y.to(device))


@dataclass(frozen=True, slots=True)
class Data:
    """The three parts, standardised with what the first one alone shows."""

    train: Part
    validation: Part
    test: Part
    classes: int

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one example."""
        return tuple(self.train.x.shape[1:])

    def to(self, device: torch.device) -> "Data":
        """The data on a device."""
        parts = (self.train.to(device), self.validation.to(device), self.test.to(device))
        return Data(*parts, classes=self.classes)


def load(arguments: Arguments) -> Data:
    """The data that the arguments name, split the same way for every trial.

    Raises ValueError for data that cannot be used, and FileNotFoundError.
    """
    x, y = _read(arguments)
    names, y = np.unique(y, return_inverse=True)
    train, validation, test = split(y, arguments.split_seed)
    mean, scale = x[train].mean(axis=0), x[train].std(axis=0)
    x = (x - mean) / np.where(scale > 0, scale, 1.0)
    return Data(_part(x, y, train), _part(x, y, validation), _part(x, y, test), classes=len(names))


def split(y: NDArray[Any], seed: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Indices of the three parts, each with the same share of every class."""
    from sklearn.model_selection import train_test_split

    everything = np.arange(len(y))
    train, rest = train_test_split(everything, test_size=HELD_OUT, random_state=seed, stratify=y)
    validation, test = train_test_split(rest, test_size=0.5, random_state=seed, stratify=y[rest])
    return train, validation, test


def _part(x: NDArray[Any], y: NDArray[Any], rows: NDArray[Any]) -> Part:
    return Part(
        torch.from_numpy(x[rows].astype(np.float32)), torch.from_numpy(y[rows].astype(np.int64))
    )


def _read(arguments: Arguments) -> tuple[NDArray[Any], NDArray[Any]]:
    if arguments.data in BUNDLED:
        return _bundled(arguments.data)
    file = find(arguments.data, os.environ.get("TRIMTAB_CODE", ""))
    x, y = _table(file, arguments.label) if file.suffix == ".csv" else _arrays(file)
    if len(x) != len(y) or len(x) == 0:
        raise ValueError(f"{arguments.data}: {len(x)} examples and {len(y)} classes")
    if not np.isfinite(x).all():
        raise ValueError(f"{arguments.data}: some inputs are missing or not finite")
    return x, y


def _bundled(name: str) -> tuple[NDArray[Any], NDArray[Any]]:
    from sklearn import datasets

    loaded = getattr(datasets, f"load_{name}")()
    return (loaded.images if name == "digits" else loaded.data), loaded.target


def find(path: str, folders: str) -> Path:
    """A .npz or .csv file inside one of the operator's folders (separated as in PATH)."""
    if Path(path).suffix not in {".npz", ".csv"}:
        raise ValueError(f"data: expected {', '.join(BUNDLED)}, a .npz or a .csv, got {path!r}")
    for folder in (Path(text).resolve() for text in folders.split(os.pathsep) if text):
        file = (folder / path).resolve()
        if file.is_relative_to(folder) and file.is_file():
            return file
    raise FileNotFoundError(f"data: {path!r} is in none of the folders of TRIMTAB_CODE")


def _arrays(file: Path) -> tuple[NDArray[Any], NDArray[Any]]:
    with np.load(file, allow_pickle=False) as arrays:
        if not {"X", "y"} <= set(arrays.files):
            raise ValueError(f"{file.name}: expected arrays X and y, got {sorted(arrays.files)}")
        return arrays["X"].astype(np.float64), arrays["y"]


def _table(file: Path, label: str | None) -> tuple[NDArray[Any], NDArray[Any]]:
    with file.open(newline="", encoding="utf-8-sig") as lines:
        header, *rows = [row for row in csv.reader(lines, skipinitialspace=True) if row]
    if label is not None and label not in header:
        raise ValueError(f"{file.name} has no column {label!r}, but {', '.join(header)}")
    column = header.index(label) if label is not None else len(header) - 1
    table = np.array(rows, dtype=str)
    return np.delete(table, column, axis=1).astype(np.float64), table[:, column]
