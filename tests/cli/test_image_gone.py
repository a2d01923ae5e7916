"""An image that is removed while a run launches from it: the engine's failure, on the real daemon."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from docker import APIClient
from docker.errors import ImageNotFound
from engines import docker_guest

from density.model import LABEL

pytestmark = pytest.mark.docker

PROFILE = """
name = "gone"
[ramp]
shape = "linear"
start = 3
step = 3
calibrate = 3
max = 24
until = "failure"
settle = "500ms"
hold = "0s"
[workloads.web]
engine = "docker"
image = "{image}"
command = ["wait", "ready"]
ready = "log:ready"
"""
POLL_SECONDS = 0.05


@pytest.fixture
def client() -> Iterator[APIClient]:
    """The daemon, past the engine."""
    found = APIClient(base_url=docker_guest.ENDPOINT, version="auto", timeout=30)
    yield found
    found.close()


def test_an_image_that_goes_amid_a_ramp_ends_it_in_error(client: APIClient, tmp_path: Path) -> None:
    """Exit code 5, the daemon's own words, no ceiling, and what ran until then is the least that fits."""
    image = docker_guest.build(client, tmp_path)
    [image_id] = client.images(image, quiet=True)
    profile = tmp_path / "gone.toml"
    profile.write_text(PROFILE.format(image=image))
    over = threading.Event()

    def remove() -> None:
        while not over.wait(POLL_SECONDS):
            if len(client.containers(filters={"label": LABEL, "ancestor": image})) >= 3:
                docker_guest.remove(client, image)
                return

    remover = threading.Thread(target=remove)
    remover.start()
    try:
        command = [sys.executable, "-m", "density", "run", str(profile), "--json", "-q", "--metrics", "off"]
        ran = subprocess.run(
            [*command, "--runs-dir", str(tmp_path)], capture_output=True, text=True, timeout=120, check=False
        )
    finally:
        over.set()
        remover.join()
        docker_guest.remove(client, image)
        with suppress(ImageNotFound):  # what containers still used has lost its name only
            client.remove_image(image_id, force=True)
    document = json.loads(ran.stdout)
    assert (ran.returncode, document["outcome"], document["verdict"]) == (5, "error", None)
    assert "No such image" in document["reason"]
    assert [failure["kind"] for failure in document["workloads"]["web"]["failures"]] == ["no_image"]
    assert 3 <= document["workloads"]["web"]["peak"] < 24
    assert document["teardown"]["left"] == []
