"""The Docker engine and a daemon of its own, which may be stopped, started again, and emptied."""

import subprocess
import sys
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import anyio
import pytest
from docker import APIClient
from engines import docker_guest
from engines.contract import CASES, Case, opened

from density.engines.docker import DockerEngine, engine
from density.errors import EngineUnavailable
from density.model import LABEL, Phase, Readiness, Workload

pytestmark = [pytest.mark.anyio, pytest.mark.docker, pytest.mark.root]

START_SECONDS = 60.0


class Daemon:
    """A second dockerd, without a network, that lives in one directory."""

    def __init__(self, directory: Path) -> None:
        self.endpoint = f"unix://{directory}/docker.sock"
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None

    @contextmanager
    def running(self) -> Generator[None]:
        """Started, and stopped again."""
        self.start()
        try:
            yield
        finally:
            self.stop()

    def start(self) -> None:
        """Start it, and come back when it answers."""
        inside = self._directory
        with (inside / "log").open("ab") as log:
            self._process = subprocess.Popen(
                ["dockerd", "-H", self.endpoint, "--data-root", inside / "data", "--exec-root", inside / "exec",
                 "--pidfile", inside / "pid", "--bridge", "none", "--iptables=false", "--ip6tables=false"],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )  # fmt: skip
        # It makes its socket when it is ready to answer, and that it listens is in its log.
        follow = subprocess.Popen(["tail", "-n", "+1", "-F", inside / "log"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert follow.stdout is not None
        with follow, follow.stdout:
            for line in follow.stdout:
                if b"API listen on" in line:
                    break
            follow.kill()

    def stop(self) -> None:
        """End it, and with it its containers."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(START_SECONDS)
            self._process = None
