"""Hosts made of stubs for the setup scripts."""

import os
import shutil
from pathlib import Path

import pytest
from support.stub_host import PYTHON, Host

REPOSITORY = Path(__file__).parents[2]
REAL = """basename cat cksum cp cut date dirname env flock getent grep head ln ls mkdir mv paste printf rm sed sh
sleep sort tail timeout touch tr true uniq"""


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """A Debian host with apt and Python, an ordinary user without sudo, and nothing else."""
    made = Host(tmp_path / "clone", tmp_path / "root", tmp_path / "bin", tmp_path / "state")
    for directory in (made.clone, made.root, made.bin, made.state):
        directory.mkdir()
    shutil.copytree(REPOSITORY / "density/setup", made.clone / "density/setup")
    shutil.copy(REPOSITORY / "pyproject.toml", made.clone)
    for name in REAL.split():
        found = shutil.which(name, path=os.defpath)
        if found:
            (made.bin / name).symlink_to(found)
    made.stub("python3", PYTHON)
    made.stub("id", 'case "$1" in -u) echo 1000 ;; -un) echo somebody ;; -nG) echo users ;; esac')
    made.stub("uname", "echo x86_64")
    made.stub("stat", "echo 108:660")
    made.stub("apt-get")
    made.stub("apt-cache", "exit 1")
    made.stub("setsid", 'shift; "$@"')
    return made


@pytest.fixture
def root(host: Host) -> Host:
    """The same host, used by root."""
    host.stub("id", 'case "$1" in -u) echo 0 ;; -un) echo root ;; -nG) echo root ;; esac')
    return host
