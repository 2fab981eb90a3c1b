import json

import pytest
from trimtab._address import Address, find
from trimtab.errors import NoServer

STORED = {"url": "http://127.0.0.1:8790", "key": "tt_stored"}


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("TRIMTAB_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def stored(home):
    (home / "credentials.json").write_text(json.dumps(STORED))


@pytest.mark.usefixtures("stored")
def test_arguments_come_first_then_the_environment_then_the_file():
    environ = {"TRIMTAB_URL": "http://env:1", "TRIMTAB_API_KEY": "tt_env"}
    assert find("http://arg:1/", "tt_arg", environ) == Address("http://arg:1", "tt_arg")
    assert find(None, None, environ) == Address("http://env:1", "tt_env")
    assert find(None, None, {}) == Address(STORED["url"], STORED["key"])


@pytest.mark.usefixtures("stored")
def test_a_stored_key_goes_only_to_its_server():
    assert find("http://elsewhere:1", None, {}).key is None
    assert find("http://127.0.0.1:8790/", None, {}).key == "tt_stored"


@pytest.mark.usefixtures("stored")
def test_a_key_of_the_environment_serves_the_stored_server():
    assert find(None, None, {"TRIMTAB_API_KEY": "tt_env"}) == Address(STORED["url"], "tt_env")


@pytest.mark.usefixtures("home")
def test_without_any_address_the_error_says_what_to_do():
    with pytest.raises(NoServer, match="start one with `trimtab up`"):
        find(None, None, {})


@pytest.mark.parametrize("text", ["{", "[]", '{"url": "http://x"}', "null"])
def test_a_broken_file_is_named(home, text):
    (home / "credentials.json").write_text(text)
    with pytest.raises(NoServer, match=r"credentials\.json does not hold"):
        find(None, None, {})


@pytest.mark.parametrize("url", ["localhost:8787", "ftp://x", "http://"])
def test_what_is_no_url_is_refused(url):
    with pytest.raises(NoServer, match="expected a URL"):
        find(url, "k", {})


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("http://127.0.0.1:1", True),
        ("http://localhost", True),
        ("http://[::1]:1", True),
        ("http://10.0.0.1", False),
        ("https://tune.example.org", False),
    ],
)
def test_this_machine_is_recognised(url, local):
    assert Address(url).local is local
