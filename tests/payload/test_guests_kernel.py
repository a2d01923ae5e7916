"""Finding a kernel: given, cached, the host's, or the distribution's."""

import hashlib
import shutil
import subprocess
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from density.errors import UsageError
from density.payload.guests import kernel, packages
from density.payload.guests.kernel import guest_kernel, is_kernel, newest
from density.payload.guests.packages import FetchError, parse_kernel_package

pytestmark = pytest.mark.anyio

KERNEL = bytes(0x202) + b"HdrS" + bytes(100)

DEBIAN = """linux-image-cloud-amd64
  Depends: linux-image-6.1.0-40-cloud-amd64
"""
UBUNTU = """linux-image-virtual
  Depends: linux-image-6.8.0-71-generic
  Recommends: thermald
"""


@pytest.fixture
def anyio_backend() -> str:
    """Apt is run as a child, which is the same on every loop."""
    return "asyncio"


class NoApt:
    """A host from which nothing can be fetched."""

    async def __aenter__(self) -> Path:
        raise FetchError("there is no apt-cache here")

    async def __aexit__(self, *_: object) -> None: ...


def make(path: Path, data: bytes = KERNEL) -> Path:
    """A file with this content, and its directories."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def test_package_names() -> None:
    """The package that a meta package depends on is the kernel's, on Debian and on Ubuntu; else there is none."""
    assert parse_kernel_package(DEBIAN) == "linux-image-6.1.0-40-cloud-amd64"
    assert parse_kernel_package(UBUNTU) == "linux-image-6.8.0-71-generic"
    assert parse_kernel_package("linux-image-virtual\n") is None
    assert parse_kernel_package("  Depends: <linux-image>\n") is None


def test_versions_are_numbers() -> None:
    """The newest kernel is the one with the highest version, not the last by the alphabet."""
    names = ["vmlinuz-6.9.0-1", "vmlinuz-6.10.0-1", "vmlinuz-6.1.0-40"]
    assert newest(names) == ["vmlinuz-6.10.0-1", "vmlinuz-6.9.0-1", "vmlinuz-6.1.0-40"]


def test_kernels_are_known_by_their_mark(tmp_path: Path) -> None:
    """Something that is only called a kernel is none."""
    assert is_kernel(make(tmp_path / "good"))
    assert not is_kernel(make(tmp_path / "bad", b"text"))
    assert not is_kernel(tmp_path / "missing")


async def test_explicit_wins(tmp_path: Path) -> None:
    """A kernel that was named is taken, whatever else there is."""
    make(tmp_path / "boot" / "vmlinuz-6.1.0")
    mine = make(tmp_path / "mine")
    assert await guest_kernel(tmp_path / "cache", explicit=mine, root=tmp_path) == mine


async def test_explicit_is_checked(tmp_path: Path) -> None:
    """One that was named and cannot be used is an error and no reason to look further."""
    with pytest.raises(UsageError, match="cannot be read"):
        await guest_kernel(tmp_path, explicit=tmp_path / "missing", root=tmp_path)
    with pytest.raises(UsageError, match="no x86 Linux kernel"):
        await guest_kernel(tmp_path, explicit=make(tmp_path / "text", b"text"), root=tmp_path)


async def test_cache_before_boot(tmp_path: Path) -> None:
    """What was fetched once is used again; the host's own kernel comes after it, the newest first."""
    old = make(tmp_path / "boot" / "vmlinuz-6.1.0-9")
    new = make(tmp_path / "boot" / "vmlinuz-6.1.0-10")
    assert await guest_kernel(tmp_path / "cache", root=tmp_path) == new
    cached = make(tmp_path / "cache" / "vmlinuz-5.10.0")
    assert await guest_kernel(tmp_path / "cache", root=tmp_path) == cached
    assert old.exists()


