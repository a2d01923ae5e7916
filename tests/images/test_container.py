"""A service's container image."""

import subprocess
import tarfile
import time
from pathlib import Path

import anyio
import pytest
from engines.docker_guest import ENDPOINT

from density.errors import DensityError
from density.payload.images.bootstrap import Packages
from density.payload.images.container import LOADER, NOBODY, Container, container_archive, parse_loaded, write_archive
from density.payload.images.services import SERVICES

LISTED = """\tlinux-vdso.so.1 (0x00007f9f4d8d9000)
\tlibevent-2.1.so.7 => /t/usr/lib/x86_64-linux-gnu/libevent-2.1.so.7 (0x00007f9f4d81d000)
\tlibc.so.6 => /t/lib/x86_64-linux-gnu/libc.so.6 (0x00007f9f4d01e000)
\t/lib64/ld-linux-x86-64.so.2 => /t/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2 (0x00007f9f4d8db000)
"""
PROGRAM = r"""
#include <arpa/inet.h>
#include <stdio.h>
#include <unistd.h>

int main(void) {
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(6379)};
	int server = socket(AF_INET, SOCK_STREAM, 0);
	char asked[6];
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(server, (struct sockaddr *)&address, sizeof address) || listen(server, 8))
		return 71;
	for (;;) {
		int peer = accept(server, NULL, NULL);
		if (read(peer, asked, sizeof asked) == 6)
			dprintf(peer, "+PONG to %d\r\n", (int)getuid());
		close(peer);
	}
}
"""


def test_what_the_loader_lists() -> None:
    """Every library and the loader itself, by the name that is looked for; not what the kernel brings."""
    assert parse_loaded(LISTED) == {
        "libevent-2.1.so.7": Path("/t/usr/lib/x86_64-linux-gnu/libevent-2.1.so.7"),
        "libc.so.6": Path("/t/lib/x86_64-linux-gnu/libc.so.6"),
        "ld-linux-x86-64.so.2": Path("/t/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"),
    }


def test_a_library_that_is_missing() -> None:
    """Would be found out by every container otherwise."""
    with pytest.raises(DensityError, match=r"lacks the library libx\.so\.1"):
        parse_loaded("\tlibx.so.1 => not found\n")


def test_equal_files_make_equal_archives(tmp_path: Path) -> None:
    """Where each belongs, as root's, whatever their times and links were; the loader where the kernel looks for it."""
    real, link = tmp_path / "libc-2.36.so", tmp_path / "libc.so.6"
    real.write_text("library")
    link.symlink_to(real.name)
    archives = [tmp_path / "1.tar", tmp_path / "2.tar"]
    for archive in archives:
        real.touch()
        write_archive(archive, real, "/usr/bin/service", {"libc.so.6": link, Path(LOADER).name: real})
    assert archives[0].read_bytes() == archives[1].read_bytes()
    with tarfile.open(archives[0]) as tar:
        members = {member.name: member for member in tar.getmembers()}
        assert {name for name, member in members.items() if member.isfile()} == {
            "usr/bin/service",
            "lib/x86_64-linux-gnu/libc.so.6",
            LOADER,
        }
        assert {(member.uid, member.mode, member.mtime) for member in members.values()} == {(0, 0o755, 0)}
        assert "usr/bin" in members


@pytest.mark.parametrize("name", SERVICES)
def test_images_of_services(name: str) -> None:
    """Have a name of their own, and an archive for each suite."""
    wanted, other = Container(name), Container(name, Packages(suite="trixie"))
    assert wanted.tag == f"density-{name}:local"
    assert wanted.key != other.key
    assert wanted.entry_point[0] == SERVICES[name].program


def test_made_once(tmp_path: Path) -> None:
    """What is in the cache is taken, without any tool and without root."""
    wanted = Container("redis")
    path = tmp_path / f"redis-bookworm-{wanted.key}.tar"
    path.touch()
    said: list[str] = []
    assert anyio.run(lambda: container_archive(wanted, tmp_path, say=said.append)) == path
    assert "--fresh" in said[0]


@pytest.mark.docker
@pytest.mark.root
@pytest.mark.tools("cc")
@pytest.mark.skipif(not Path(f"/{LOADER}").exists(), reason="another machine's C library")
def test_a_container_of_it_answers(tmp_path: Path) -> None:
    """A program with nothing but the libraries that its loader lists runs as nobody, and answers on its loopback.

    Made again, it takes the place of the image before, of which nothing stays.
    """
    from docker import APIClient  # noqa: PLC0415 — half a second, for this test alone

    from density.engines.docker.importing import Layer, import_layer  # noqa: PLC0415
    from density.engines.docker.netns import socket_in  # noqa: PLC0415
    from density.engines.docker.owners import read_listeners  # noqa: PLC0415

    tag = "density-test-service:local"
    client = APIClient(base_url=ENDPOINT, version="auto")
    container = None
    try:
        images = []
        for word in ("first", "second"):
            binary = _compiled(tmp_path, f'/* {word} */ char word[] = {{"{word}"}};{PROGRAM}')
            listed = subprocess.run([f"/{LOADER}", "--list", str(binary)], check=True, capture_output=True, text=True)
            archive = tmp_path / "image.tar"
            loader = {Path(LOADER).name: Path(f"/{LOADER}")}  # which does not list itself where it is the system's own
            write_archive(archive, binary, "/service", {**parse_loaded(listed.stdout), **loader})
            layer = Layer(archive=archive, tag=tag, entry_point=("/service",), user=NOBODY)
            assert anyio.run(import_layer, "", layer) > binary.stat().st_size
            images.append(client.images(tag, quiet=True)[0])
        assert images[0] not in client.images(quiet=True, all=True)
        container = client.create_container(tag, network_disabled=True)
        client.start(container)
        pid = client.inspect_container(container)["State"]["Pid"]
        deadline = time.monotonic() + 30
        while 6379 not in {each.port for each in read_listeners(pid)}:
            assert time.monotonic() < deadline
        with socket_in(Path(f"/proc/{pid}/ns/net")) as asked:
            asked.settimeout(30)
            asked.connect(("127.0.0.1", 6379))
            asked.sendall(b"PING\r\n")
            assert asked.recv(64) == b"+PONG to 65534\r\n"
    finally:
        if container:
            client.remove_container(container, force=True)
        client.remove_image(tag, force=True)
        client.close()


def _compiled(directory: Path, source: str) -> Path:
    (directory / "service.c").write_text(source)
    subprocess.run(["cc", "-o", str(directory / "service"), str(directory / "service.c")], check=True)
    return directory / "service"
