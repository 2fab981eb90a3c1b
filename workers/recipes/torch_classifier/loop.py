"""Training: epochs, measurements, checkpoints from which a run goes on as if it had never ended."""

import io
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn, optim
from torch.nn import functional

from workers.recipes.torch_classifier import optimizers
from workers.recipes.torch_classifier.arguments import Hyperparameters
from workers.recipes.torch_classifier.data import Data, Part


@dataclass(slots=True)
class Run:
    """A training run as it stands; `epoch` is how many epochs are done."""

    network: nn.Module
    optimizer: optim.Optimizer
    order: torch.Generator  # draws the order of the examples
    epoch: int = 0

    def train(self, data: Data, hp: Hyperparameters, epochs: int) -> float:
        """One epoch over the train part; returns its mean loss."""
        for group in self.optimizer.param_groups:
            group["lr"] = optimizers.rate(hp.lr, self.epoch, epochs)
        self.network.train()
        total = torch.zeros((), device=data.train.x.device)
        count = len(data.train.y)
        order = torch.randperm(count, generator=self.order)
        for rows in (order[at : at + hp.batch_size] for at in range(0, count, hp.batch_size)):
            batch = rows.to(data.train.x.device)
            self.optimizer.zero_grad()
            loss = functional.cross_entropy(
                self.network(data.train.x[batch]),
                data.train.y[batch],
                label_smoothing=hp.label_smoothing,
            )
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
            total += loss.detach() * len(rows)
        self.epoch += 1
        return float(total) / count

    def to_bytes(self) -> bytes:
        """Everything that the rest of the run depends on: weights, moments, random numbers."""
        device = next(self.network.parameters()).device
        state: dict[str, Any] = {
            "epoch": self.epoch,
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "order": self.order.get_state(),
            "random": torch.get_rng_state(),
        }
        if device.type == "cuda":
            state["cuda"] = torch.cuda.get_rng_state(device)
        buffer = io.BytesIO()
        torch.save(state, buffer)
        return buffer.getvalue()

    def resume(self, file: Path) -> None:
        """Go on from what `to_bytes` wrote.  Nothing but tensors and numbers is ever read."""
        device = next(self.network.parameters()).device
        state: Mapping[str, Any] = torch.load(file, weights_only=True, map_location="cpu")
        self.epoch = int(state["epoch"])
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.order.set_state(state["order"])
        torch.set_rng_state(state["random"])
        if device.type == "cuda" and "cuda" in state:
            torch.cuda.set_rng_state(state["cuda"], device)


@torch.no_grad()
def evaluate(network: nn.Module, part: Part) -> tuple[float, float]:
    """Mean log-loss (natural logarithm, without smoothing) and accuracy on a part."""
    network.eval()
    logits: Tensor = network(part.x)
    loss = float(functional.cross_entropy(logits, part.y))
    return loss, float((logits.argmax(dim=1) == part.y).float().mean())


def measure(run: Run, data: Data, train_loss: float, *, final: bool) -> dict[str, float]:
    """What is reported after an epoch.

    The test part is looked at once, after the last epoch, and its metrics are for people: no
    objective may read them, or it would be a validation part.
    """
    val_loss, val_accuracy = evaluate(run.network, data.validation)
    values = {"val_loss": val_loss, "val_accuracy": val_accuracy, "train_loss": train_loss}
    if final:
        values["test_loss"], values["test_accuracy"] = evaluate(run.network, data.test)
    return values


def diverged(values: Mapping[str, float]) -> bool:
    """Whether a loss is no longer a number: the run cannot come back from that."""
    return not all(math.isfinite(values[name]) for name in ("val_loss", "train_loss"))
