import os
from pathlib import Path

import platformdirs
import pytest
from trimtab.home import home


def test_the_environment_chooses(monkeypatch, tmp_path):
    monkeypatch.setenv("TRIMTAB_HOME", str(tmp_path / "here"))
    assert home() == tmp_path / "here"
    assert not (tmp_path / "here").exists()


def test_a_relative_choice_becomes_absolute(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRIMTAB_HOME", ".trimtab")
    assert home() == tmp_path / ".trimtab"


@pytest.mark.parametrize("chosen", [None, ""])
def test_root_gets_a_folder_outside_its_own(monkeypatch, chosen):
    _choose(monkeypatch, chosen)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert home() == Path("/var/lib/trimtab")


def test_others_get_their_data_folder(monkeypatch):
    _choose(monkeypatch, None)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert home() == Path(platformdirs.user_data_dir("trimtab"))


def _choose(monkeypatch, chosen):
    if chosen is None:
        monkeypatch.delenv("TRIMTAB_HOME", raising=False)
    else:
        monkeypatch.setenv("TRIMTAB_HOME", chosen)
