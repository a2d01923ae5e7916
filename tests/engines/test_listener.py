"""Which process listens on a socket."""

import os
import socket
from pathlib import Path

from density.engines.libvirt.hypervisor import find_daemons
from density.engines.listener import listener


def test_the_listener_is_named_by_the_kernel(tmp_path: Path) -> None:
    """Whoever listens on a unix socket is told by its pid; where nobody does, it is 0."""
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        assert listener(path) == os.getpid()
    assert listener(path) == 0


def test_daemons_are_those_of_the_endpoint(tmp_path: Path) -> None:
    """A URI with a socket means the daemon behind it, not the host's own, and never what only listens for one."""
    run, proc = tmp_path / "run", tmp_path / "proc"
    run.mkdir()
    (run / "libvirtd.pid").write_text(str(os.getppid()))
    (proc / str(os.getpid())).mkdir(parents=True)
    comm = proc / str(os.getpid()) / "comm"
    path = str(tmp_path / "s")
    uri = f"qemu+unix:///system?socket={path}"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        comm.write_text("libvirtd\n")
        assert find_daemons(uri, run=run, proc=proc) == {"libvirtd": os.getpid()}
        comm.write_text("systemd\n")
        assert find_daemons(uri, run=run, proc=proc) == {"libvirtd": os.getppid()}
    assert find_daemons("qemu:///system", run=run, proc=proc) == {"libvirtd": os.getppid()}
