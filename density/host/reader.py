"""All sensors of a host together: one call a second, at a cost that does not grow with the number of instances."""

import struct
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path

from density.host.census import Census
from density.host.cgroup import SliceSensor
from density.host.cpu import CpuSensor
from density.host.daemons import ProcessSensor
from density.host.disk import DiskSensor
from density.host.files import files_sensor
from density.host.hierarchies import SlicePaths
from density.host.host import facts
from density.host.kernel import PtySensor, aio_sensor, memcg_sensor
from density.host.keys import keys_sensor
from density.host.limits import limits_sensor
from density.host.memory import memory_sensor
from density.host.mounts import MapsSensor, MountsSensor, mount_namespace
from density.host.network import BridgeSensor, DevicesSensor
from density.host.network_tables import backlog_sensor, conntrack_sensor, neighbours_sensor
from density.host.own import OwnSensor
from density.host.pressure import PressureSensor
from density.host.reading import Sensor, Unavailable
from density.host.seldom import Seldom
from density.host.slice_systemd import manages
from density.host.sockets import AcceptSensor, PortsSensor
from density.host.tasks import tasks_sensor


class HostReader:
    """Reads the whole host. Sensors that do not work here are left out and say why in `unavailable`.

    Args:
        root: the host's root directory; tests give a recorded one.
        disks: label -> a path on the file system to watch.
        bridges: devices whose ports are counted.
        daemons: name -> pid of the engines' processes.
        slice: where the run's slice is accounted; None without one.
    """

    def __init__(
        self,
        root: Path = Path("/"),
        *,
        disks: Mapping[str, Path],
        bridges: Iterable[str] = (),
        daemons: Mapping[str, int] | None = None,
        slice: SlicePaths | None = None,  # noqa: A002 — the project's word for it
    ) -> None:
        self._root = root
        self._sensors: dict[str, Sensor] = {}
        self._unavailable: dict[str, str] = {}
        self._devices: dict[int, str] = {}
        self._first_disks: frozenset[str] = frozenset()
        self._mounts = {mount_namespace("self", root): "host"}
        self._units: dict[frozenset[Path], str] = {}
        for name, make in _HOST_SENSORS.items():
            self._add(name, partial(make, root))
        self._share_unit("own", "own")
        self.add_disks(disks)
        self._first_disks = frozenset(disks)
        if slice is not None:
            self._add("slice", partial(SliceSensor, slice))
        self.add_bridges(bridges)
        self.add_daemons(daemons or {})
        if manages(root):
            # It reads all mounts anew whenever one comes, so it may be what slows the host down.
            self._add("daemon.systemd", partial(ProcessSensor, "daemon.systemd", 1, root))

    def read(self, *, thorough: bool = False) -> dict[str, float]:
        """The values now; call it from one thread at a time (a worker thread, once a second).

        Args:
            thorough: also what is otherwise read every few seconds only.
        """
        values: dict[str, float] = {}
        # A copy, for bridges and daemons are added from another thread.
        for name, sensor in list(self._sensors.items()):
            if thorough and isinstance(sensor, Seldom):
                sensor.hurry()
            try:
                values.update(sensor.read())
            except Unavailable as error:
                self._unavailable[name] = str(error)
            except (ValueError, LookupError, struct.error) as error:
                self._unavailable[name] = f"this kernel's format is not understood: {error!r}"
            else:
                self._unavailable.pop(name, None)
        return values

    def add_bridges(self, devices: Iterable[str]) -> None:
        """Count these bridges' ports from now on."""
        for device in devices:
            self._add(f"network.bridge.{device}", partial(BridgeSensor, device, self._root))

    def add_daemons(self, daemons: Mapping[str, int]) -> None:
        """Watch these processes from now on: name -> pid; a name that is known already gets the new pid.

        What several share, a unit with a limit or a mount namespace, goes by the first one's name.
        """
        for name, pid in daemons.items():
            prefix = f"daemon.{name}"
            self._add(prefix, partial(ProcessSensor, prefix, pid, self._root))
            self._add(f"{prefix}.limits", partial(OwnSensor, prefix, pid, self._root))
            self._share_unit(f"{prefix}.limits", prefix)
            self._add(f"{prefix}.maps", partial(_maps, prefix, pid, self._root))
            self._add(f"{prefix}.waiting", partial(_waiting, prefix, pid, self._root))
            if self._mounts.setdefault(mount_namespace(pid, self._root), name) == name:
                self._add(f"mounts.{name}", partial(_mounts, name, pid, self._root))

    def add_disks(self, disks: Mapping[str, Path]) -> None:
        """Watch the file systems of these paths from now on: label -> path, each file system by one label.

        The first label stays, but those that the reader was made with give way: what an engine fills goes by its name.
        """
        for label, path in disks.items():
            device = _device(path)
            if device is not None:
                known = self._devices.get(device, label)
                if known != label and known not in self._first_disks:
                    continue
                self._sensors.pop(f"disk.{known}", None)
                self._devices[device] = label
            self._add(f"disk.{label}", partial(DiskSensor, label, path))

    def facts(self) -> dict[str, str | float]:
        """The host's fingerprint, see `density.host.host.facts`."""
        return facts(self._root)

    def unavailable(self) -> dict[str, str]:
        """What cannot be read at the moment: sensor -> reason."""
        return dict(self._unavailable)

    def _share_unit(self, name: str, process: str) -> None:
        """Leave out a sensor of limits that another process brought already."""
        sensor = self._sensors.get(name)
        if isinstance(sensor, OwnSensor) and self._units.setdefault(sensor.limited, process) != process:
            del self._sensors[name]

    def _add(self, name: str, make: Callable[[], Sensor]) -> None:
        try:
            self._sensors[name] = make()
        except (Unavailable, ValueError, LookupError) as error:
            self._sensors.pop(name, None)
            self._unavailable[name] = str(error)
        else:
            self._unavailable.pop(name, None)


