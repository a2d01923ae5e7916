"""What tests need of this machine, by their markers.

A test marked `docker`, `libvirt`, `lxc`, `kvm`, `root`, `compose` or `tools(...)` is skipped with the reason where
that is not to be had; with DENSITY_REQUIRE_ENGINES=1 it fails instead, so that CI never passes by skipping.
"""

import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest
from support.compose import compose_command
from support.host_state import observe, settled_differences
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]


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
    "report/test_report_of_a_run.py",
    *(f"controller/test_{name}.py" for name in ("aftermath", "intent", "versus")),
}
"""Files without such a mark that make real runs all the same, or look for what runs left."""
ENGINES_ALONE = {
    "images/test_container.py",
    *(
        f"engines/test_{name}.py"
        for name in (
            "contract", "docker", "docker_daemon", "docker_lies", "docker_netns", "docker_remote", "docker_shims",
            "libvirt_domain", "libvirt_engine", "libvirt_hangs", "libvirt_parts", "libvirt_ready", "native",
        )
    ),
}  # fmt: skip
"""Files that use engines without a run: what they make has no run's id, so that no clean-up takes it for a leftover."""
OF_THE_HOST = re.compile(r"pytest\.mark\.(docker|libvirt|lxc|kvm|root)\b")
CHANGED = pytest.StashKey[list[str]]()


def _reasons(item: pytest.Item) -> Iterator[str]:
    for name, absence in ABSENCES.items():
        for marker in item.iter_markers(name):
            yield absence(*marker.args)


class _HostInOne(LoadScopeScheduling):  # type: ignore[misc]  # xdist's schedulers are not typed
    """Shares the files of tests out to processes; one alone has all that make real runs or change the host.

    Two runs on a host would refuse each other, and a clean-up would remove what another test made. One more process has
    the engines without runs, which mostly wait.
    """

    def _split_scope(self, nodeid: str) -> str:
        return _scope(Path(self.config.rootpath, nodeid.split("::", 1)[0]))


@cache
def _scope(path: Path) -> str:
    where = path.relative_to(TESTS).as_posix()
    if where in ENGINES_ALONE:
        return "engines"
    runs = where.startswith("cli/") or where in REAL_RUNS or OF_THE_HOST.search(path.read_text(encoding="utf-8"))
    return "host" if runs else where


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> _HostInOne:
    """How the tests are shared out where `pytest -n` has several processes."""
    return _HostInOne(config, log)


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
