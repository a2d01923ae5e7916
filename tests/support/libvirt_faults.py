"""What may befall libvirtd and its VMs in the middle of a run, made for real on a libvirtd beside the host's own."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from support.libvirtd import libvirtd, restarted
from support.running import RUN_SECONDS, Finished, finished, run_directory, started

from density.host.processes import command_lines, domain_behind
from density.payload.guests.bootsector import SAYS, boot_image

STAGE_SECONDS = 120.0
_LOOK_SECONDS = 0.02
PROFILE = """
name = "faults"
[ramp]
shape = "linear"
start = 3
step = 3
max = 6
settle = "500ms"
hold = "3s"
calibrate = 1
[objectives]
tester_lag = "off"
[engines]
libvirt = "{uri}"
[workloads.vm]
engine = "libvirt"
guest = "null"
accelerator = "tcg"
"""


@dataclass(frozen=True, slots=True)
class Scene:
    """A run on a libvirtd of its own.

    Attributes:
        directory: of that libvirtd's sockets and pid files.
        uri: of it.
        run_dir: of the run.
        process: density's.
    """

    directory: Path
    uri: str
    run_dir: Path
    process: "subprocess.Popen[str]"

    @property
    def run_id(self) -> str:
        """Of the run."""
        return self.run_dir.name

    def daemon(self) -> int:
        """Pid of the libvirtd."""
        return int((self.directory / "libvirtd.pid").read_text())

    def virsh(self, *words: str) -> None:
        """As someone else does it by libvirt; the name of a domain is `DOMAIN`."""
        names = sorted(processes(self.run_id))
        done = [names[-1] if word == "DOMAIN" else word for word in words]
        subprocess.run(["virsh", "-q", "-c", self.uri, *done], check=True, capture_output=True, timeout=30)

    def define(self) -> None:
        """The newest VM, which would outlive its process then."""
        name = max(processes(self.run_id))
        said = subprocess.run(["virsh", "-c", self.uri, "dumpxml", name], check=True, capture_output=True, timeout=30)
        path = self.directory / "defined.xml"
        path.write_bytes(said.stdout)
        self.virsh("define", str(path))
        path.unlink()

    def kill(self) -> None:
        """The newest VM's process."""
        name, pid = max(processes(self.run_id).items())
        assert name
        os.kill(pid, signal.SIGKILL)


def greeting_image() -> bytes:
    """A disk image that boots and says `disk is here!` on its console; the null guest's own word is the payload's."""
    greeting = b"disk is here!"
    assert len(greeting) == len(SAYS)
    return boot_image().replace(SAYS.encode(), greeting)


def processes(run_id: str) -> Mapping[str, int]:
    """The VMs of a run that run, whoever started them: name -> pid."""
    found = ((domain_behind(words), pid) for pid, words in command_lines())
    return {name: pid for name, pid in found if name.startswith(f"density-{run_id}-")}


def await_stage(run_dir: Path, stage: str) -> None:
    """Wait until a run has come to this stage, by its log."""
    deadline = time.monotonic() + STAGE_SECONDS
    while time.monotonic() < deadline:
        log = run_dir / "density.log"
        if log.exists() and f"stage={stage}" in log.read_text():
            return
        time.sleep(_LOOK_SECONDS)
    raise AssertionError(f"no stage {stage} within {STAGE_SECONDS:.0f} s: {log.read_text()}")


Fault = Callable[[Scene], None]


def stopped(seconds: float) -> Fault:
    """The daemon stands still for so long."""

    def fault(scene: Scene) -> None:
        pid = scene.daemon()
        os.kill(pid, signal.SIGSTOP)
        try:
            time.sleep(seconds)
        finally:
            os.kill(pid, signal.SIGCONT)

    return fault


def killed(scene: Scene) -> None:
    """The daemon is gone for good."""
    os.kill(scene.daemon(), signal.SIGKILL)


def killed_and_restarted(scene: Scene) -> None:
    """The daemon is gone, and another one takes its place until the run is over."""
    os.kill(scene.daemon(), signal.SIGKILL)
    with restarted(scene.directory):
        scene.process.wait(timeout=RUN_SECONDS)


@contextmanager
def scene(directory: Path, tmp_path: Path, *, profile: str = PROFILE) -> Iterator[Scene]:
    """A run that has just begun, on a libvirtd of its own; both are over when this is left."""
    runs = tmp_path / "runs"
    with libvirtd(directory) as uri:
        path = tmp_path / "faults.toml"
        path.write_text(profile.format(uri=uri))
        with started(path, runs) as process:
            run_dir = run_directory(runs)
            assert run_dir is not None, process.communicate()
            yield Scene(directory, uri, run_dir, process)


def befallen(scene: Scene, stage: str, fault: Fault) -> Finished:
    """How the run ended that this befell at this stage."""
    await_stage(scene.run_dir, stage)
    fault(scene)
    return finished(scene.process)