async def test_fetched_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fetched kernel ends up in the cache under its own name."""

    @asynccontextmanager
    async def fetch() -> AsyncGenerator[Path]:
        yield make(tmp_path / "scratch" / "vmlinuz-6.1.0-40-cloud-amd64")

    monkeypatch.setattr(kernel, "fetch_kernel", fetch)
    found = await guest_kernel(tmp_path / "cache", root=tmp_path)
    assert found == tmp_path / "cache" / "vmlinuz-6.1.0-40-cloud-amd64"
    assert is_kernel(found)


async def test_nothing_to_be_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no kernel, one sentence says what was tried and what a person can do."""
    monkeypatch.setattr(kernel, "fetch_kernel", NoApt)
    with pytest.raises(UsageError) as caught:
        await guest_kernel(tmp_path / "cache", root=tmp_path)
    assert "there is no apt-cache here" in str(caught.value)
    assert kernel.VARIABLE in str(caught.value)
    assert "\n" not in str(caught.value)


async def test_host_without_apt(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host without apt is told so, by the name of what is missing."""
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(FetchError, match="there is no apt-cache here"):
        async with packages.fetch_kernel():
            pass


def archive(directory: Path, *, trusted: bool) -> Path:
    """An archive with a kernel in it that nobody has signed; the path of a configuration of apt that knows it alone."""
    repository, tree = directory / "repository", directory / "tree"
    for name, depends, content in (
        ("linux-image-cloud-amd64", "linux-image-9.9.9", {}),
        ("linux-image-9.9.9", "", KERNELS),
    ):
        (tree / name / "DEBIAN").mkdir(parents=True)
        about = f"Package: {name}\nVersion: 9.9.9\nArchitecture: all\nMaintainer: a <a@b.c>\nDescription: a\n"
        (tree / name / "DEBIAN/control").write_text(about + (f"Depends: {depends}\n" if depends else ""))
        for path, data in content.items():
            (tree / name / path).parent.mkdir(parents=True)
            (tree / name / path).write_bytes(data)
        repository.mkdir(exist_ok=True)
        subprocess.run(["dpkg-deb", "--root-owner-group", "--build", str(tree / name), str(repository)], check=True)
    packages_file = b""
    for deb in sorted(repository.glob("*.deb")):
        control = subprocess.run(["dpkg-deb", "-f", str(deb)], check=True, capture_output=True).stdout
        data = deb.read_bytes()
        sums = f"Filename: ./{deb.name}\nSize: {len(data)}\nSHA256: {hashlib.sha256(data).hexdigest()}\n\n"
        packages_file += control + sums.encode()
    (repository / "Packages").write_bytes(packages_file)
    digest = hashlib.sha256(packages_file).hexdigest()
    (repository / "Release").write_text(f"Suite: x\nSHA256:\n {digest} {len(packages_file)} Packages\n")
    (directory / "sources.list").write_text(f"deb {'[trusted=yes] ' if trusted else ''}file:{repository} ./\n")
    for name in ("state/lists/partial", "cache/archives/partial"):
        (directory / name).mkdir(parents=True)
    configuration = directory / "apt.conf"
    configuration.write_text(
        f'Dir::Etc::sourcelist "{directory}/sources.list";\nDir::Etc::sourceparts "-";\n'
        f'Dir::State::lists "{directory}/state/lists";\nDir::Cache "{directory}/cache";\n'
    )
    return configuration


KERNELS = {"boot/vmlinuz-9.9.9": KERNEL}


@pytest.mark.skipif(not shutil.which("apt-get"), reason="no apt")
@pytest.mark.parametrize("trusted", [True, False])
async def test_an_archive_that_nobody_has_signed_gives_no_kernel(
    trusted: bool,  # noqa: FBT001 — a parameter
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Apt itself says so, and is not talked out of it; what the host's own configuration trusts is taken."""
    monkeypatch.setenv("APT_CONFIG", str(archive(tmp_path, trusted=trusted)))
    if trusted:
        async with packages.fetch_kernel() as found:
            assert (found.name, is_kernel(found)) == ("vmlinuz-9.9.9", True)
        return
    with pytest.raises(FetchError, match=r"not signed|no longer signed|does not have a Release"):
        async with packages.fetch_kernel():
            pytest.fail("fetched")
