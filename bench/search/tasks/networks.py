"""Small torch networks, trained for real, an epoch at a time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from bench.search.tasks.data import Split, log_loss, squared_error

WORST = 10.0  # what a training that diverged is worth


@dataclass(frozen=True)
class Recipe:
    """A network and how it is trained."""

    widths: Sequence[int]
    dropout: float
    lr: float
    weight_decay: float
    batch: int
    sgd: bool
    momentum: float  # Adam's first beta, or SGD's momentum


def train(recipe: Recipe, data: Split, epochs: int) -> Iterator[float]:
    """The validation loss after each epoch; the same recipe gives the same losses."""
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(0)
    network = _network(recipe, data)
    optimizer = _optimizer(recipe, network)
    loss_of = torch.nn.functional.cross_entropy if data.classes else torch.nn.functional.mse_loss
    x = torch.tensor(data.x, dtype=torch.float32)
    y = torch.tensor(data.y, dtype=torch.int64 if data.classes else torch.float32)
    for _ in range(epochs):
        network.train()
        for rows in torch.randperm(len(x)).split(recipe.batch):
            optimizer.zero_grad()
            loss_of(_out(network, x[rows], data), y[rows]).backward()
            optimizer.step()
        yield _validate(network, data)


def _network(recipe: Recipe, data: Split) -> Any:
    from torch import nn

    layers: list[nn.Module] = []
    inputs = data.width
    for width in recipe.widths:
        layers += [nn.Linear(inputs, width), nn.ReLU(), nn.Dropout(recipe.dropout)]
        inputs = width
    return nn.Sequential(*layers, nn.Linear(inputs, data.classes or 1))


def _optimizer(recipe: Recipe, network: Any) -> Any:
    from torch import optim

    if recipe.sgd:
        return optim.SGD(
            network.parameters(),
            lr=recipe.lr,
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
        )
    return optim.AdamW(
        network.parameters(),
        lr=recipe.lr,
        betas=(recipe.momentum, 0.999),
        weight_decay=recipe.weight_decay,
        foreach=False,
    )


def _out(network: Any, x: Any, data: Split) -> Any:
    return network(x) if data.classes else network(x).squeeze(1)


def _validate(network: Any, data: Split) -> float:
    import torch

    network.eval()
    with torch.no_grad():
        out = _out(network, torch.tensor(data.x_valid, dtype=torch.float32), data)
    if not bool(torch.isfinite(out).all()):
        return WORST
    if data.classes:
        return min(log_loss(torch.softmax(out, 1).numpy(), data.y_valid), WORST)
    return squared_error(out.numpy(), data.y_valid)
