"""The quickest of the applications that fail by themselves, as `make attribution` runs them all: Docker, for real."""

from pathlib import Path

import pytest
from attribution.suite import Application, programs_image, run_application

pytestmark = [pytest.mark.docker, pytest.mark.root]

NEVER_READY = Application(
    name="own memory, never ready",
    command=("memory", "64", "64", "0", "before"),
    more='memory = "32MiB"',
    wanted="memory.instance",
    subject="web",
    fix="`memory` of the workload web",
    evidence="32 MiB",
    settle="300ms",
    exit_codes=(3,),
    counts=(0, 0),
)
FIXED_PORT = Application(
    name="a fixed port",
    command=("port", "18080"),
    more='network = "host"',
    wanted="ports.fixed",
    subject="web",
    fix='network = "bridge"',
    evidence="port 18080",
    said="Address already in use",
    settle="300ms",
    counts=(1, 1),
)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """An image with their programs."""
    return programs_image(tmp_path_factory.mktemp("programs"), "memory", "port")


@pytest.mark.parametrize("application", [NEVER_READY, FIXED_PORT], ids=lambda each: each.wanted)
def test_the_verdict_names_what_the_application_ran_into(
    application: Application, files: bytes, tmp_path: Path
) -> None:
    """By its own words and by what the kernel counts of it; the fix has the knob, and nothing stays behind."""
    row, finished = run_application(application, files, tmp_path)
    assert not row.problems, f"{row}\n{finished.said}\n{finished.document.get('verdict')}"
