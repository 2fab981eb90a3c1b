"""Built-in training programs.  This list is light; what a recipe needs is imported in the child."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from workers.recipes.torch_classifier.arguments import Arguments


@dataclass(frozen=True, slots=True)
class RecipeEntry:
    """A recipe: its name in the API, where its `main(trial, arguments)` is, what it takes."""

    name: str
    summary: str
    entry: str  # "module:function"
    arguments: type


RECIPES = (
    RecipeEntry(
        name="torch-classifier",
        summary="An MLP or a small CNN that classifies digits, breast_cancer, wine or your own "
        "table; honest validation, checkpoints, CPU or GPU",
        entry="workers.recipes.torch_classifier.program:main",
        arguments=Arguments,
    ),
)


@cache
def announcement() -> list[Mapping[str, Any]]:
    """The recipes as the fleet announces them, arguments as a JSON Schema."""
    from pydantic import TypeAdapter

    return [
        {
            "name": recipe.name,
            "summary": recipe.summary,
            "arguments": TypeAdapter(recipe.arguments).json_schema(),
        }
        for recipe in RECIPES
    ]
