"""The Docker engine and what is elsewhere: images in a registry, a daemon behind TLS."""

import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from docker import APIClient
from engines import docker_guest
from engines.contract import CASES, context_in, opened, short_directory
from support.addresses import free_address
from support.dockerd import Dockerd
from support.registry import registry

from density.engines.docker import DockerEngine
from density.engines.docker.client import Clients, find_endpoint
from density.engines.docker.owners import read_listeners, sockets_of
from density.errors import EngineUnavailable, UsageError
from density.model import Phase, Readiness, Workload

pytestmark = [pytest.mark.anyio, pytest.mark.docker]

TLS_FILES = {"cacert": "ca.pem", "cert": "cert.pem", "key": "key.pem"}
DOCKER = next(case for case in CASES if case.name == "docker")


def waiting(image: str) -> Workload:
    """A workload of the test's own image."""
    return Workload(name="g", engine="docker", image=image, command=("wait", "up"), ready=Readiness("log", "up"))


@pytest.fixture
def client() -> Iterator[APIClient]:
    """The daemon, past the engine."""
    found = APIClient(base_url=docker_guest.ENDPOINT, version="auto", timeout=30)
    yield found
    found.close()


@pytest.fixture
def elsewhere(client: APIClient, tmp_path: Path) -> Iterator[str]:
    """An image that a registry has and the daemon has not."""
    with registry(docker_guest.layer(tmp_path), ["/guest"]) as reference:
        yield reference
        client.remove_image(reference, force=True)


@pytest.mark.tools("cc")
async def test_an_image_is_pulled_before_it_is_launched(client: APIClient, elsewhere: str, runtime_dir: Path) -> None:
    """Preparing fetches it, so that no launch waits for it; what a registry does not have is one sentence."""
    async with opened(DOCKER, runtime_dir) as session:
        await session.prepare(waiting(elsewhere))
        assert [image["RepoTags"] for image in client.images(elsewhere)] == [[elsewhere]]
        [instance_id] = await session.launch(waiting(elsewhere))
        assert session.phases(instance_id)[-1] is Phase.READY
        with pytest.raises(
            UsageError, match=r"image '.*:other' cannot be had: .*(manifest unknown|not found).*docker pull"
        ):
            await session.prepare(waiting(elsewhere.replace(":there", ":other")))


def certify(directory: Path) -> None:
    """An authority, and a certificate by it for 127.0.0.1 that both ends show."""
    authority = ["-x509", "-keyout", "ca-key.pem", "-out", "ca.pem", "-subj", "/CN=density test",
                 "-addext", "keyUsage=critical,keyCertSign"]  # fmt: skip
    signed = ["-x509", "-CA", "ca.pem", "-CAkey", "ca-key.pem", "-keyout", "key.pem", "-out", "cert.pem",
              "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
              "-addext", "basicConstraints=critical,CA:FALSE"]  # fmt: skip
    for arguments in (authority, signed):
        command = ["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
        subprocess.run([*command, *arguments], cwd=directory, check=True, capture_output=True)


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    """What Docker's own variables name: a directory with `ca.pem`, `cert.pem` and `key.pem`."""
    certify(tmp_path)
    return tmp_path


@pytest.fixture
def behind_tls(certificates: Path, runtime_dir: Path) -> Iterator[str]:
    """The endpoint of a daemon that asks for a certificate, with one image of ours."""
    tls = [f"--tls{name}={certificates / file}" for name, file in TLS_FILES.items()]
    with Dockerd(runtime_dir, listen=f"tcp://{free_address()}", options=["--tlsverify", *tls]) as endpoint:
        yield endpoint


async def _import(endpoint: str, layer: bytes, image: str) -> None:
    """Into the daemon, which has a network namespace of its own and so reaches no registry."""
    repository, _, tag = image.partition(":")
    clients = Clients(find_endpoint(endpoint), concurrency=1)
    await clients.connect()
    with clients.borrow() as client:
        client.import_image_from_data(layer, repository=repository, tag=tag, changes=['ENTRYPOINT ["/guest"]'])
    clients.close()


def _connections_of(pid: int) -> set[str]:
    """Addresses of this host at which a process listens."""
    own = sockets_of([pid])
    found = [each for each in read_listeners(os.getpid()) if each.inode in own]
    return {f"127.0.0.1:{each.port}" for each in found if each.address == "0100007F"}


@pytest.mark.root
@pytest.mark.tools("dockerd", "openssl", "cc")
async def test_a_daemon_behind_tls(
    behind_tls: str, certificates: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Docker's own variables open it; without them the daemon is unavailable, with what it said."""
    case = replace(DOCKER, make=lambda context: DockerEngine(context, endpoint=behind_tls))
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(certificates))
    image = "density-test-remote:there"
    await _import(behind_tls, docker_guest.layer(tmp_path), image)
    with short_directory() as directory:
        async with opened(case, directory) as session:
            found = (await session.engine.describe()).daemons["dockerd"]
            assert behind_tls.removeprefix("tcp://") in _connections_of(found), "another daemon of this host"
            workload = replace(waiting(image), ready=Readiness("running"))
            [instance_id] = await session.launch(workload)
            assert session.phases(instance_id)[-1] is Phase.READY
            await session.engine.stop([instance_id])
        monkeypatch.delenv("DOCKER_TLS_VERIFY")
        monkeypatch.delenv("DOCKER_CERT_PATH")
        async with context_in(directory) as context:
            with pytest.raises(EngineUnavailable, match="HTTPS"):
                async with DockerEngine(context, endpoint=behind_tls):
                    pytest.fail("it was entered")
