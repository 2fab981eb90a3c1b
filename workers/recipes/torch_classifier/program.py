"""The recipe's entry point."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import torch
from trimtab.trial import Trial

from workers.recipes.torch_classifier import data, model, optimizers
from workers.recipes.torch_classifier.arguments import Arguments, read_arguments, read_config
from workers.recipes.torch_classifier.loop import Run, diverged, measure


def main(trial: Trial, arguments: Mapping[str, Any]) -> None:
    """Train one config: a step is an epoch done, counted from 1.

    Reports val_loss (log-loss), val_accuracy and train_loss after each epoch, and test_loss and
    test_accuracy after the last.  A run whose loss is no longer finite reports that and ends.
    """
    # Several trials share a machine; more threads than cores make all of them slower.
    torch.set_num_threads(1)
    settings, hp = read_arguments(arguments), read_config(trial.config)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    parts = _load(settings).to(device)
    torch.manual_seed(trial.seed)
    network = model.build(hp, parts.shape, parts.classes).to(device)
    run = Run(
        network,
        optimizers.build(hp, network.parameters()),
        torch.Generator().manual_seed(trial.seed),
    )
    if (checkpoint := trial.load_checkpoint()) is not None:
        run.resume(checkpoint)
    while run.epoch < settings.epochs:
        loss = run.train(parts, hp, settings.epochs)
        values = measure(run, parts, loss, final=run.epoch == settings.epochs)
        if trial.report(run.epoch, values).stop or diverged(values):
            return
        if run.epoch % settings.checkpoint_every == 0 and run.epoch < settings.epochs:
            trial.save_checkpoint(run.to_bytes(), step=run.epoch)


@cache
def _load(settings: Arguments) -> data.Data:
    """Read once: a child runs many trials of the same study."""
    return data.load(settings)
