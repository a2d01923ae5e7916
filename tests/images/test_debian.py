"""What a Debian guest is made of, and how it says that it is ready."""

import os
import socket
import subprocess
from pathlib import Path

import pytest

from density.errors import UsageError
from density.payload.images.bootstrap import Packages, command
from density.payload.images.debian import SAYS, DebianDisk, debian_disk, files, ready_script
from density.payload.images.services import SERVICES, Service, services_in

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """Tools are run as children, which is the same on every loop."""
    return "asyncio"


def test_the_plan_of_a_system() -> None:
    """A kernel, systemd and what was asked for come in one go, once each, and nothing turns signatures off."""
    wanted = DebianDisk(Packages(names=("redis-server", "udev"), suite="trixie"))
    words = command(wanted.everything, Path("/t"), variant="minbase", hooks=("true",))
    assert words[0] == "mmdebstrap"
    assert "--include=linux-image-cloud-amd64,systemd-sysv,udev,kmod,iproute2,redis-server" in words
    assert "--essential-hook=true" in words
    assert words[-2:] == ("trixie", "/t")
    mirrored = Packages(mirror="file:/srv/debian")
    said = " ".join((*words, *command(mirrored, Path("/t"), variant="extract"))).lower()
    assert not [word for word in ("trusted", "insecure", "unauth", "gpg", "weak", "keyring") if word in said]
    assert command(mirrored, Path("/t"), variant="extract")[-1] == "file:/srv/debian"


@pytest.mark.parametrize("name", ["Redis", "a", "-o", "redis server", "redis,memcached", ""])
def test_what_is_no_package(name: str) -> None:
    """Never reaches a command line."""
    with pytest.raises(UsageError, match="is no name of a package"):
        Packages(names=(name,))


def test_what_is_no_suite_or_archive() -> None:
    """Neither does that."""
    with pytest.raises(UsageError, match="is no name of a suite"):
        Packages(suite="--help")
    with pytest.raises(UsageError, match="is no address of an archive"):
        Packages(mirror="--help")


def test_equal_inputs_share_a_file() -> None:
    """And each other package, suite or archive has one of its own."""
    wanted = [
        Packages(),
        Packages(names=("redis-server",)),
        Packages(names=("redis-server", "memcached")),
        Packages(suite="trixie"),
        Packages(mirror="http://mirror.example/debian"),
    ]
    assert len({DebianDisk(packages).path(Path()) for packages in wanted}) == len(wanted)
    assert DebianDisk(wanted[1]).key == DebianDisk(Packages(names=("redis-server",))).key


async def test_made_once(tmp_path: Path) -> None:
    """What is in the cache is taken, without tools and without root; the person is told how to have it made again."""
    wanted = DebianDisk(Packages(names=("memcached",)))
    wanted.path(tmp_path).touch()
    said: list[str] = []
    assert await debian_disk(wanted, tmp_path, say=said.append) == wanted.path(tmp_path)
    assert "--fresh" in said[0]


def test_only_known_services_are_asked() -> None:
    """A package without a known service is installed all the same."""
    assert services_in(("nginx", "memcached")) == (SERVICES["memcached"],)
    assert "6379" in files(("redis-server",))["usr/lib/density/ready"]
    assert "until" not in files(("nginx",))["usr/lib/density/ready"]


@pytest.mark.parametrize("said", ["-LOADING", "+PONG"])
def test_ready_is_the_right_answer(said: str, tmp_path: Path) -> None:
    """The guest's own script, run here: a service that answers otherwise is asked again; ready is said after that."""
    port_file = tmp_path / "serial"
    stub = tmp_path / "systemctl"
    stub.write_text("#!/bin/sh\necho running\n")
    stub.chmod(0o755)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        service = Service(package="x", program="/x", port=port, asks=r"PING\r\n", answers="+PONG")
        script = ready_script((service,)).replace("/dev/ttyS0", str(port_file))
        environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
        with subprocess.Popen(["bash", "-c", script], env=environment, stdout=subprocess.DEVNULL) as guest:
            server.settimeout(30)
            for answer in dict.fromkeys((said, "+PONG")):
                assert not port_file.exists()
                connection, _ = server.accept()
                with connection:
                    assert connection.recv(64) == b"PING\r\n"
                    connection.sendall(f"{answer}\r\n".encode())
            assert guest.wait(timeout=30) == 0
    assert port_file.read_text() == f"{SAYS}\n"


def test_docker_in_the_guest_is_ready_once_a_container_has_run(tmp_path: Path) -> None:
    """The guest's own script, with a Docker that is late and cannot confine: it is said after an import and a run."""
    port_file, calls = tmp_path / "serial", tmp_path / "calls"
    for name, script in {
        "systemctl": "echo running",
        "sleep": "exit 0",
        "docker": f'echo "$1" >>{calls}; [ "$(grep -c "$1" {calls})" -ge 2 ] && [ ! -e {port_file} ] && '
        'case "$*" in import* | run*--security-opt=apparmor=unconfined*) ;; *) exit 1 ;; esac',
    }.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    script = files(("docker.io",))["usr/lib/density/ready"].replace("/dev/ttyS0", str(port_file))
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    subprocess.run(["bash", "-c", script], env=environment, check=True, capture_output=True, timeout=30)
    assert calls.read_text().split() == ["import", "import", "run", "run"]
    assert port_file.read_text() == f"{SAYS}\n"
