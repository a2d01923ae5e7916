"""Sensors that fail are tried again, sensors that hang are left behind, and the others are read all the same."""

import threading
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import pytest

from density.host import HostReader, Unavailable, reader
from density.host.reading import Sensor
from density.host.watched import LONGEST_PAUSE_SECONDS, STALE_SECONDS, Watch, Watched

SENSOR_SECONDS = 0.05


class Hanging:
    """A sensor that hangs from now on until it is released, as `statvfs` does on a dead NFS mount."""

    def __init__(self, name: str = "hanging") -> None:
        self.name = name
        self.released = threading.Event()
        self.hangs = False
        self.reads = 0

    def read(self) -> Mapping[str, float]:
        self.reads += 1
        if self.hangs:
            self.released.wait(30)
        return {f"{self.name}.reads_count": float(self.reads)}


class Failing:
    """A sensor that raises what it is told to, as often as it is told to."""

    def __init__(self, error: Exception, times: int) -> None:
        self.error, self.times = error, times

    def read(self) -> Mapping[str, float]:
        self.times -= 1
        if self.times >= 0:
            raise self.error
        return {"ok.count": 1.0}


def host(tmp_path: Path, **sensors: Sensor) -> HostReader:
    """A reader of an empty host with these sensors beside its own, and little patience."""
    made = HostReader(tmp_path, disks={}, watch=Watch(sensor_seconds=SENSOR_SECONDS, sample_seconds=0.5))
    for name, sensor in sensors.items():
        made._add(name, partial(_same, sensor))
    return made


def _same(sensor: Sensor) -> Sensor:
    return sensor


def test_a_sensor_that_hangs_does_not_keep_the_others(tmp_path: Path) -> None:
    """The sample comes back in time, names the sensor, and has what comes before and behind it."""
    (tmp_path / "proc/sys/fs").mkdir(parents=True)
    (tmp_path / "proc/sys/fs/file-nr").write_text("7 0 9\n")
    hanging = Hanging()
    hanging.hangs = True
    made = host(tmp_path, hanging=hanging, ok=Failing(OSError(), 0))
    began = time.monotonic()
    sample = made.sample()
    try:
        assert time.monotonic() - began < 0.4
        assert {"files.open", "ok.count"} <= set(sample.values)
        assert sample.hung["hanging"] >= SENSOR_SECONDS
        assert "no answer" in sample.failures["hanging"]
    finally:
        hanging.released.set()


def test_a_sensor_that_hangs_holds_one_thread_and_is_asked_once(tmp_path: Path) -> None:
    """Ten samples later it was asked no more often, and each of those samples was quick."""
    hanging = Hanging()
    hanging.hangs = True
    made = host(tmp_path, hanging=hanging)
    made.sample()
    try:
        threads = threading.active_count()
        began = time.monotonic()
        for _ in range(10):
            made.sample()
        assert time.monotonic() - began < 10 * SENSOR_SECONDS
        assert threading.active_count() == threads
        assert hanging.reads == 1
    finally:
        hanging.released.set()


def test_a_sensor_that_comes_back_is_read_again(tmp_path: Path) -> None:
    """Once the mount answers, the sensor works as before and its failure is over."""
    hanging = Hanging()
    made = host(tmp_path, hanging=hanging)
    hanging.hangs = True
    assert made.sample().hung
    hanging.hangs = False
    hanging.released.set()
    sample = made.sample()
    deadline = time.monotonic() + 5
    while sample.hung and time.monotonic() < deadline:
        sample = made.sample()
    assert made.sample().values["hanging.reads_count"] >= 2
    assert "hanging" not in made.unavailable()


def test_many_that_hang_do_not_stretch_the_sample(tmp_path: Path) -> None:
    """The sample has a deadline of its own; what it did not reach is said and read by the next."""
    hanging = [Hanging(f"h{number}") for number in range(20)]
    for each in hanging:
        each.hangs = True
    made = host(tmp_path, **{each.name: each for each in hanging}, ok=Failing(OSError(), 0))
    began = time.monotonic()
    first = made.sample()
    try:
        assert time.monotonic() - began < 0.9
        assert "not read" in first.failures["ok"]
        assert any(made.sample().values.get("ok.count") for _ in range(3))
    finally:
        for each in hanging:
            each.released.set()


def test_values_of_a_sensor_that_hangs_go_stale() -> None:
    """Its last values stand for five seconds, so that no ceiling goes missing for a hiccup, and no longer."""
    now = 100.0
    sensor = Watched(Hanging, clock=lambda: now)
    sensor.read(thorough=False)
    now += STALE_SECONDS
    sensor.late("no answer")
    assert sensor.values == {"hanging.reads_count": 1}
    now += 0.1
    sensor.late("no answer")
    assert sensor.values == {}


@pytest.mark.parametrize(
    "error", [Unavailable("gone"), ValueError("many"), OSError(5, "Input/output error"), RuntimeError("a fault")]
)
def test_no_failure_of_a_sensor_is_raised(tmp_path: Path, error: Exception) -> None:
    """Whatever it raises is its reason, and the next sample tries it again."""
    made = host(tmp_path, broken=Failing(error, 1))
    assert str(error.args[-1]) in made.sample().failures["broken"]
    assert made.sample().values["ok.count"] == 1
    assert "broken" not in made.unavailable()


def test_pauses_between_attempts_grow() -> None:
    """None at first, then a second, doubled up to a minute; a success forgets them."""
    now = 0.0
    sensor = Watched(lambda: Failing(Unavailable("gone"), 99), clock=lambda: now)
    pauses = []
    for _ in range(9):
        failed_at = now
        sensor.read(thorough=False)
        while not sensor.is_due(now):
            now += 0.5
        pauses.append(now - failed_at)
    assert pauses == [0, 1, 2, 4, 8, 16, 32, LONGEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS]


def test_each_sensor_has_a_duration(tmp_path: Path) -> None:
    """That of the slow one is what it took."""
    hanging = Hanging()
    hanging.hangs = True
    threading.Timer(0.02, hanging.released.set).start()
    durations = host(tmp_path, hanging=hanging, ok=Failing(OSError(), 0)).sample().durations
    assert durations["hanging"] == pytest.approx(0.02, abs=0.03)
    assert durations["hanging"] > durations["ok"]
    assert set(reader._HOST_SENSORS) <= set(durations)
