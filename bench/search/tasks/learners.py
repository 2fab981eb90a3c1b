"""Learners with their hyperparameters: what the training tasks tune, alone or to be chosen from.

Each learner is a space and a function that trains on a split and gives the validation loss
(log-loss, or squared error on the regression).
"""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bench.search.tasks.data import Split, log_loss, squared_error
from bench.search.tasks.networks import Recipe, train
from bench.search.tasks.task import Config, Wire, choice, real, whole

EPOCHS = 12


@dataclass(frozen=True)
class Learner:
    """What may be tuned, and what comes of it."""

    space: Callable[[bool], list[Wire]]  # given whether it is a regression
    loss: Callable[[Config, Split], float]


def judged(model: Any, data: Split) -> float:
    """Fit the model and judge it on the validation part."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a fit did not converge is part of the task
        model.fit(data.x, data.y)
        if data.classes:
            return log_loss(model.predict_proba(data.x_valid), data.y_valid)
        return squared_error(model.predict(data.x_valid), data.y_valid)


def mlp_space(regression: bool) -> list[Wire]:
    return [
        real("lr", 1e-4, 1e-1, log=True),
        real("weight_decay", 1e-6, 1.0, log=True),
        real("dropout", 0.0, 0.6),
        real("momentum", 0.5, 0.99),
        whole("width", 8, 128, log=True),
        whole("depth", 1, 3),
        choice("batch", 16, 32, 64, 128, ordered=True),
    ]


def mlp_recipe(config: Config) -> Recipe:
    return Recipe(
        widths=[config["width"]] * config["depth"],
        dropout=config["dropout"],
        lr=config["lr"],
        weight_decay=config["weight_decay"],
        batch=config["batch"],
        sgd=False,
        momentum=config["momentum"],
    )


def mlp_loss(config: Config, data: Split) -> float:
    return list(train(mlp_recipe(config), data, EPOCHS))[-1]


def kernel_space(regression: bool) -> list[Wire]:
    return [
        real("gamma", 1e-4, 10.0, log=True),
        real("c", 1e-3, 1e3, log=True),
        whole("components", 10, 200, log=True),
        choice("kernel", "rbf", "laplacian"),
    ]


def kernel_loss(config: Config, data: Split) -> float:
    from sklearn.kernel_approximation import Nystroem
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.pipeline import make_pipeline

    features = Nystroem(
        kernel=config["kernel"],
        gamma=config["gamma"],
        n_components=min(config["components"], len(data.x)),
        random_state=0,
    )
    last = LogisticRegression(C=config["c"], max_iter=60) if data.classes else None
    return judged(make_pipeline(features, last or Ridge(alpha=1 / config["c"])), data)


def forest_space(regression: bool) -> list[Wire]:
    return [
        real("max_features", 0.05, 1.0),
        whole("min_samples_leaf", 1, 30, log=True),
        whole("max_depth", 2, 20),
        real("ccp_alpha", 1e-6, 1e-1, log=True),
        choice("bootstrap", False, True),
        *([] if regression else [choice("criterion", "gini", "log_loss")]),
    ]


def forest_loss(config: Config, data: Split) -> float:
    from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

    kind = ExtraTreesClassifier if data.classes else ExtraTreesRegressor
    return judged(kind(n_estimators=20, random_state=0, **config), data)


def boosting_space(regression: bool) -> list[Wire]:
    return [
        real("learning_rate", 0.01, 1.0, log=True),
        whole("n_estimators", 5, 40, log=True),
        whole("max_depth", 1, 6),
        whole("min_samples_leaf", 1, 30, log=True),
        real("max_features", 0.05, 1.0),
        real("subsample", 0.3, 1.0),
    ]


def boosting_loss(config: Config, data: Split) -> float:
    from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor

    kind = GradientBoostingClassifier if data.classes else GradientBoostingRegressor
    return judged(kind(random_state=0, **config), data)


def sgd_space(regression: bool) -> list[Wire]:
    return [
        real("alpha", 1e-6, 1.0, log=True),
        real("l1_ratio", 0.0, 1.0),
        real("eta0", 1e-4, 1.0, log=True),
        choice("learning_rate", "constant", "invscaling", "adaptive"),
        choice("average", False, True),
        whole("max_iter", 3, 50, log=True),
    ]


def sgd_loss(config: Config, data: Split) -> float:
    from sklearn.linear_model import SGDClassifier, SGDRegressor

    more: Mapping[str, Any] = {"penalty": "elasticnet", "tol": None, "random_state": 0}
    if data.classes:
        return judged(SGDClassifier(loss="log_loss", **more, **config), data)
    return judged(SGDRegressor(**more, **config), data)


def neighbours_space(regression: bool) -> list[Wire]:
    return [
        whole("n_neighbors", 1, 50, log=True),
        real("p", 1.0, 4.0),
        choice("weights", "uniform", "distance"),
        real("share", 0.1, 1.0),
        choice("whiten", False, True),
    ]


def neighbours_loss(config: Config, data: Split) -> float:
    from sklearn.decomposition import PCA
    from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
    from sklearn.pipeline import make_pipeline

    kind = KNeighborsClassifier if data.classes else KNeighborsRegressor
    components = max(1, round(config["share"] * min(data.width, 30)))
    return judged(
        make_pipeline(
            PCA(components, whiten=config["whiten"], random_state=0),
            kind(config["n_neighbors"], p=config["p"], weights=config["weights"]),
        ),
        data,
    )


LEARNERS = {
    "mlp": Learner(mlp_space, mlp_loss),
    "kernel": Learner(kernel_space, kernel_loss),
    "forest": Learner(forest_space, forest_loss),
    "boosting": Learner(boosting_space, boosting_loss),
    "sgd": Learner(sgd_space, sgd_loss),
    "neighbours": Learner(neighbours_space, neighbours_loss),
}
