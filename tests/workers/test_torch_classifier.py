"""The recipe torch-classifier: honest parts, every optimizer, going on from a checkpoint."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from trimtab.space import space_to_json

from workers.recipes import RECIPES, announcement
from workers.recipes.torch_classifier import data
from workers.recipes.torch_classifier.arguments import Arguments, Hyperparameters
from workers.recipes.torch_classifier.program import main
from workers.recipes.torch_classifier.space import DEFAULTS, space


@dataclass
class Answer:
    stop: bool


@dataclass
class Notebook:
    """A trial that only takes notes.  `stop_at` is the step at which it is asked to stop."""

    config: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 5
    start_from: Path | None = None
    stop_at: int | None = None
    steps: dict[int, dict[str, float]] = field(default_factory=dict)
    checkpoints: dict[int, bytes] = field(default_factory=dict)

    def report(self, step: int, values: dict[str, float]) -> Answer:
        self.steps[step] = dict(values)
        return Answer(step == self.stop_at)

    def load_checkpoint(self) -> Path | None:
        return self.start_from

    def save_checkpoint(self, content: bytes, *, step: int) -> bool:
        self.checkpoints[step] = content
        return True


def train(arguments: Mapping[str, Any], **trial: Any) -> Notebook:
    notes = Notebook(**trial)
    main(notes, arguments)  # type: ignore[arg-type]
    return notes


QUICK: dict[str, Any] = {"data": "wine", "epochs": 6, "checkpoint_every": 2}


@pytest.mark.parametrize("name", data.BUNDLED)
def test_the_three_parts_share_no_example(name: str) -> None:
    _, y = data._read(Arguments(data=name))
    train_rows, validation, test = data.split(y, seed=0)
    together = np.concatenate([train_rows, validation, test])
    assert sorted(together) == list(range(len(y)))
    assert len(validation) == pytest.approx(0.2 * len(y), abs=1)


def test_the_parts_do_not_depend_on_the_trial_and_only_train_is_looked_at() -> None:
    first, again = data.load(Arguments()), data.load(Arguments())
    for one, other in ((first.train, again.train), (first.test, again.test)):
        assert torch.equal(one.x, other.x)
        assert torch.equal(one.y, other.y)
    pixels = first.train.x.reshape(len(first.train.y), -1)
    varying = pixels.std(dim=0) > 0
    assert torch.allclose(pixels.mean(dim=0), torch.zeros(64), atol=1e-5)
    assert torch.allclose(pixels.std(dim=0, correction=0)[varying], torch.ones(1), atol=1e-4)
    # Had the other parts been looked at, they would be centred as well.
    assert first.validation.x.reshape(-1, 64).mean(dim=0).abs().max() > 0.01
    other_split = data.load(Arguments(split_seed=1))
    assert not torch.equal(first.test.x, other_split.test.x)


def test_a_run_reports_every_epoch_and_the_test_part_once() -> None:
    notes = train(QUICK)
    assert list(notes.steps) == [1, 2, 3, 4, 5, 6]
    for step, values in notes.steps.items():
        seen = {"val_loss", "val_accuracy", "train_loss"}
        assert set(values) == (seen | {"test_loss", "test_accuracy"} if step == 6 else seen)
        assert all(math.isfinite(value) for value in values.values())
    assert list(notes.checkpoints) == [2, 4]


def test_a_run_that_is_stopped_ends_there() -> None:
    assert list(train(QUICK, stop_at=3).steps) == [1, 2, 3]


OPTIMIZERS: list[dict[str, Any]] = [
    {"optimizer": "adamw", "lr": 0.01, "beta1": 0.85},
    {"optimizer": "nadam", "lr": 0.01},
    {"optimizer": "sgd", "lr": 0.1, "momentum": 0.9, "nesterov": True},
    {"optimizer": "sgd", "lr": 0.1, "momentum": 0.0, "nesterov": True},
    {"optimizer": "rmsprop", "lr": 0.003, "momentum": 0.5},
    {"optimizer": "adafactor", "lr": 0.05},
]


@pytest.mark.parametrize("config", OPTIMIZERS, ids=lambda c: c["optimizer"])
def test_each_optimizer_learns(config: dict[str, Any]) -> None:
    notes = train({"data": "wine", "epochs": 15}, config=config | {"batch_size": 16})
    assert notes.steps[15]["train_loss"] < 0.6 * notes.steps[1]["train_loss"]
    assert notes.steps[15]["val_accuracy"] > 0.85


@pytest.mark.parametrize("model", ["mlp", "cnn"])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "nadam", "rmsprop", "adafactor"])
def test_going_on_from_a_checkpoint_changes_nothing(
    tmp_path: Path, optimizer: str, model: str
) -> None:
    arguments = {"data": "digits", "epochs": 4, "checkpoint_every": 2}
    config = {"optimizer": optimizer, "model": model, "width": 16, "dropout": 0.3}
    whole = train(arguments, config=config)
    file = tmp_path / "checkpoint"
    file.write_bytes(whole.checkpoints[2])
    torch.manual_seed(999)  # what another process would have
    rest = train(arguments, config=config, start_from=file)
    assert rest.steps == {3: whole.steps[3], 4: whole.steps[4]}


def test_the_seed_is_the_trials() -> None:
    assert train(QUICK).steps == train(QUICK).steps
    assert train(QUICK).steps != train(QUICK, seed=6).steps


def test_a_run_that_diverges_says_so_and_ends() -> None:
    notes = train(QUICK, config={"optimizer": "sgd", "lr": 1e30})
    assert max(notes.steps) < 6
    assert not math.isfinite(notes.steps[max(notes.steps)]["val_loss"])


@pytest.mark.parametrize(
    ("arguments", "config"),
    [
        ({"epoch": 3}, {}),
        ({"epochs": 0}, {}),
        ({"epochs": "3"}, {}),
        ({}, {"learning_rate": 0.1}),
        ({}, {"optimizer": "lion"}),
        ({}, {"width": 1.5}),
        ({}, {"lr": -1.0}),
    ],
)
def test_what_it_does_not_know_is_refused(
    arguments: dict[str, Any], config: dict[str, Any]
) -> None:
    with pytest.raises(ValidationError):
        train(arguments, config=config)


def test_a_cnn_needs_images() -> None:
    with pytest.raises(ValueError, match="images"):
        train(QUICK, config={"model": "cnn"})


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRIMTAB_CODE", str(tmp_path / "code"))
    (tmp_path / "code").mkdir()
    return tmp_path / "code"


def test_own_data_as_arrays_and_as_a_table(folder: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 2))
    y = np.where(x[:, 0] > 0, "up", "down")
    np.savez(folder / "own.npz", X=x, y=y)
    rows = [f'{a!r},"{label}",{b!r}' for (a, b), label in zip(x.tolist(), y, strict=True)]
    (folder / "own.csv").write_text("\n".join(["first,kind,second", *rows]))
    arrays = data.load(Arguments(data="own.npz"))
    table = data.load(Arguments(data="own.csv", label="kind"))
    assert arrays.classes == table.classes == 2
    assert torch.allclose(arrays.train.x, table.train.x, atol=1e-5)
    assert torch.equal(arrays.test.y, table.test.y)
    with pytest.raises(ValueError, match="second"):
        data.load(Arguments(data="own.csv", label="missing"))


def test_data_outside_the_operators_folders_is_not_read(folder: Path) -> None:
    np.savez(folder.parent / "secret.npz", X=np.zeros((9, 1)), y=np.arange(9) % 3)
    (folder / "link.npz").symlink_to(folder.parent / "secret.npz")
    for path in ("../secret.npz", "link.npz", str(folder.parent / "secret.npz"), "none.csv"):
        with pytest.raises(FileNotFoundError):
            data.load(Arguments(data=path))
    with pytest.raises(ValueError, match="wine"):
        data.load(Arguments(data="passwd"))


def test_pickles_are_not_read(folder: Path) -> None:
    np.savez(folder / "own.npz", X=np.array([{}], dtype=object), y=np.arange(1))
    with pytest.raises(ValueError, match="allow_pickle"):
        data.load(Arguments(data="own.npz"))


def test_the_space_is_one_that_the_recipe_takes() -> None:
    parameters = {p["name"]: p for p in space_to_json(space())["parameters"]}
    fields = set(Hyperparameters.__dataclass_fields__)
    assert set(parameters) <= fields
    for name, parameter in parameters.items():
        assert parameter["default"] == getattr(DEFAULTS, name)


def test_the_fleet_announces_its_recipes() -> None:
    (said,) = announcement()
    assert said["name"] == RECIPES[0].name == "torch-classifier"
    assert said["arguments"]["additionalProperties"] is False
    assert said["arguments"]["properties"]["epochs"]["minimum"] == 1
