"""From what a study says that it runs to what a child can import.

The API is given names, never code: a program is a file in a folder that the operator allows, a
recipe is one of our own modules.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from workers.errors import ProgramRefused
from workers.recipes import RECIPES


@dataclass(frozen=True, slots=True)
class Target:
    """What a child is to run: `function` of a file in `folder`, or of an installed `module`."""

    function: str
    folder: str | None = None
    file: str | None = None
    module: str | None = None
    arguments: Mapping[str, Any] | None = None

    @property
    def recipe(self) -> bool:
        return self.module is not None

    def to_json(self) -> dict[str, Any]:
        """As it travels to the child."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def resolve(run: Mapping[str, Any], folders: Sequence[Path]) -> Target:
    """The target of a study's `managed.run`.  Raises ProgramRefused with what to do about it."""
    if run["kind"] == "recipe":
        return _recipe(run["name"], run.get("arguments") or {})
    return _program(run["path"], folders)


def _recipe(name: str, arguments: Mapping[str, Any]) -> Target:
    known = {recipe.name: recipe for recipe in RECIPES}
    if name not in known:
        raise ProgramRefused(f"no recipe {name!r}; this fleet has {', '.join(sorted(known))}")
    module, function = known[name].entry.split(":")
    return Target(function=function, module=module, arguments=dict(arguments))


def _program(path: str, folders: Sequence[Path]) -> Target:
    relative, _, function = path.partition(":")
    if PurePosixPath(relative).is_absolute() or ".." in PurePosixPath(relative).parts:
        raise ProgramRefused(f"{relative!r} must be a path inside an allowed folder")
    for folder in folders:
        root = folder.resolve()
        file = (root / relative).resolve()  # a symbolic link counts as what it points to
        if file.is_relative_to(root) and file.is_file():
            return Target(function=function, folder=str(root), file=str(file))
    allowed = ", ".join(str(folder) for folder in folders) or "no folder"
    raise ProgramRefused(
        f"{relative!r} is not in a folder that this fleet may run ({allowed}); "
        "the operator sets them with TRIMTAB_CODE or `trimtab fleet --code`"
    )
