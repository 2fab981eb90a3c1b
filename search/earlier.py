"""What a study may learn from those before it.

A snapshot of an earlier study is about the parameters that both spaces have under the same name,
as far as the parameters that those depend on are shared too.  Of a point it keeps the values of
these that are active in the new space.  A point that lacks one of them, or holds a value that is
not legal there, is left out: to move it would teach something that was never measured.  Of
parameters that the earlier study did not have it says nothing, and neither does a model of it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from search.errors import InvalidConfig, InvalidProblem
from search.space import SearchSpace, is_active
from search.values import Config, Real, Value, Wire

MAX_EARLIER = 5
MAX_POINTS = 200  # of one earlier study
MIN_POINTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierStudy(Wire):
    """Results of one study as another may use them; a loss for every config.

    `parameters` names those of the new space that the configs are about; the configs hold the
    active ones among them.
    """

    name: str
    parameters: Sequence[str]
    configs: Sequence[Config]
    losses: Sequence[Real]

    def __post_init__(self) -> None:
        for field in ("parameters", "configs", "losses"):
            object.__setattr__(self, field, tuple(getattr(self, field)))
        if len(self.configs) != len(self.losses):
            raise InvalidProblem(
                f"{self.name}: {len(self.configs)} configs, but {len(self.losses)} losses"
            )
        if not MIN_POINTS <= len(self.configs) <= MAX_POINTS:
            raise InvalidProblem(
                f"{self.name}: expected {MIN_POINTS} to {MAX_POINTS} results, "
                f"got {len(self.configs)}"
            )
        if not all(map(math.isfinite, self.losses)):
            raise InvalidProblem(f"{self.name}: a loss is not finite")


def check_earlier(space: SearchSpace, earlier: Sequence[EarlierStudy]) -> None:
    """Raise InvalidProblem unless the snapshots are about this space."""
    if len(earlier) > MAX_EARLIER:
        raise InvalidProblem(f"expected at most {MAX_EARLIER} earlier studies, got {len(earlier)}")
    names = {parameter.name for parameter in space.parameters}
    for study in earlier:
        if not study.parameters or not names.issuperset(study.parameters):
            raise InvalidProblem(f"{study.name}: its parameters are not those of the space")
        for config in study.configs:
            if translated(space, study.parameters, config) != dict(config):
                raise InvalidProblem(f"{study.name}: a config is not one of the space")


def shared_parameters(earlier: SearchSpace, new: SearchSpace) -> list[str]:
    """The new space's parameters of which the earlier one knows, parents before children."""
    known = {parameter.name for parameter in earlier.parameters}
    shared: list[str] = []
    for parameter in new.parameters:
        parents = {condition.parameter for condition in parameter.when}
        if parameter.name in known and parents.issubset(shared):
            shared.append(parameter.name)
    return shared


def translated(
    space: SearchSpace, parameters: Sequence[str], config: Config
) -> dict[str, Value] | None:
    """The config's values of these parameters as the space holds them; None if one is missing."""
    found: dict[str, Value] = {}
    for parameter in space.parameters:
        if parameter.name not in parameters or not is_active(parameter, found):
            continue
        try:
            found[parameter.name] = parameter.check(config[parameter.name])
        except (InvalidConfig, KeyError):
            return None
    return found
