"""What tests need of this machine, by their markers.

A test marked `docker`, `libvirt`, `lxc`, `kvm`, `root`, `compose` or `tools(...)` is skipped with the reason where
that is not to be had; with DENSITY_REQUIRE_ENGINES=1 it fails instead, so that CI never passes by skipping.
"""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest
from support.compose import compose_command
from support.host_state import observe, settled_differences


@cache
def _no_docker() -> str:
    import docker  # noqa: PLC0415 — half a second, for these tests alone
    from docker.errors import DockerException  # noqa: PLC0415

    try:
        client = docker.APIClient(base_url="unix:///var/run/docker.sock", version="auto", timeout=10)
    except DockerException as error:
        return f"no Docker daemon: {error}"
    client.close()
    return ""


@cache
def _no_libvirt(uri: str = "qemu:///system") -> str:
    try:
        import libvirt  # noqa: PLC0415 — an optional dependency
    except ImportError as error:
        return f"no libvirt: {error}"
    libvirt.registerErrorHandler(lambda *_: None, None)
    try:
        connection = libvirt.open(uri)
    except libvirt.libvirtError as error:
        return f"no {uri}: {error}"
    connection.close()
    return ""


def _no_lxc() -> str:
    return _no_libvirt("lxc:///system")


def _no_kvm() -> str:
    try:
        os.close(os.open("/dev/kvm", os.O_RDWR))
    except OSError as error:
        return f"no KVM: {error}"
    return ""


def _no_root() -> str:
    return "" if os.geteuid() == 0 else "not root"


def _no_tool(*names: str) -> str:
    missing = [name for name in names if shutil.which(name) is None]
    return f"not installed: {', '.join(missing)}" if missing else ""


def _no_compose() -> str:
    return "" if compose_command() else "no compose of Docker"


ABSENCES: Mapping[str, Callable[..., str]] = {
    "docker": _no_docker,
    "libvirt": _no_libvirt,
    "lxc": _no_lxc,
    "kvm": _no_kvm,
    "root": _no_root,
    "tools": _no_tool,
    "compose": _no_compose,
}
"""Why there is none of what a marker asks for; empty where there is."""

TESTS = Path(__file__).parent
REAL_RUNS = {
    f"controller/test_{name}.py"
    for name in ("aftermath", "full_host", "intent", "reaper", "slice_engines", "versus", "watchdog")
}
OF_THE_HOST = ("docker", "libvirt", "lxc", "kvm", "root")
CHANGED = pytest.StashKey[list[str]]()


def _reasons(item: pytest.Item) -> Iterator[str]:
    for name, absence in ABSENCES.items():
        for marker in item.iter_markers(name):
            yield absence(*marker.args)


def _is_of_the_host(path: Path) -> bool:
    """Whether a file's tests make runs that are not simulated, of which a host has one at a time, or look for them."""
    where = path.relative_to(TESTS)
    return where.parts[0] in {"cli", "engines"} or where.as_posix() in REAL_RUNS


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where several processes share the tests, one alone runs all that use an engine or change the host."""
    for item in items:
        if _is_of_the_host(item.path) or any(any(item.iter_markers(name)) for name in OF_THE_HOST):
            item.add_marker(pytest.mark.xdist_group("host"))


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop(session: pytest.Session) -> Iterator[None]:
    """With DENSITY_CHECK_HOST=1, as `make test` sets it: links, cgroups, images, sysctls are the same before and after.

    Not otherwise: where other things run on the host meanwhile, their doings would be taken for the tests' own.
    """
    if os.environ.get("DENSITY_CHECK_HOST") != "1" or hasattr(session.config, "workerinput"):
        return (yield)
    before = observe()
    result = yield
    if found := settled_differences(before):
        session.testsfailed += 1
        session.config.stash[CHANGED] = found
    return result


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what the tests changed on this host."""
    if found := terminalreporter.config.stash.get(CHANGED, []):
        terminalreporter.section("the tests changed this host", red=True)
        terminalreporter.write_line("\n".join(found))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what cannot run here, or fail it where engines are required."""
    reason = next(filter(None, _reasons(item)), "")
    if reason and os.environ.get("DENSITY_REQUIRE_ENGINES") == "1":
        pytest.fail(f"DENSITY_REQUIRE_ENGINES=1, but {reason}", pytrace=False)
    if reason:
        pytest.skip(reason)
