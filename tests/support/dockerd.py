"""A Docker daemon beside the host's own, without a network, that lives in one directory and leaves nothing behind.

It is in a network namespace of its own: a daemon with `--bridge none` deletes the `docker0` of the one it is in, which
is the host's daemon's. A socket stays in the namespace that it was made in, so the daemon is reached from the host
where it takes over a socket that was made there.
"""

import os
import re
import select
import socket
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

STOP_SECONDS = 60.0
_ACTIVATED = 'LISTEN_PID=$$ LISTEN_FDS=1 exec "$@" 3<&0 </dev/null'
"""Hands standard input to a program as systemd does with a socket."""
_LISTENS = re.compile(r"API listen on ([^\s\"]+)")


class Dockerd:
    """The daemon, which may crash and be started again; as a context manager it gives its endpoint.

    Attributes:
        endpoint: where it listens, from its start on.
    """

    def __init__(
        self,
        directory: Path,
        *,
        data_root: Path | None = None,
        within: Sequence[str] = (),
        listen: str = "",
        options: Sequence[str] = (),
    ) -> None:
        """What it is started with.

        Args:
            directory: of its sockets and files; empty, and with a short path.
            data_root: where its images and containers are kept; None: in the directory too.
            within: a command that runs it, such as `prlimit --nofile=160:160`, and becomes it by `exec`; its network
                namespace is made inside of that.
            listen: its endpoint, such as `tcp://127.0.0.1:2376`; empty: a socket in the directory.
            options: more of its command line.
        """
        self.endpoint = listen or f"unix://{directory}/docker.sock"
        self._pids = (directory / "pid", directory / "exec/containerd/containerd.pid")
        self._mounted = [directory, *([data_root] if data_root else [])]
        places = {
            "data-root": data_root or directory / "data",
            "exec-root": directory / "exec",
            "pidfile": self._pids[0],
        }
        self._listens_on_tcp = self.endpoint.startswith("tcp://")
        host = "fd://" if self._listens_on_tcp else self.endpoint
        apart = ["unshare", "--net", *(["sh", "-c", _ACTIVATED, "sh"] if self._listens_on_tcp else [])]
        self._command = [*within, *apart, "dockerd", "-H", host, "--bridge", "none", "--iptables=false", *options]
        self._command += [f"--{option}={place}" for option, place in places.items()]

    def __enter__(self) -> str:
        self.start()
        return self.endpoint

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """Of the daemon, once it is started."""
        return self._process.pid

    def start(self) -> None:
        """Start it, and come back when it answers."""
        for pid in self._pids:
            # Left behind by a crash; a process that nobody has reaped yet would be taken for the daemon's own.
            pid.unlink(missing_ok=True)
        with self._socket() as listener:
            self._process = subprocess.Popen(
                self._command,
                stdin=listener,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
        try:
            address = self._await_address(self._process)
        except BaseException:
            self.stop()
            raise
        self.endpoint = f"{self.endpoint.partition('://')[0]}://{address}"
        self._drain = threading.Thread(target=self._process.communicate, daemon=True)
        self._drain.start()

    @contextmanager
    def _socket(self) -> Iterator[int]:
        """The socket that it takes over; nothing where it makes its own in the file system, which namespaces share."""
        if not self._listens_on_tcp:
            yield subprocess.DEVNULL
            return
        host, _, port = self.endpoint.removeprefix("tcp://").rpartition(":")
        with socket.create_server((host, int(port))) as listener:
            yield listener.fileno()

    @property
    def containerd_pid(self) -> int:
        """Of the containerd that it started and starts again where that ends."""
        return int(self._pids[1].read_text())

    def crash(self) -> None:
        """End it at once, and its containerd with it; containers live on."""
        containerd = os.pidfd_open(self.containerd_pid)
        self._process.kill()
        self._drain.join()
        # The kernel ends it with its parent; a successor that still meets it waits for it in vain.
        select.select([containerd], [], [], STOP_SECONDS)
        os.close(containerd)

    def stop(self) -> None:
        """End it with all that belongs to it, and take its mounts away."""
        if self._process.poll() is None:
            descriptor = os.pidfd_open(self._process.pid)
            self._process.terminate()
            gone, _, _ = select.select([descriptor], [], [], STOP_SECONDS)
            os.close(descriptor)
            if not gone:
                self._process.kill()
        self._process.wait()
        for directory in self._mounted:
            _unmount_below(directory)

    @staticmethod
    def _await_address(process: subprocess.Popen[str]) -> str:
        assert process.stderr is not None
        said = []
        for line in process.stderr:
            said.append(line)
            if found := _LISTENS.search(line):
                return found[1]
        raise RuntimeError("".join(said))


def _unmount_below(directory: Path) -> None:
    mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for mount in reversed([path for path in mounts if path.startswith(f"{directory}/")]):
        subprocess.run(["umount", mount], check=True)