def _device(path: Path) -> int | None:
    """Of the file system that a path is on; None where the path does not exist (yet)."""
    try:
        return path.stat().st_dev
    except OSError:
        return None


_MAPS_SECONDS = 10.0
_SLOW_SECONDS = 5.0


def _slow(sensor: Sensor) -> Seldom:
    """What seldom decides anything amid a wave: read when the host settles, and now and then."""
    return Seldom(sensor, at_least_seconds=_SLOW_SECONDS)


def _maps(prefix: str, pid: int, root: Path) -> Seldom:
    return Seldom(MapsSensor(prefix, pid, root), at_least_seconds=_MAPS_SECONDS)


def _waiting(prefix: str, pid: int, root: Path) -> Seldom:
    return _slow(AcceptSensor(prefix, pid, root))


def _mounts(name: str, pid: int | str, root: Path) -> Seldom:
    return _slow(MountsSensor(name, pid, root))


_HOST_SENSORS: Mapping[str, Callable[[Path], Sensor]] = {
    "memory": memory_sensor,
    "cpu": CpuSensor,
    "tasks": tasks_sensor,
    "files": files_sensor,
    "pressure": PressureSensor,
    "network": DevicesSensor,
    "network.neighbours.v4": lambda root: _slow(neighbours_sensor(root, "v4")),
    "network.neighbours.v6": lambda root: _slow(neighbours_sensor(root, "v6")),
    "network.conntrack": lambda root: _slow(conntrack_sensor(root)),
    "network.backlog": lambda root: _slow(backlog_sensor(root)),
    "network.ports": lambda root: _slow(PortsSensor(root)),
    "limits": lambda root: _slow(limits_sensor(root)),
    "keys": lambda root: _slow(keys_sensor(root)),
    "aio": lambda root: _slow(aio_sensor(root)),
    "ptys": lambda root: _slow(PtySensor(root)),
    "cgroups": lambda root: _slow(memcg_sensor(root)),
    "census": lambda root: _slow(Census(root)),
    "mounts.host": partial(_mounts, "host", "self"),
    "own": lambda root: OwnSensor("own", "self", root),
    "tester": lambda root: ProcessSensor("tester", "self", root),
}
