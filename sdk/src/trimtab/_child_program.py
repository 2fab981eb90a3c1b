"""Finding the function that a child runs: in a user's file, or in an installed module."""

import importlib
import importlib.util
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from trimtab.errors import TrimtabError
from trimtab.trial import Trial


class NoProgram(TrimtabError):
    """The file or module does not have the function that the study names."""


def load(target: Mapping[str, Any]) -> Callable[[Trial], object]:
    """The function to call with the trial.  The target was chosen by the agent, not by the API.

    `{"folder", "file", "function"}` is a user's program: the folder goes first on the import path,
    as if the file had been started by hand.  `{"module", "function", "arguments"}` is a recipe,
    which is also given its arguments.  What the module raises on import is raised here.
    """
    if "module" in target:
        recipe = _function(importlib.import_module(target["module"]), target["function"])
        return lambda trial: recipe(trial, target.get("arguments", {}))
    return _function(_user_module(Path(target["folder"]), Path(target["file"])), target["function"])


def _function(module: ModuleType, name: str) -> Callable[..., object]:
    found = getattr(module, name, None)
    if not callable(found):
        raise NoProgram(f"{module.__name__} has no function {name!r}: it should be main(trial)")
    return found  # type: ignore[no-any-return]


def _user_module(folder: Path, file: Path) -> ModuleType:
    loaded = sys.modules.get(_module_name(file))
    if loaded is not None:
        return loaded
    for path in (file.parent, folder):  # the folder ends up first
        if str(path) not in sys.path:
            sys.path.insert(0, str(path))
    return _execute(file)


def _execute(file: Path) -> ModuleType:
    name = _module_name(file)
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise NoProgram(f"{file} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # so that what it defines can be pickled
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _module_name(file: Path) -> str:
    """The file's own name, as its other modules know it, unless that is another module's."""
    known = sys.modules.get(file.stem)
    taken = known is not None and getattr(known, "__file__", None) != str(file)
    return f"trimtab_program_{file.stem}" if taken else file.stem
