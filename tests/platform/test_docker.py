"""docker-compose.yml and the images, as far as they can be checked without a Docker engine."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES = COMPOSE["services"]
DOCKERFILE = (ROOT / "docker/Dockerfile").read_text()
LASTING = sorted(set(SERVICES) - {"migrate"})


def test_the_parts_of_a_cluster_are_there():
    assert set(SERVICES) == {
        "postgres",
        "migrate",
        "api",
        "suggester",
        "ray-head",
        "ray-gpu-worker",
        "fleet",
    }
    assert SERVICES["postgres"]["image"] == "postgres:17"
    devices = SERVICES["ray-gpu-worker"]["deploy"]["resources"]["reservations"]["devices"]
    assert devices[0]["capabilities"] == ["gpu"]


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_nothing_runs_as_root_or_with_rights(name):
    assert SERVICES[name]["user"] not in {"", "root", "0", "0:0"}
    assert SERVICES[name]["cap_drop"] == ["ALL"]
    assert SERVICES[name]["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in SERVICES[name]


@pytest.mark.parametrize("name", LASTING)
def test_what_stays_up_has_a_health_check_and_is_started_again(name):
    assert SERVICES[name]["healthcheck"]["test"][0] == "CMD"
    assert SERVICES[name]["restart"] == "unless-stopped"


def test_everything_waits_for_what_it_needs():
    waits = {
        name: {other: how["condition"] for other, how in service["depends_on"].items()}
        for name, service in SERVICES.items()
        if "depends_on" in service
    }
    assert waits == {
        "migrate": {"postgres": "service_healthy"},
        "api": {"migrate": "service_completed_successfully"},
        "suggester": {"migrate": "service_completed_successfully"},
        "ray-gpu-worker": {"ray-head": "service_healthy"},
        "fleet": {"api": "service_healthy", "ray-head": "service_healthy"},
    }


def test_data_is_in_named_volumes():
    used = {
        volume.split(":")[0]
        for service in SERVICES.values()
        for volume in service.get("volumes", [])
        if not volume.startswith(".")
    }
    assert used == set(COMPOSE["volumes"]) == {"postgres", "checkpoints"}


def test_only_the_api_is_published_and_only_to_this_machine():
    published = {name: s["ports"] for name, s in SERVICES.items() if "ports" in s}
    assert published == {"api": ["127.0.0.1:8787:8787"]}


def variables(example):
    lines = (ROOT / f"{example}.example").read_text().splitlines()
    return {line.split("=")[0] for line in lines if line and not line.startswith("#")}


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_secrets_come_from_files_that_have_an_example(name):
    told = variables(SERVICES[name]["env_file"])
    if SERVICES[name]["image"] == "trimtab-ray":
        assert told == {"RAY_AUTH_TOKEN", "TRIMTAB_API_KEY"}
    given = {k for k in SERVICES[name].get("environment", {}) if "PASSWORD" in k or "KEY" in k}
    assert given == set()


def test_the_files_with_secrets_are_not_committed():
    found = subprocess.run(
        ["git", "check-ignore", *(f"docker/{n}.env" for n in ("postgres", "service", "ray"))],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert len(found.stdout.split()) == 3


def entrypoints():
    """Each service's command line as its image runs it."""
    for name, service in SERVICES.items():
        if service["image"].startswith("trimtab-"):
            default = ["trimtab"] if service["image"] == "trimtab-service" else ["ray"]
            yield pytest.param([*service.get("entrypoint", default), *service["command"]], id=name)


@pytest.mark.parametrize("command", list(entrypoints()))
def test_every_entry_point_is_a_command_that_takes_these_options(command):
    local = [part.replace("/opt/trimtab/bin", str(ROOT / "docker")) for part in command]
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "COLUMNS": "120",
    }
    done = subprocess.run(
        [*local, "--help"], env=environment, cwd="/", capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "Usage:" in done.stdout


def test_the_images_name_their_entry_points_and_an_ordinary_user():
    stages = DOCKERFILE.split("\nFROM ")
    by_name = {stage.split("\n")[0].split(" AS ")[1]: stage for stage in stages if " AS " in stage}
    assert 'ENTRYPOINT ["trimtab"]' in by_name["service"]
    assert 'ENTRYPOINT ["ray"]' in by_name["ray"]
    assert "USER 10001:10001" in by_name["common"]
    targets = {s["build"]["target"] for s in SERVICES.values() if "build" in s}
    assert targets <= set(by_name)


def test_what_the_build_copies_exists_and_is_let_in():
    let_in = {
        line[1:]
        for line in (ROOT / "docker/Dockerfile.dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    for line in DOCKERFILE.splitlines():
        if line.startswith("COPY") and "--from" not in line:
            for source in line.split()[1:-1]:
                assert (ROOT / source).exists(), source
                assert any(Path(source).is_relative_to(entry) for entry in let_in), source


def test_the_build_installs_what_the_packages_require_and_nothing_of_ours_from_afar():
    files = ["pyproject.toml", "sdk/pyproject.toml"]
    done = subprocess.run(
        [sys.executable, "docker/requirements.py", *files],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    required = set()
    for file in files:
        required |= set(tomllib.loads((ROOT / file).read_text())["project"]["dependencies"])
    assert set(done.stdout.split("\n")) - {""} == required - {"trimtab==0.1.0"}


def healthy(*arguments, **environment):
    done = subprocess.run(
        [sys.executable, str(ROOT / "docker/healthy.py"), *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.returncode == 0


def test_the_health_check_tells_a_running_api_from_none(server):
    assert healthy(f"{server.url}/readyz")
    assert not healthy("http://127.0.0.1:9/readyz")
    assert not healthy(f"{server.url}/v1/me")


def test_the_health_check_tells_a_migrated_database_from_none(server, postgres):
    assert healthy("--database", TRIMTAB_DATABASE_URL=server.database_url)
    assert not healthy("--database", TRIMTAB_DATABASE_URL=postgres.url("postgres"))


def test_the_fleet_is_healthy_once_the_api_has_heard_of_it(server):
    key = {"TRIMTAB_API_KEY": server.key}
    assert not healthy("--fleet", server.url, **key)
    with server.client() as client:
        beat = {"fleet": "f", "resources": {"cpu": 2}, "agents": [], "recipes": []}
        assert client.post("/v1/fleet:heartbeat", json=beat).status_code == 204
    assert healthy("--fleet", server.url, **key)
    assert not healthy("--fleet", server.url, TRIMTAB_API_KEY="wrong")
