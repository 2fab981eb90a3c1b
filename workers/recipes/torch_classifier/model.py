"""The two networks."""

from collections.abc import Sequence

from torch import nn

from workers.recipes.torch_classifier.arguments import Hyperparameters
from workers.recipes.torch_classifier.data import IMAGE_DIMENSIONS

# The first convolution has a channel for so many units of `width`.
UNITS_PER_CHANNEL = 8
LEAST_CHANNELS = 4
LEAST_SIDE = 4  # images are halved while they are larger than this


def build(hp: Hyperparameters, shape: Sequence[int], classes: int) -> nn.Module:
    """The network that a config names, for examples of this shape.

    Raises ValueError for a cnn on data that are no images.
    """
    if hp.model == "cnn":
        return _cnn(hp, shape, classes)
    return _mlp(hp, shape, classes)


def _mlp(hp: Hyperparameters, shape: Sequence[int], classes: int) -> nn.Module:
    layers: list[nn.Module] = [nn.Flatten()]
    features = _product(shape)
    for _ in range(hp.depth):
        layers += [nn.Linear(features, hp.width), nn.ReLU(), nn.Dropout(hp.dropout)]
        features = hp.width
    return nn.Sequential(*layers, nn.Linear(features, classes))


def _cnn(hp: Hyperparameters, shape: Sequence[int], classes: int) -> nn.Module:
    if len(shape) != IMAGE_DIMENSIONS - 1:
        raise ValueError(f"model cnn needs images, and an example here has the shape {shape}")
    rows, columns = shape
    layers: list[nn.Module] = [nn.Unflatten(1, (1, rows))]
    before, channels = 1, max(LEAST_CHANNELS, hp.width // UNITS_PER_CHANNEL)
    for _ in range(hp.depth):
        layers += [nn.Conv2d(before, channels, 3, padding=1), nn.ReLU()]
        if min(rows, columns) > LEAST_SIDE:
            layers.append(nn.MaxPool2d(2))
            rows, columns = rows // 2, columns // 2
        before, channels = channels, 2 * channels
    head = [nn.Flatten(), nn.Linear(before * rows * columns, hp.width), nn.ReLU()]
    return nn.Sequential(*layers, *head, nn.Dropout(hp.dropout), nn.Linear(hp.width, classes))


def _product(shape: Sequence[int]) -> int:
    result = 1
    for size in shape:
        result *= size
    return result
