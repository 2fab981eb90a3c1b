"""What may be run: recipes by name, programs in allowed folders, and nothing else."""

from pathlib import Path

import pytest

from workers.environment import child_environment, scrubbed
from workers.errors import ProgramRefused
from workers.programs import resolve


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "code" / "deep").mkdir(parents=True)
    for path in ("code/train.py", "code/deep/train.py", "outside.py"):
        (tmp_path / path).write_text("def main(trial): ...")
    (tmp_path / "code" / "link.py").symlink_to(tmp_path / "outside.py")
    (tmp_path / "code" / "up").symlink_to(tmp_path)
    return tmp_path / "code"


@pytest.mark.parametrize("path", ["train.py", "deep/train.py"])
def test_a_program_in_an_allowed_folder(folder: Path, path: str) -> None:
    target = resolve({"kind": "program", "path": f"{path}:main"}, [folder])
    assert (target.folder, target.file) == (str(folder), str(folder / path))
    assert target.function == "main"
    assert not target.recipe


def test_the_first_folder_that_has_it(folder: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    target = resolve({"kind": "program", "path": "train.py:main"}, [empty, folder])
    assert target.folder == str(folder)


@pytest.mark.parametrize(
    "path",
    ["../outside.py", "link.py", "up/outside.py", "deep/../train.py", "missing.py", "deep"],
)
def test_nothing_outside_an_allowed_folder(folder: Path, path: str) -> None:
    with pytest.raises(ProgramRefused):
        resolve({"kind": "program", "path": f"{path}:main"}, [folder])


def test_an_absolute_path_is_refused(folder: Path) -> None:
    with pytest.raises(ProgramRefused):
        resolve({"kind": "program", "path": f"{folder}/train.py:main"}, [folder])


def test_a_recipe_is_one_of_ours() -> None:
    run = {"kind": "recipe", "name": "torch-classifier", "arguments": {"epochs": 3}}
    target = resolve(run, [])
    assert target.recipe
    assert target.arguments == {"epochs": 3}
    with pytest.raises(ProgramRefused, match="torch-classifier"):
        resolve({"kind": "recipe", "name": "os", "arguments": {}}, [])


def test_a_childs_environment() -> None:
    given = {
        "PATH": "/bin",
        "PYTHONPATH": "/user",
        "TRIMTAB_DATABASE_URL": "secret",
        "TRIMTAB_KEY_PEPPER": "secret",
        "TRIMTAB_BOOTSTRAP_KEY": "secret",
        "RAY_AUTH_TOKEN": "secret",
        "TRIMTAB_API_KEY": "of the operator",
        "CUDA_VISIBLE_DEVICES": "1",
    }
    assert "secret" not in scrubbed(given).values()
    program = child_environment(given, url="http://server", key="k", code="/a:/b", recipe=False)
    assert program == {
        "PATH": "/bin",
        "PYTHONPATH": "/user",
        "CUDA_VISIBLE_DEVICES": "1",
        "TRIMTAB_URL": "http://server",
        "TRIMTAB_API_KEY": "k",
        "TRIMTAB_CODE": "/a:/b",
        "PYTHONUNBUFFERED": "1",
    }
    recipe = child_environment(given, url="http://server", key="k", code="/a:/b", recipe=True)
    assert recipe == {k: v for k, v in program.items() if k != "PYTHONPATH"}
