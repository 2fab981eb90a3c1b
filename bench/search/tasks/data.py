"""scikit-learn's own data sets, split by a seed, and the losses that models are judged by."""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

DATASETS = ("digits", "breast_cancer", "diabetes", "wine")
TRAIN, VALID = 300, 240  # rows at most; digits has 1,797, which would cost more and teach no more
SURE = 1e-4  # no class is ever less probable: one wrong vote of a forest is not the whole loss

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Split:
    """Standardised training and validation parts; `classes` is 0 for a regression."""

    x: Array
    y: Any
    x_valid: Array
    y_valid: Any
    classes: int

    @property
    def width(self) -> int:
        """The number of features."""
        return self.x.shape[1]


@cache
def split(name: str, seed: int) -> Split:
    """The data set, 60% for training and 40% for validation, up to TRAIN and VALID rows."""
    from sklearn import datasets
    from sklearn.model_selection import train_test_split

    x, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    regression = name == "diabetes"
    rows = min(len(x), TRAIN + VALID)
    x, x_valid, y, y_valid = train_test_split(
        x,
        y,
        train_size=round(0.6 * rows),
        test_size=round(0.4 * rows),
        random_state=seed,
        stratify=None if regression else y,
    )
    mean, sd = x.mean(0), x.std(0)
    sd[sd == 0] = 1.0
    if regression:
        centre, scale = y.mean(), y.std()
        y, y_valid = (y - centre) / scale, (y_valid - centre) / scale
    classes = 0 if regression else int(y.max()) + 1
    return Split((x - mean) / sd, y, (x_valid - mean) / sd, y_valid, classes)


def log_loss(probabilities: Any, y: Any) -> float:
    """Mean negative log-likelihood, with no probability under SURE."""
    chosen = np.asarray(probabilities)[np.arange(len(y)), y]
    return float(-np.mean(np.log(np.clip(chosen, SURE, 1.0))))


def squared_error(predicted: Any, y: Any) -> float:
    """Mean squared error, in units of the variance; a model that explodes is no worse than 10."""
    error = float(np.mean((np.asarray(predicted, dtype=float) - y) ** 2))
    return min(error, 10.0) if np.isfinite(error) else 10.0
