"""Images whose instances are ready and then are no more, on the real daemon: exit code 3, with their last words."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from docker import APIClient
from engines import docker_guest

pytestmark = pytest.mark.docker

PROFILE = """
name = "dies"
[ramp]
start = 2
calibrate = 2
max = 4
settle = "500ms"
hold = "4s"
[workloads.web]
engine = "docker"
image = "{image}"
command = {command}
ready = "{ready}"
"""
WORDS = "the database is gone"


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The tests' own image."""
    client = APIClient(base_url=docker_guest.ENDPOINT, version="auto", timeout=30)
    found = docker_guest.build(client, tmp_path_factory.mktemp("image"))
    yield found
    docker_guest.remove(client, found)
    client.close()


def ran(directory: Path, **values: str) -> tuple[int, dict[str, Any], str]:
    """A run's exit code, its result, and what it said."""
    profile = directory / "dies.toml"
    profile.write_text(PROFILE.format(**values))
    command = [sys.executable, "-m", "density", "run", str(profile), "--json", "-q", "--metrics", "off"]
    done = subprocess.run(
        [*command, "--runs-dir", str(directory / "runs")], capture_output=True, text=True, timeout=120, check=False
    )
    return done.returncode, json.loads(done.stdout), done.stderr


def test_instances_that_end_after_they_were_ready(image: str, tmp_path: Path) -> None:
    """Every one exits a second later: exit code 3, each died with its exit code, and its last line is shown."""
    command = json.dumps(["brief", "ready", WORDS, "7"])
    code, document, said = ran(tmp_path, image=image, command=command, ready="log:ready")
    web = document["workloads"]["web"]
    assert code == 3
    assert web["ready"] == web["lost"] > 0
    assert web["deaths"]["endings"] == {"exited (code 7)": web["lost"]}
    assert web["deaths"]["last_lines"][-1] == WORDS
    assert WORDS in said
    assert document["capacity"]["recommended"]["count"] in {None, 0}
    assert document["teardown"]["left"] == []


def test_instances_whose_health_turns(image: str, tmp_path: Path) -> None:
    """HEALTHCHECK passes once and never again: exit code 3, with what the last check printed."""
    command = json.dumps(["wait", "up"])
    code, document, said = ran(tmp_path, image=f"{image}-turning", command=command, ready="healthy")
    web = document["workloads"]["web"]
    assert code == 3
    assert web["ready"] == web["lost"] > 0
    assert web["deaths"]["endings"] == {"ended (unhealthy)": web["lost"]}
    assert WORDS in web["deaths"]["last_lines"]
    assert WORDS in said
    assert document["teardown"]["left"] == []
