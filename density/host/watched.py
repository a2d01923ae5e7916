"""Each sensor with a name, a success and a duration: retried where it fails, left behind where it hangs.

All sensors of a sample are read in one thread, one after another, because a hand-over to another thread for each would
cost more than reading them. Where one does not come back (`statvfs` on a dead NFS mount), its thread is left to it and
another goes on with the next: so a sensor holds one thread at most, and is read again once it has come back.
"""

import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from queue import SimpleQueue

from density.host.reading import Sensor, Unavailable
from density.host.seldom import Seldom

SENSOR_SECONDS = 1.0
"""A sensor that has not come back after this long hangs."""
SAMPLE_SECONDS = 3.0
"""The longest that a sample takes, however many sensors hang; those not reached by then are read with the next."""
STALE_SECONDS = 5.0
"""Values of a sensor that hangs are kept for this long; then it has none."""
LONGEST_PAUSE_SECONDS = 60.0
"""Between two attempts at a sensor that fails: none at first, then a second, doubled each time up to this."""


class SharedError(Exception):
    """Another sensor reads the same thing already: this one is not needed."""


class Watched:
    """One sensor and how its readings go.

    Args:
        make: makes the sensor, at its first reading, in the thread that reads.
        renew: whether it is made anew after a failure; not where it counts from its making, or where its process id may
            mean another process by then.

    Attributes:
        values: of its last reading; empty after a failure.
        reason: why the last reading failed; empty where it did not.
        seconds: how long its last reading took.
        hung_since: when the reading began that has not come back.
        shared: it turned out not to be needed.
    """

    def __init__(
        self, make: Callable[[], Sensor], *, renew: bool = True, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._make = make
        self._renew = renew
        self._clock = clock
        self._sensor: Sensor | None = None
        self._failures = 0
        self._retry_at = float("-inf")
        self._read_at = float("-inf")
        self.values: Mapping[str, float] = {}
        self.reason = ""
        self.seconds = 0.0
        self.hung_since: float | None = None
        self.shared = False

    def is_due(self, now: float) -> bool:
        """Whether to read it now: it does not hang, and the pause after its last failure is over."""
        return self.hung_since is None and now >= self._retry_at

    def read(self, *, thorough: bool) -> None:
        """Read it; failures of every kind are kept in `reason`, never raised."""
        began = self._clock()
        try:
            if self._sensor is None:
                self._sensor = self._make()
            if thorough and isinstance(self._sensor, Seldom):
                self._sensor.hurry()
            values = self._sensor.read()
        except SharedError:
            self.shared = True
        except Unavailable as error:
            self._fail(str(error))
        except (ValueError, LookupError, struct.error) as error:
            self._fail(f"this kernel's format is not understood: {error!r}")
        except Exception as error:  # noqa: BLE001 — a fault of one sensor must not end a run
            self._fail(repr(error))
        else:
            self.values, self.reason, self._failures = values, "", 0
            self._read_at = self._clock()
        self.seconds = round(self._clock() - began, 6)

    def late(self, reason: str) -> None:
        """It was not read in time: its last values stand until they are stale."""
        self.reason = reason
        if self._clock() - self._read_at > STALE_SECONDS:
            self.values = {}

    def _fail(self, reason: str) -> None:
        self.values, self.reason = {}, reason
        pause = min(LONGEST_PAUSE_SECONDS, 2.0 ** (self._failures - 1)) if self._failures else 0.0
        self._failures += 1
        self._retry_at = self._clock() + pause
        if self._renew:
            self._sensor = None


class Watch:
    """Reads sensors in a thread of its own, and leaves that thread to the one that does not come back."""

    def __init__(self, *, sensor_seconds: float = SENSOR_SECONDS, sample_seconds: float = SAMPLE_SECONDS) -> None:
        self._sensor_seconds = sensor_seconds
        self._sample_seconds = sample_seconds
        self._worker: _Worker | None = None

    def read(self, sensors: Sequence[Watched], *, thorough: bool) -> Collection[Watched]:
        """Read these; comes back within `sample_seconds`.

        Returns:
            Those that were not reached in that time.
        """
        sample = _Round(sensors, thorough=thorough)
        until = time.monotonic() + self._sample_seconds
        self._hand_over(sample)
        while not sample.done.wait(max(0.0, min(sample.began + self._sensor_seconds, until) - time.monotonic())):
            now = time.monotonic()
            if sample.leave(overdue=now - self._sensor_seconds, over=now >= until):
                self._worker = None
                if now >= until:
                    break
                self._hand_over(sample)
        return sample.remaining()

    def _hand_over(self, sample: "_Round") -> None:
        self._worker = self._worker or _Worker()
        sample.owner = self._worker
        self._worker.rounds.put(sample)

    def __del__(self) -> None:
        if self._worker is not None:
            self._worker.rounds.put(None)


class _Round:
    """The sensors of one sample, and which of them is being read by whom."""

    def __init__(self, sensors: Sequence[Watched], *, thorough: bool) -> None:
        self.thorough = thorough
        self.done = threading.Event()
        self.began = time.monotonic()
        self.owner: _Worker | None = None
        self._lock = threading.Lock()
        self._left = deque(sensors)
        self._current: Watched | None = None

    def next(self, worker: "_Worker", finished: Watched | None) -> Watched | None:
        """What this worker reads next; None where nothing is left, or where it was left behind."""
        with self._lock:
            if finished is not None:
                finished.hung_since = None
            if self.owner is not worker:
                return None
            self.began = time.monotonic()
            self._current = self._left.popleft() if self._left else None
            if self._current is None:
                self.done.set()
            return self._current

    def leave(self, *, overdue: float, over: bool) -> bool:
        """Leave the worker behind if its sensor began at `overdue` or before, or the sample's time is `over`."""
        with self._lock:
            if self.done.is_set() or (self.began > overdue and not over):
                return False
            self.owner = None
            if self._current is not None:
                self._current.hung_since = self.began
            self.began = time.monotonic()
            return True

    def remaining(self) -> Collection[Watched]:
        """Those that nobody began to read."""
        with self._lock:
            return tuple(self._left)


class _Worker:
    """A thread that reads rounds; a daemon one, because a process must be able to end while a sensor hangs."""

    def __init__(self) -> None:
        self.rounds: SimpleQueue[_Round | None] = SimpleQueue()
        threading.Thread(target=self._work, name="density-sensors", daemon=True).start()

    def _work(self) -> None:
        while (sample := self.rounds.get()) is not None:
            sensor: Watched | None = None
            while (sensor := sample.next(self, sensor)) is not None:
                sensor.read(thorough=sample.thorough)
            if sample.owner is not self:
                return
