"""What costs more is read less often: time shares, mounts, maps, and questions about sockets."""

import os
import socket
import struct
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from density.host import HostReader
from density.host.mounts import MapsSensor, MountsSensor, mount_namespace
from density.host.reading import Unavailable
from density.host.seldom import Seldom
from density.host.sockets import AcceptSensor, PortsSensor, parse_queue


class Costly:
    """A sensor that counts its readings, each of which takes some seconds of a clock that it moves itself."""

    def __init__(self, *, seconds: float) -> None:
        self.now = 0.0
        self.seconds = seconds
        self.readings = 0

    def read(self) -> Mapping[str, float]:
        self.now += self.seconds
        self.readings += 1
        return {"readings": float(self.readings)}


def readings_in(sensor: Costly, *, seconds: float, at_least_seconds: float = 0.0) -> int:
    """How often it was really read, asked once a second for so long."""
    seldom = Seldom(sensor, at_least_seconds=at_least_seconds, clock=lambda: sensor.now)
    for second in range(int(seconds)):
        sensor.now = max(sensor.now, float(second))
        assert seldom.read() == {"readings": sensor.readings}
    return sensor.readings


def test_a_cheap_sensor_is_read_every_time() -> None:
    """A millisecond a second is within its share."""
    assert readings_in(Costly(seconds=0.001), seconds=100) == 100


def test_a_costly_sensor_takes_a_hundredth_of_the_time() -> None:
    """100 ms each: every ten seconds, and its last values in between."""
    assert readings_in(Costly(seconds=0.1), seconds=100) == 10


def test_slow_changes_are_not_looked_for_each_second() -> None:
    """A period of its own holds also for what is cheap."""
    assert readings_in(Costly(seconds=0.001), seconds=100, at_least_seconds=20) == 5


def test_hurrying_sets_the_period_aside_but_not_the_share() -> None:
    """While the host settles each sample is fresh, as long as that stays within a hundredth of the time."""
    sensor = Costly(seconds=0.1)
    seldom = Seldom(sensor, at_least_seconds=60, clock=lambda: sensor.now)
    for second in range(30):
        sensor.now = max(sensor.now, float(second))
        seldom.hurry()
        seldom.read()
    assert sensor.readings == 3


def test_mounts_of_this_host_are_counted() -> None:
    """As many as there are lines, and none is read again while nothing is mounted."""
    sensor = MountsSensor("host", "self", Path("/"))
    lines = Path("/proc/self/mountinfo").read_text().count("\n")
    assert sensor.read() == {"mounts.host.count": lines}


@pytest.mark.root
def test_a_mount_more_is_seen() -> None:
    """In a mount namespace of its own, which is that of a daemon here; the host's has no more than before."""
    script = "echo; read x; mount -t tmpfs none /mnt; echo; read x"
    command = ["unshare", "--mount", "sh", "-c", script]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        assert mount_namespace(process.pid, Path("/")) != mount_namespace("self", Path("/"))
        sensor = MountsSensor("d", process.pid, Path("/"))
        before = sensor.read()["mounts.d.count"]
        print(file=process.stdin, flush=True)
        process.stdout.readline()
        assert sensor.read() == {"mounts.d.count": before + 1}
        print(file=process.stdin, flush=True)


def test_maps_of_this_process_are_counted() -> None:
    """A process has some maps, and nothing is said of one that is gone."""
    assert MapsSensor("p", os.getpid(), Path("/")).read()["p.maps_count"] > 10
    with pytest.raises(Unavailable):
        MapsSensor("p", 2**22 + 1, Path("/"))


def test_a_port_that_listens_is_counted() -> None:
    """One that the kernel gave out is in the range that it gives out."""
    sensor = PortsSensor(Path("/"))
    with socket.create_server(("127.0.0.1", 0)):
        values = sensor.read()
    assert 1 <= values["network.ports.used_count"] < values["network.ports.limit"]


def test_connections_that_wait_are_counted() -> None:
    """Three clients of a daemon that accepts none, and its limit as it was set."""
    with tempfile.TemporaryDirectory() as directory, socket.socket(socket.AF_UNIX) as server:
        server.bind(f"{directory}/s")
        server.listen(5)
        sensor = AcceptSensor("daemon.x", os.getpid(), Path("/"))
        clients = [socket.socket(socket.AF_UNIX) for _ in range(3)]
        try:
            for client in clients:
                client.connect(f"{directory}/s")
            assert sensor.read() == {"daemon.x.waiting_count": 3, "daemon.x.waiting_limit": 5}
        finally:
            for client in clients:
                client.close()


def test_an_answer_that_comes_too_late_is_not_taken_for_the_next(tmp_path: Path) -> None:
    """Each answer of the kernel belongs to its question: what an earlier one got after its time is dropped."""
    with socket.socket(socket.AF_UNIX) as small, socket.socket(socket.AF_UNIX) as large:
        for server, backlog in ((small, 5), (large, 50)):
            server.bind(str(tmp_path / str(backlog)))
            server.listen(backlog)
        sensor = AcceptSensor("x", os.getpid(), Path("/"))
        diag = sensor._diag

        def question(server: socket.socket) -> bytes:
            return struct.pack(
                "=BBHIIIII", socket.AF_UNIX, 0, 0, 2**32 - 1, os.fstat(server.fileno()).st_ino, 16, *[2**32 - 1] * 2
            )

        receive = diag._socket
        diag._socket = Deaf(receive)  # type: ignore[assignment]
        with pytest.raises(Unavailable):
            diag.ask(question(small))
        diag._socket = receive
        assert [parse_queue(answer) for answer in diag.ask(question(large))] == [(0, 50)]
        assert [parse_queue(answer) for answer in diag.ask(question(small))] == [(0, 5)]


class Deaf:
    """A socket on which answers wait unread, as when the host stood still for longer than the time-out."""

    def __init__(self, real: socket.socket) -> None:
        self.send = real.send

    def recv(self, size: int) -> bytes:
        raise TimeoutError(f"nothing of {size} bytes")


def test_every_sensor_of_this_host_works_or_says_why() -> None:
    """Whatever this kernel lacks, the rest is read."""
    reader = HostReader(disks={}, daemons={"self": os.getpid()})
    values = reader.read()
    assert values["daemon.self.maps_count"] > 0
    assert all(reader.unavailable().values())
