"""Workloads that cannot run here are refused by every command before anything is started."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from density.cli import main

PROFILE = """
name = "vms"
[workloads.vm]
engine = "libvirt"
ready = "running"
accelerator = "tcg"
"""
COMMANDS = (("run", "--dry-run"), ("doctor",), ("run", "--metrics", "off", "-q"))
NAME = f"density-test-{os.getpid()}"
PLUGGED = ('guest = "null"', f'network = "{NAME}"')
UNBRIDGED = f"<network><name>{NAME}</name><forward mode='bridge'/><bridge name='dtnone{os.getpid()}'/></network>"
"""libvirt starts such a network without looking at the bridge."""


@contextmanager
def network(*, active: bool) -> Iterator[str]:
    """The name of a libvirt network without a bridge."""
    import libvirt  # noqa: PLC0415 — an optional dependency

    connection = libvirt.open("qemu:///system")
    defined = connection.networkDefineXML(UNBRIDGED)
    try:
        if active:
            defined.create()
        yield NAME
    finally:
        if active:
            defined.destroy()
        defined.undefine()
        connection.close()


def refuse(command: tuple[str, ...], directory: Path, *lines: str) -> None:
    """Have a command refuse a workload with these lines."""
    profile = directory / "vms.toml"
    profile.write_text(PROFILE + "\n".join(lines))
    name, *options = command
    assert main([name, str(profile), *options, "--runs-dir", str(directory / "runs")]) == 2


@pytest.mark.libvirt
@pytest.mark.root
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_what_cannot_run_is_refused(
    command: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A missing image, a network that is not active, a bridge that is not there: exit 2, each with its name."""
    image = tmp_path / "gone.qcow2"
    refuse(command, tmp_path, 'guest = "disk"', f'image = "{image}"')
    assert f"vm: the disk image {image} is not a file that can be read" in capsys.readouterr().err
    with network(active=False):
        refuse(command, tmp_path, *PLUGGED)
    assert f"virsh net-start {NAME}" in capsys.readouterr().err
    with network(active=True):
        refuse(command, tmp_path, *PLUGGED)
    assert f"bridge dtnone{os.getpid()}, which this host does not have" in capsys.readouterr().err


@pytest.mark.libvirt
def test_every_workload_that_cannot_run_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All problems come at once, so that a profile is mended in one go."""
    profile = tmp_path / "two.toml"
    profile.write_text(
        'name = "two"\n'
        '[workloads.vm]\nengine = "libvirt"\nguest = "null"\nready = "running"\nnetwork = "density-none"\n'
        '[workloads.disk]\nengine = "libvirt"\nguest = "disk"\nready = "running"\nimage = "/nowhere.qcow2"\n'
    )
    assert main(["run", str(profile), "--dry-run"]) == 2
    said = capsys.readouterr().err
    assert "vm: there is no libvirt network density-none" in said
    assert "disk: the disk image /nowhere.qcow2 is not a file" in said


@pytest.mark.docker
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_containers_that_cannot_run_are_refused(
    command: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A network that is not there, and an image that neither the daemon nor a registry has: exit 2, both named."""
    profile = tmp_path / "two.toml"
    profile.write_text(
        'name = "two"\n'
        '[workloads.lan]\nengine = "docker"\nnetwork = "density-none"\n'
        '[workloads.web]\nengine = "docker"\nimage = "localhost:1/none"\n'
    )
    name, *options = command
    assert main([name, str(profile), *options, "--runs-dir", str(tmp_path / "runs")]) == 2
    said = capsys.readouterr().err
    assert "'lan': Docker has no network 'density-none'" in said
    assert "'localhost:1/none' cannot be had" in said
