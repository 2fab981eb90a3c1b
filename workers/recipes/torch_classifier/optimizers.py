"""The choice of optimizers: torch's own, each with the settings that it has."""

import math
from collections.abc import Iterable

from torch import optim
from torch.nn import Parameter

from workers.recipes.torch_classifier.arguments import Hyperparameters


def build(hp: Hyperparameters, parameters: Iterable[Parameter]) -> optim.Optimizer:
    """The optimizer that a config names."""
    match hp.optimizer:
        case "adamw":
            betas = (hp.beta1, hp.beta2)
            return optim.AdamW(parameters, lr=hp.lr, betas=betas, weight_decay=hp.weight_decay)
        case "nadam":
            return optim.NAdam(
                parameters,
                lr=hp.lr,
                betas=(hp.beta1, hp.beta2),
                weight_decay=hp.weight_decay,
                decoupled_weight_decay=True,
            )
        case "sgd":
            return optim.SGD(
                parameters,
                lr=hp.lr,
                momentum=hp.momentum,
                nesterov=hp.nesterov and hp.momentum > 0,  # torch refuses one without the other
                weight_decay=hp.weight_decay,
            )
        case "rmsprop":
            return optim.RMSprop(
                parameters,
                lr=hp.lr,
                alpha=hp.alpha,
                momentum=hp.momentum,
                weight_decay=hp.weight_decay,
            )
        case "adafactor":
            return optim.Adafactor(parameters, lr=hp.lr, weight_decay=hp.weight_decay)


def rate(lr: float, epoch: int, epochs: int) -> float:
    """The learning rate of an epoch (from 0): half a cosine from `lr` to nearly nothing.

    A function of the epoch alone, so that a trial that goes on from a checkpoint needs no state
    for it.
    """
    return lr * 0.5 * (1 + math.cos(math.pi * epoch / epochs))
