"""Conditional spaces over real training: a learner to choose, a network to shape, a pipeline.

mixed/select-digits-s11     which learner, each with its own hyperparameters
mixed/network-wine-s11      layers, each with its width; the optimizer with its own settings
mixed/pipeline-digits-s11   scaling, reduction, classifier
"""

import re
from collections.abc import Callable
from functools import partial
from typing import Any

from bench.search.tasks.data import DATASETS, Split, split
from bench.search.tasks.learners import EPOCHS, LEARNERS, judged
from bench.search.tasks.networks import Recipe, train
from bench.search.tasks.task import Config, Evaluate, Seen, Task, Wire, choice, real, when, whole
from bench.search.tasks.training import DRAWS, SEARCH

PATTERN = re.compile(r"mixed/(?P<kind>[a-z]+)-(?P<data>[a-z_]+)-s(?P<seed>\d+)")
CHOICES = ("kernel", "forest", "sgd", "neighbours")


def task(name: str) -> Task | None:
    """The task of that name, None when it is not of this family."""
    found = PATTERN.fullmatch(name)
    if found is None or found["kind"] not in KINDS or found["data"] not in DATASETS:
        return None
    space, _ = KINDS[found["kind"]]
    return Task(
        name=name,
        space=space(found["data"] == "diabetes"),
        load=partial(load, found["kind"], found["data"], int(found["seed"])),
        draws=DRAWS,
        search=SEARCH,
    )


def load(kind: str, data: str, seed: int) -> Evaluate:
    """Train and judge."""
    part, loss = split(data, seed), KINDS[kind][1]
    return lambda config, _: Seen.exactly(loss(config, part))


def _select_space(regression: bool) -> list[Wire]:
    found = [choice("model", *CHOICES)]
    for name in CHOICES:
        own = LEARNERS[name].space(regression)
        condition = when("model", name)
        found += [{**wire, "name": f"{name}.{wire['name']}", "when": condition} for wire in own]
    return found


def _select_loss(config: Config, data: Split) -> float:
    name = config["model"]
    own = {key.split(".", 1)[1]: value for key, value in config.items() if key != "model"}
    return LEARNERS[name].loss(own, data)


def _network_space(regression: bool) -> list[Wire]:
    return [
        whole("depth", 1, 3),
        whole("width1", 8, 128, log=True),
        whole("width2", 8, 128, log=True, when=when("depth", 2, 3)),
        whole("width3", 8, 128, log=True, when=when("depth", 3)),
        choice("optimizer", "adamw", "sgd"),
        real("adamw.lr", 1e-4, 1e-1, log=True, when=when("optimizer", "adamw")),
        real("adamw.beta", 0.5, 0.99, when=when("optimizer", "adamw")),
        real("sgd.lr", 1e-3, 1.0, log=True, when=when("optimizer", "sgd")),
        real("sgd.momentum", 0.0, 0.99, when=when("optimizer", "sgd")),
        choice("regularise", False, True),
        real("dropout", 0.05, 0.6, when=when("regularise", True)),
        real("weight_decay", 1e-6, 1.0, log=True, when=when("regularise", True)),
        choice("batch", 16, 32, 64, 128, ordered=True),
    ]


def _network_loss(config: Config, data: Split) -> float:
    return list(train(network_recipe(config), data, EPOCHS))[-1]


def network_recipe(config: Config) -> Recipe:
    """The network that a config of `network` describes."""
    sgd = config["optimizer"] == "sgd"
    return Recipe(
        widths=[config[f"width{layer + 1}"] for layer in range(config["depth"])],
        dropout=config.get("dropout", 0.0),
        lr=config["sgd.lr" if sgd else "adamw.lr"],
        weight_decay=config.get("weight_decay", 0.0),
        batch=config["batch"],
        sgd=sgd,
        momentum=config["sgd.momentum" if sgd else "adamw.beta"],
    )


def _pipeline_space(regression: bool) -> list[Wire]:
    return [
        choice("scale", "none", "quantile", "power"),
        whole("quantiles", 5, 100, log=True, when=when("scale", "quantile")),
        choice("reduce", "none", "pca", "best"),
        real("pca.share", 0.1, 1.0, when=when("reduce", "pca")),
        choice("pca.whiten", False, True, when=when("reduce", "pca")),
        real("best.share", 0.1, 1.0, when=when("reduce", "best")),
        choice("model", "linear", "neighbours"),
        real("linear.c", 1e-3, 1e3, log=True, when=when("model", "linear")),
        whole("neighbours.k", 1, 50, log=True, when=when("model", "neighbours")),
        real("neighbours.p", 1.0, 4.0, when=when("model", "neighbours")),
        choice("neighbours.weights", "uniform", "distance", when=when("model", "neighbours")),
    ]


def _pipeline_loss(config: Config, data: Split) -> float:
    from sklearn.pipeline import make_pipeline

    steps = [_scaler(config), _reducer(config, data), _last(config, data)]
    return judged(make_pipeline(*(step for step in steps if step is not None)), data)


def _scaler(config: Config) -> Any:
    from sklearn.preprocessing import PowerTransformer, QuantileTransformer

    if config["scale"] == "quantile":
        return QuantileTransformer(n_quantiles=config["quantiles"], random_state=0)
    return PowerTransformer() if config["scale"] == "power" else None


def _reducer(config: Config, data: Split) -> Any:
    from sklearn.decomposition import PCA
    from sklearn.feature_selection import SelectKBest, f_classif, f_regression

    if config["reduce"] == "pca":
        count = max(1, round(config["pca.share"] * min(data.width, 30)))
        return PCA(count, whiten=config["pca.whiten"], random_state=0)
    if config["reduce"] == "best":
        count = max(1, round(config["best.share"] * data.width))
        return SelectKBest(f_classif if data.classes else f_regression, k=count)
    return None


def _last(config: Config, data: Split) -> Any:
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

    if config["model"] == "linear":
        c = config["linear.c"]
        return LogisticRegression(C=c, max_iter=60) if data.classes else Ridge(alpha=1 / c)
    kind = KNeighborsClassifier if data.classes else KNeighborsRegressor
    return kind(
        config["neighbours.k"], p=config["neighbours.p"], weights=config["neighbours.weights"]
    )


Space = Callable[[bool], list[Wire]]
KINDS: dict[str, tuple[Space, Callable[[Config, Split], float]]] = {
    "select": (_select_space, _select_loss),
    "network": (_network_space, _network_loss),
    "pipeline": (_pipeline_space, _pipeline_loss),
}
