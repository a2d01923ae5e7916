"""What tests of engines need of this machine.

A test marked `docker`, `libvirt`, `kvm` or `root` is skipped with the reason where that is not to be had; with
DENSITY_REQUIRE_ENGINES=1 it fails instead, so that CI never passes by skipping.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest
from engines.contract import CASES, Case, short_directory


@cache
def missing_docker() -> str:
    """Why there is no Docker daemon here; empty where there is one."""
    import docker  # noqa: PLC0415 — half a second, for these tests alone
    from docker.errors import DockerException  # noqa: PLC0415

    try:
        client = docker.APIClient(base_url="unix:///var/run/docker.sock", version="auto", timeout=10)
    except DockerException as error:
        return f"no Docker daemon: {error}"
    client.close()
    return ""


@cache
def missing_libvirt() -> str:
    """Why there is no libvirt with QEMU here; empty where there is."""
    try:
        import libvirt  # noqa: PLC0415 — an optional dependency
    except ImportError as error:
        return f"no libvirt: {error}"
    libvirt.registerErrorHandler(lambda *_: None, None)
    try:
        connection = libvirt.open("qemu:///system")
    except libvirt.libvirtError as error:
        return f"no libvirt daemon: {error}"
    connection.close()
    return ""


def missing_kvm() -> str:
    """Why KVM cannot be used; empty where it can be tried."""
    try:
        os.close(os.open("/dev/kvm", os.O_RDWR))
    except OSError as error:
        return f"no KVM: {error}"
    return ""


def missing_root() -> str:
    """Why this is not root; empty where it is."""
    return "" if os.geteuid() == 0 else "not root"


MISSING: Mapping[str, Callable[[], str]] = {
    "docker": missing_docker,
    "libvirt": missing_libvirt,
    "kvm": missing_kvm,
    "root": missing_root,
}


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what cannot run here, or fail it where engines are required."""
    for marker, missing in MISSING.items():
        reason = missing() if item.get_closest_marker(marker) else ""
        if reason and os.environ.get("DENSITY_REQUIRE_ENGINES") == "1":
            pytest.fail(f"DENSITY_REQUIRE_ENGINES=1, but {reason}", pytrace=False)
        if reason:
            pytest.skip(reason)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out facts about what an engine does not have; there is nothing that could be installed for them."""
    left_out = [item for item in items if not _concerns(item)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def _concerns(item: pytest.Item) -> bool:
    attribute = getattr(getattr(item, "function", None), "needs", None)
    callspec = getattr(item, "callspec", None)
    return attribute is None or callspec is None or bool(getattr(callspec.params["case"], attribute))


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """Real engines are tested on asyncio; their code keeps to anyio all the same."""
    return "asyncio"


@pytest.fixture
def runtime_dir() -> Iterator[Path]:
    """A place for a run's sockets and overlays."""
    with short_directory() as directory:
        yield directory


@pytest.fixture(scope="module", params=[pytest.param(case, id=case.name, marks=case.marks) for case in CASES])
def case(request: pytest.FixtureRequest) -> Case:
    """Every engine in turn."""
    found = request.param
    assert isinstance(found, Case)
    return found
