"""What a run is about to create, on disk before anything is asked for: by this, whatever dies is found and removed.

One small JSON file a run, `intents/RUN.json` in density's state directory, which survives a reboot. It is there from
before the first side effect until everything is known to be gone: a file whose run's lock is not held names a run that
died, or that could not remove everything. Everything else follows from the run id: see `Intent`.
"""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from density.controller.engines import libvirt_uri
from density.controller.paths import state_dir
from density.errors import DensityError, UsageError
from density.host.slice import slice_name
from density.model import EngineName, object_name
from density.places import own_directory
from density.profile.spec import Endpoints, Profile

FORMAT = 1
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_ENDING = ".json"
NEW = ".new"
"""Ending of one that is being written."""
_DOCKER = "unix:///var/run/docker.sock"


@dataclass(frozen=True, slots=True)
class Place:
    """An engine, and where it is asked; a plain process has no endpoint."""

    engine: EngineName
    endpoint: str = ""

    @property
    def endpoints(self) -> Endpoints:
        """As an engine is made with."""
        if self.engine == "docker":
            return Endpoints(docker=self.endpoint)
        return Endpoints(libvirt=self.endpoint) if self.engine == "libvirt" else Endpoints()


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """What one run may create, from now on until its file is gone.

    Attributes:
        places: every engine that the run may ask for something, with its endpoint; none for a simulated host.
        directories: of the run alone, with sockets, overlays, copies of guests and containers' roots; they may not
            exist yet, or no longer.
        run_dir: where its results are, for good; nothing in there is a leftover.
        names: how the names of all its containers, images and domains begin.
        slice: the name of its cgroup in every hierarchy, without `.partition` or (systemd) `.slice`.
        lease_seconds: how long what it made may live on once it is dead.
        pid, boot_id: the process that began it, and the boot of the host: after a reboot no process, domain, cgroup or
            socket of it is there any more, but containers and files are.
        wall: UNIX seconds when it was written.
        format: of this file.
    """

    run_id: str
    places: tuple[Place, ...]
    directories: tuple[Path, ...]
    run_dir: Path
    names: str
    slice: str
    lease_seconds: float
    pid: int
    boot_id: str
    wall: float
    format: int = FORMAT


_INTENT: TypeAdapter[Intent] = TypeAdapter(Intent)


def intent_of(
    profile: Profile, *, run_id: str, run_dir: Path, directories: Sequence[Path], beside: Sequence[Place] = ()
) -> Intent:
    """What a run of this profile may create; endpoints as the engines themselves find them.

    Args:
        beside: places that the profile does not name.
    """
    where = dict(zip(("docker", "libvirt"), endpoints_asked(profile.endpoints), strict=True))
    places = tuple(Place(name, where.get(name, "")) for name in profile.engines if name != "simulated")
    return Intent(
        run_id=run_id,
        places=(*places, *beside),
        directories=tuple(directories),
        run_dir=run_dir.absolute(),
        names=object_name(run_id, ""),
        slice=slice_name(run_id),
        lease_seconds=profile.lease_seconds,
        pid=os.getpid(),
        boot_id=_BOOT_ID.read_text(encoding="ascii").strip(),
        wall=time.time(),
    )


def endpoints_asked(endpoints: Endpoints) -> tuple[str, str]:
    """Those of Docker and of libvirt that these endpoints come to, as the engines themselves find them."""
    docker = endpoints.docker or os.environ.get("DOCKER_HOST") or _DOCKER
    return docker, libvirt_uri(endpoints.libvirt)


def intent_path(run_id: str) -> Path:
    """Where a run's intent is, or would be."""
    return state_dir() / "intents" / f"{run_id}{_ENDING}"


def declare(intent: Intent) -> None:
    """Write it, so that it is still there after a crash of the host. Blocks.

    Raises:
        UsageError: it cannot be written, so nothing may be created.
    """
    path = intent_path(intent.run_id)
    new = path.with_suffix(NEW)
    try:
        own_directory(path.parent, 0o700)
        with new.open("wb") as file:
            file.write(_INTENT.dump_json(intent, indent=1))
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
        _keep(path.parent)
    except OSError as error:
        where = "" if os.geteuid() == 0 else "; XDG_STATE_HOME says where else"
        raise UsageError(f"{path} cannot be written: {error.strerror}; nothing was started{where}") from error


def read_intent(path: Path) -> Intent:
    """One that was declared. Blocks.

    Raises:
        DensityError: it cannot be read, or is none of this version's; the file's name is the run id all the same.
    """
    try:
        return _INTENT.validate_json(path.read_bytes())
    except OSError as error:
        raise DensityError(f"{path} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise DensityError(f"{path} is no intent that this version reads: {where}: {first['msg']}") from error


def declared() -> dict[str, Path]:
    """Every intent on this host, sorted: run id -> file; of runs that are alive, too. Blocks."""
    try:
        return {path.stem: path for path in sorted(intent_path("").parent.glob(f"*{_ENDING}"))}
    except OSError:
        return {}


def fulfil(run_id: str) -> None:
    """Everything of this run is known to be gone; nothing happens where that was known before. Blocks."""
    intent_path(run_id).unlink(missing_ok=True)


def _keep(directory: Path) -> None:
    """Have the kernel write a directory's entries to the disk."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
