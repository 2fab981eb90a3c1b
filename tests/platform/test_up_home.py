"""The folder of `trimtab up`, its lock, its ports and what its processes are told."""

import stat
import subprocess
import sys

import pytest

from service.up.environment import Environment
from service.up.home import Claim, Home, write_private
from service.up.ports import NoPort, listen, wanted_ports


@pytest.fixture
def home(tmp_path):
    made = Home(tmp_path / "home")
    made.prepare()
    return made


def test_others_may_read_nothing(home):
    home.write_credentials(url="http://127.0.0.1:1", key="k")
    home.secret("pepper")
    private = [home.credentials, home.path / "secrets" / "pepper"]
    assert [stat.S_IMODE(path.stat().st_mode) for path in private] == [0o600, 0o600]
    folders = [home.path, home.checkpoints, home.logs, home.path / "secrets"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in folders} == {0o700}


def test_a_secret_stays_the_same(home):
    assert home.secret("pepper") == Home(home.path).secret("pepper")
    assert home.secret("pepper") != home.secret("postgres")


def test_a_private_file_is_replaced_whole_and_narrowed(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(0o644)
    write_private(path, "new")
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("text", ["", "{", "[]"])
def test_broken_credentials_count_as_none(home, text):
    home.credentials.write_text(text)
    assert home.read_credentials() == {}


@pytest.fixture
def claim(home):
    made = Claim(home)
    yield made
    made.leave()


def test_one_process_holds_the_claim_and_the_next_can_read_who(home, claim):
    first = Claim(home)
    assert first.take()
    assert not claim.take()
    first.say(url="http://127.0.0.1:8787")
    assert claim.read()["url"] == "http://127.0.0.1:8787"
    first.leave()
    assert claim.take()


def test_a_killed_holder_leaves_the_claim_free(home, claim):
    program = (
        "import sys; from pathlib import Path; from service.up.home import Claim, Home\n"
        "c = Claim(Home(Path(sys.argv[1]))); print(c.take(), flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", program, str(home.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with holder:
        assert holder.stdout.readline() == b"True\n"
        assert not claim.take()
        holder.kill()
        holder.wait()
        assert claim.take()


def test_the_next_free_port_is_taken_when_one_is_busy():
    with listen([0]) as busy, listen([busy.getsockname()[1], 0]) as other:
        assert other.getsockname()[1] != busy.getsockname()[1]


def test_a_busy_port_that_was_asked_for_is_an_error():
    with listen([0]) as busy, pytest.raises(NoPort, match="no port"):
        listen([busy.getsockname()[1]])


def test_the_last_port_is_tried_first_since_workers_may_know_it():
    assert wanted_ports(None, "http://127.0.0.1:8790")[:2] == [8790, 8787]
    assert wanted_ports(None, None)[0] == 8787
    assert wanted_ports(9000, "http://127.0.0.1:8790") == [9000]


@pytest.fixture
def environment(home):
    ours = {
        "PATH": "/bin",
        "PYTHONPATH": "/users/project",
        "TRIMTAB_DATABASE_URL": "postgresql://u:secret@db/x",
        "TRIMTAB_KEY_PEPPER": "pepper",
        "TRIMTAB_API_KEY": "tt_someone_elses",
        "TRIMTAB_LOG_LEVEL": "DEBUG",
    }
    return Environment(ours, home, "/users/project")


def test_the_fleet_knows_no_database_and_no_pepper(environment):
    told = environment.of_fleet(url="http://127.0.0.1:1", key="tt_fleet")
    assert told["TRIMTAB_API_KEY"] == "tt_fleet"
    assert told["TRIMTAB_CODE"] == "/users/project"
    assert not [value for value in told.values() if "secret" in value or value == "pepper"]
    assert "PYTHONPATH" not in told


def test_the_service_is_told_the_users_settings_and_our_database(environment, home):
    told = environment.of_service(database_url="postgresql://ours", bootstrap_key="tt_key")
    assert told["TRIMTAB_DATABASE_URL"] == "postgresql://ours"
    assert told["TRIMTAB_BOOTSTRAP_KEY"] == "tt_key"
    assert (told["TRIMTAB_LOG_LEVEL"], told["TRIMTAB_KEY_PEPPER"]) == ("DEBUG", "pepper")
    assert told["TRIMTAB_STORAGE"] == str(home.checkpoints)
    assert "TRIMTAB_API_KEY" not in told


def test_the_suggester_computes_on_one_thread(environment):
    assert environment.of_suggester(database_url="x")["OMP_NUM_THREADS"] == "1"
