"""A training script with early stopping and checkpoints, which runs in two ways.

By hand, here:

    trimtab up                                          # in another terminal
    python examples/torch_script.py --trials 12

On the fleet, which needs `main` only (`trimtab up` allows programs in the folder in which it was
started, a cluster those in TRIMTAB_CODE):

    python examples/torch_script.py --trials 12 --managed examples/torch_script.py:main
"""

import argparse
import io

import torch
import trimtab as tt
from torch import nn
from torch.nn import functional

EPOCHS = 15


def spirals(n, generator):
    """Two noisy spirals: points and their classes."""
    y = torch.randint(0, 2, (n,), generator=generator)
    turn = torch.rand(n, generator=generator) * 9 + 1
    angle = turn + y * torch.pi
    x = torch.stack([turn * angle.cos(), turn * angle.sin()], dim=1) / 10
    return x + 0.02 * torch.randn(n, 2, generator=generator), y


def save(network, optimizer):
    """All that the rest of the training depends on, as bytes."""
    buffer = io.BytesIO()
    torch.save({"network": network.state_dict(), "optimizer": optimizer.state_dict()}, buffer)
    return buffer.getvalue()


def main(trial):
    """Train the network of one config; the fleet calls this too."""
    generator = torch.Generator().manual_seed(trial.seed)
    x, y = spirals(1_000, torch.Generator().manual_seed(0))
    x_val, y_val = spirals(500, torch.Generator().manual_seed(1))
    torch.manual_seed(trial.seed)
    width = trial.config["width"]
    network = nn.Sequential(
        nn.Linear(2, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 2)
    )
    optimizer = torch.optim.Adam(network.parameters(), lr=trial.config["lr"])
    first = 0
    if checkpoint := trial.load_checkpoint():  # an earlier worker got this far
        state = torch.load(checkpoint, weights_only=True)
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        first = trial.checkpoint.step + 1
    for epoch in range(first, EPOCHS):
        for rows in torch.randperm(len(y), generator=generator).split(50):
            optimizer.zero_grad()
            functional.cross_entropy(network(x[rows]), y[rows]).backward()
            optimizer.step()
        with torch.no_grad():
            accuracy = (network(x_val).argmax(dim=1) == y_val).float().mean()
        if trial.report(epoch, accuracy=accuracy).stop:  # the scheduler has seen enough
            return
        if epoch % 5 == 4 and epoch + 1 < EPOCHS:
            trial.save_checkpoint(save(network, optimizer), step=epoch)


def run():
    """Create the study, and run it here or hand it to the fleet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=12)
    parser.add_argument("--name", default="spirals")
    parser.add_argument("--managed", metavar="FILE:FUNCTION", help="have the fleet run this")
    options = parser.parse_args()
    study = tt.Client().create_study(
        options.name,
        space=[
            tt.Float("lr", 1e-4, 1e-1, log=True, default=1e-3),
            tt.Int("width", 4, 64, log=True, default=16),
        ],
        maximize="accuracy",
        scheduler="median",
        budget=tt.Budget(trials=options.trials),
        exist_ok=True,
    )
    if options.managed:
        study.run(options.managed, parallel=2).wait(progress=True)
    else:
        for trial in study.trials():
            main(trial)
    counts = study.refresh().trials
    best = study.best
    print(f"{counts.completed} completed, {counts.stopped} stopped early")
    print(f"trial {best.number}: accuracy {best.values['accuracy']:.3f} with {best.config}")


if __name__ == "__main__":
    run()
