"""All sensors of a host together: one call a second, at a cost that does not grow with the number of instances."""

import threading
import time
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
from density.host.memory import MemorySensor, SwapSensor
from density.host.mounts import MapsSensor, MountsSensor, mount_namespace
from density.host.network import BridgeSensor, DevicesSensor
from density.host.network_tables import backlog_sensor, conntrack_sensor, neighbours_sensor
from density.host.own import OwnSensor
from density.host.pressure import PressureSensor
from density.host.reading import Sample, Sensor
from density.host.seldom import Seldom
from density.host.slice_systemd import manages
from density.host.sockets import AcceptSensor, PortsSensor
from density.host.tasks import tasks_sensor
from density.host.watched import SAMPLE_SECONDS, SharedError, Watch, Watched


class HostReader:
    """Reads the whole host. A sensor that does not work is left out, says why in `unavailable`, and is tried again.

    Sensors are made when they are first read: nothing here touches a file system that may hang.

    Args:
        root: the host's root directory; tests give a recorded one.
        disks: label -> a path on the file system to watch.
        bridges: devices whose ports are counted.
        daemons: name -> pid of the engines' processes.
        slice: where the run's slice is accounted; None without one.
        watch: reads the sensors; tests give one with less patience.
    """

    def __init__(
        self,
        root: Path = Path("/"),
        *,
        disks: Mapping[str, Path],
        bridges: Iterable[str] = (),
        daemons: Mapping[str, int] | None = None,
        slice: SlicePaths | None = None,  # noqa: A002 — the project's word for it
        watch: Watch | None = None,
    ) -> None:
        self._root = root
        self._watch = watch or Watch()
        self._lock = threading.Lock()
        self._sensors: dict[str, Watched] = {}
        self._devices: dict[int, str] = {}
        self._first_disks = frozenset(disks)
        self._mounts: dict[str, str] = {}
        self._units: dict[frozenset[Path], str] = {}
        for name, make in _HOST_SENSORS.items():
            self._add(name, partial(make, root))
        self._add("mounts.host", partial(self._mounts_of, "host", "self"))
        self._add("own", partial(self._limits_of, "own", "self"))
        self._add("tester", partial(ProcessSensor, "tester", "self", root), renew=False)
        self.add_disks(disks)
        if slice is not None:
            self._add("slice", partial(SliceSensor, slice), renew=False)
        self.add_bridges(bridges)
        self.add_daemons(daemons or {})
        if manages(root):
            # It reads all mounts anew whenever one comes, so it may be what slows the host down.
            self._add("daemon.systemd", partial(ProcessSensor, "daemon.systemd", 1, root), renew=False)

    def read(self, *, thorough: bool = False) -> dict[str, float]:
        """The values now, see `sample`."""
        return dict(self.sample(thorough=thorough).values)

    def sample(self, *, thorough: bool = False) -> Sample:
        """The host now; call it from one thread at a time. It comes back within seconds, whatever hangs.

        Args:
            thorough: also what is otherwise read every few seconds only.
        """
        with self._lock:
            sensors = dict(self._sensors)
        now = time.monotonic()
        due = [sensor for sensor in sensors.values() if sensor.is_due(now)]
        for sensor in self._watch.read(due, thorough=thorough):
            sensor.late(f"not read: the sample took longer than {SAMPLE_SECONDS:g} s")
        with self._lock:
            for name, sensor in sensors.items():
                if sensor.shared and self._sensors.get(name) is sensor:
                    del self._sensors[name]
            return _sample(dict(self._sensors))

    def add_bridges(self, devices: Iterable[str]) -> None:
        """Count these bridges' ports from now on."""
        for device in devices:
            self._add(f"network.bridge.{device}", partial(BridgeSensor, device, self._root))

    def add_daemons(self, daemons: Mapping[str, int]) -> None:
        """Watch these processes from now on: name -> pid; a name that is known already gets the new pid.

        What several share, a unit with a limit or a mount namespace, goes by the first one's name.
        """
        for name, pid in daemons.items():
            prefix, root = f"daemon.{name}", self._root
            self._add(prefix, partial(ProcessSensor, prefix, pid, root), renew=False)
            self._add(f"{prefix}.limits", partial(self._limits_of, prefix, pid))
            self._add(f"{prefix}.maps", partial(_maps, prefix, pid, root), renew=False)
            self._add(f"{prefix}.waiting", partial(_waiting, prefix, pid, root), renew=False)
            self._add(f"mounts.{name}", partial(self._mounts_of, name, pid))

    def add_disks(self, disks: Mapping[str, Path]) -> None:
        """Watch the file systems of these paths from now on: label -> path, each file system by one label.

        The first label stays, but those that the reader was made with give way: what an engine fills goes by its name.
        """
        for label, path in disks.items():
            self._add(f"disk.{label}", partial(self._disk, label, path))

    def facts(self) -> dict[str, str | float]:
        """The host's fingerprint, see `density.host.host.facts`."""
        return facts(self._root)

    def unavailable(self) -> dict[str, str]:
        """What the last sample could not read: sensor -> reason."""
        with self._lock:
            return {name: sensor.reason for name, sensor in self._sensors.items() if sensor.reason}

    def _disk(self, label: str, path: Path) -> Sensor:
        sensor = DiskSensor(label, path)
        with self._lock:
            known = self._devices.get(sensor.device, label)
            if known != label:
                if known not in self._first_disks or label in self._first_disks:
                    raise SharedError
                self._sensors.pop(f"disk.{known}", None)
            self._devices[sensor.device] = label
        return sensor

    def _limits_of(self, prefix: str, pid: int | str) -> Sensor:
        sensor = OwnSensor(prefix, pid, self._root)
        if self._units.setdefault(sensor.limited, prefix) != prefix:
            raise SharedError
        return sensor

    def _mounts_of(self, name: str, pid: int | str) -> Sensor:
        if self._mounts.setdefault(mount_namespace(pid, self._root), name) != name:
            raise SharedError
        return _slow(MountsSensor(name, pid, self._root))

    def _add(self, name: str, make: Callable[[], Sensor], *, renew: bool = True) -> None:
        with self._lock:
            self._sensors[name] = Watched(make, renew=renew)


def _sample(sensors: Mapping[str, Watched]) -> Sample:
    now = time.monotonic()
    hung = {name: now - sensor.hung_since for name, sensor in sensors.items() if sensor.hung_since is not None}
    for name, seconds in hung.items():
        sensors[name].late(f"no answer for {seconds:.0f} s")
    return Sample(
        {name: value for sensor in sensors.values() for name, value in sensor.values.items()},
        {name: sensor.seconds for name, sensor in sensors.items()},
        {name: sensor.reason for name, sensor in sensors.items() if sensor.reason},
        hung,
    )


_MAPS_SECONDS = 10.0
_SLOW_SECONDS = 5.0


def _slow(sensor: Sensor) -> Seldom:
    """What seldom decides anything amid a wave: read when the host settles, and now and then."""
    return Seldom(sensor, at_least_seconds=_SLOW_SECONDS)


def _maps(prefix: str, pid: int, root: Path) -> Seldom:
    return Seldom(MapsSensor(prefix, pid, root), at_least_seconds=_MAPS_SECONDS)


def _waiting(prefix: str, pid: int, root: Path) -> Seldom:
    return _slow(AcceptSensor(prefix, pid, root))


_HOST_SENSORS: Mapping[str, Callable[[Path], Sensor]] = {
    "memory": MemorySensor,
    "swap": lambda root: _slow(SwapSensor(root)),
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
}
