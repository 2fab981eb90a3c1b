"""What a study tells the recipe, and what a trial's config may set.  Unknown names are refused."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import Field, TypeAdapter

ModelKind: TypeAlias = Literal["mlp", "cnn"]
OptimizerName: TypeAlias = Literal["adamw", "sgd", "nadam", "rmsprop", "adafactor"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """The same for all trials of a study.

    `data` is digits, breast_cancer or wine, or a .npz (arrays X and y) or .csv file (a header, one
    row for each example, `label` names the column of classes, else the last) given by its path
    inside a folder of TRIMTAB_CODE.
    """

    __pydantic_config__: ClassVar[Mapping[str, Any]] = {"extra": "forbid"}

    data: Annotated[str, Field(min_length=1, max_length=256)] = "digits"
    label: str | None = None
    epochs: Annotated[int, Field(ge=1, le=100_000)] = 30
    checkpoint_every: Annotated[int, Field(ge=1, description="epochs")] = 5
    split_seed: Annotated[int, Field(ge=0, lt=2**32, description="of the three parts")] = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Hyperparameters:
    """What a config may set; what it leaves out has these values.

    `momentum` is read by sgd and rmsprop, `nesterov` by sgd, `beta1` and `beta2` by adamw and
    nadam, `alpha` by rmsprop.  `width` is the units of a hidden layer, and eight times the
    channels of a first convolution.
    """

    __pydantic_config__: ClassVar[Mapping[str, Any]] = {"extra": "forbid"}

    model: ModelKind = "mlp"
    optimizer: OptimizerName = "adamw"
    lr: Annotated[float, Field(gt=0)] = 1e-3
    weight_decay: Annotated[float, Field(ge=0)] = 1e-4
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    nesterov: bool = False
    beta1: Annotated[float, Field(ge=0, lt=1)] = 0.9
    beta2: Annotated[float, Field(ge=0, lt=1)] = 0.999
    alpha: Annotated[float, Field(gt=0, lt=1)] = 0.99
    width: Annotated[int, Field(ge=1, le=65_536)] = 64
    depth: Annotated[int, Field(ge=1, le=16)] = 1
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    batch_size: Annotated[int, Field(ge=1)] = 64
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0


def read_arguments(given: Mapping[str, Any]) -> Arguments:
    """The arguments of a study.  Raises ValueError (pydantic's) naming what is wrong."""
    return TypeAdapter(Arguments).validate_json(json.dumps(dict(given)), strict=True)


def read_config(config: Mapping[str, Any]) -> Hyperparameters:
    """The hyperparameters of a trial.  Raises ValueError (pydantic's) naming what is wrong."""
    return TypeAdapter(Hyperparameters).validate_json(json.dumps(dict(config)), strict=True)
