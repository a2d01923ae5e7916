"""The watchdog: a thread beside the event loop that ends a run when the loop hangs or the host runs dry."""

import os
import threading
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Literal, NoReturn

import anyio

from density.ceilings.catalog import critical_readings
from density.ceilings.reading import Bounds, Reading
from density.log import logger

log = logger(__name__)
PERIOD_SECONDS = 0.5
LATE_SECONDS = 10.0
"""A loop that has not run for so long is not waited for. Drawing, fitting and full disks have come to 2 s at most."""
STOOD_STILL_SECONDS = 2.0
"""A look that is later than its period by so much: the process was stopped, or the machine was suspended or starved,
and the loop with it. It gets all its time again."""
FLOOR = 0.5
"""The share of a reserve below which the host is in danger. The safety stop acts where a reserve is touched."""
LOOKS_BELOW = 2
"""So many looks in a row below the floor are an alarm; one alone may be a moment's peak."""
PATIENCE_SECONDS = 5.0
"""From the alarm until the watchdog acts by itself, where the loop has not taken the alarm."""
TEARDOWN_SECONDS = 15.0
"""The same where it has, and the host is still below its floor."""
GIVE_UP_SECONDS = 120.0
"""From the alarm until the process ends where its loop has not come back: its reaper removes then what is left."""
CUT_SECONDS = 2.0
"""Payloads whose channel was cut have so long to end by themselves."""


def leave() -> None:
    """End this process at once; the record has all but the last second."""
    said = f"error: the event loop has not run for {GIVE_UP_SECONDS:.0f} s: density ends, all instances were killed\n"
    with suppress(OSError):
        os.write(2, said.encode())
    os._exit(1)


@dataclass(frozen=True, slots=True)
class Alarm:
    """Why the run has to end.

    Attributes:
        what: the loop is late, or a reading is below its floor.
        seconds: how late the loop was.
        reading: what is below its floor.
    """

    what: Literal["late", "floor"]
    at: float
    seconds: float = 0.0
    reading: Reading | None = None


@dataclass(slots=True)
class Watchdog:
    """Looks at the loop's beat and at the host, and acts where the loop does not.

    A loop that has taken the alarm and hangs again, in the teardown that began then, is no better than one that never
    took it: it has the same patience, from when it is late again.

    `look` is one look, whoever calls it: a thread (`watching`), or a test by its own clock. Everything here is for any
    thread; only `beating` and `alarmed` belong to the loop. Code that holds Python's lock for long stops this thread
    too: then the payloads' leases run out.

    Attributes:
        read: reads critical ceilings at once.
        bounds: the reserves.
        cut: closes all payloads' channels, so that they end by themselves; says how many there were.
        kill: kills whatever runs in the run's slice; says how many processes there were.
        end: ends this process, where the loop does not come back at all.
        alarm: the first one, from when it was raised on; nothing more is launched then.
        killed: processes that were killed.
    """

    read: Callable[[], Mapping[str, float]]
    bounds: Bounds
    cut: Callable[[], int]
    kill: Callable[[], int]
    end: Callable[[], None] = leave
    clock: Callable[[], float] = time.monotonic
    alarm: Alarm | None = None
    killed: int = 0
    _beaten_at: float = field(default=0.0, init=False)
    _looked_at: float = field(default=0.0, init=False)
    _taken: bool = field(default=False, init=False)
    _away_at: float = field(default=0.0, init=False)
    _cut_at: float | None = field(default=None, init=False)
    _has_been_above: bool = field(default=False, init=False)
    _looks_below: int = field(default=0, init=False)
    _woken: anyio.Event | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self._beaten_at = self._looked_at = self.clock()

    def beat(self) -> None:
        """The loop runs; it takes an alarm by this too."""
        self._beaten_at = self.clock()
        if self.alarm is not None:
            self._taken = True
            if self._woken is not None:
                self._woken.set()

    async def beating(self) -> NoReturn:
        """Beat until cancelled."""
        while True:
            self.beat()
            await anyio.sleep(PERIOD_SECONDS)

    async def alarmed(self) -> Alarm:
        """Wait for an alarm, while `beating` runs."""
        while self.alarm is None:
            self._woken = self._woken or anyio.Event()
            await self._woken.wait()
        return self.alarm

    @contextmanager
    def watching(self) -> Generator[None]:
        """Look from a thread until this is left."""
        over = threading.Event()

        def watch() -> None:
            while not over.wait(PERIOD_SECONDS):
                try:
                    self.look()
                except Exception:
                    log.exception("a look of the watchdog failed")

        self._beaten_at = self._looked_at = self.clock()
        thread = threading.Thread(target=watch, name="density-watchdog", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()

    def look(self) -> None:
        """Look once, and act."""
        now = self.clock()
        if now - self._looked_at > PERIOD_SECONDS + STOOD_STILL_SECONDS:
            self._beaten_at = max(self._beaten_at, now)
            self._away_at = max(self._away_at, now)
        self._looked_at = now
        below = self._below()
        if self.alarm is None:
            self._judge(now, below)
            return
        if self._taken and now - self._beaten_at >= LATE_SECONDS:
            self._taken, self._away_at, self._cut_at = False, now, None
            log.error("the loop hangs again", alarm=self.alarm)
        away = 0.0 if self._taken else now - self._away_at
        if away >= GIVE_UP_SECONDS:
            self.end()
        elif away >= PATIENCE_SECONDS or (below and now - self.alarm.at >= TEARDOWN_SECONDS):
            self._act(now)

    def _below(self) -> Reading | None:
        """What has been below its floor for some looks; one that always was is for the ramp to judge."""
        found = [each for each in critical_readings(self.read(), self.bounds) if each.room < -FLOOR * each.reserve]
        self._has_been_above = self._has_been_above or not found
        self._looks_below = self._looks_below + 1 if found else 0
        return found[0] if self._has_been_above and self._looks_below >= LOOKS_BELOW else None

    def _judge(self, now: float, below: Reading | None) -> None:
        late = now - self._beaten_at
        self._away_at = now
        if below:
            self.alarm = Alarm("floor", now, late, below)
        elif late >= LATE_SECONDS:
            self.alarm = Alarm("late", now, late)

    def _act(self, now: float) -> None:
        """Let payloads end by themselves first, which needs nothing of the host; then kill what is in the slice."""
        if self._cut_at is None:
            self._cut_at = now
            connections = self.cut()
            log.error("the watchdog cut the payloads' channels", connections=connections, alarm=self.alarm)
        elif now - self._cut_at >= CUT_SECONDS and (killed := self.kill()):
            self.killed += killed
            log.error("the watchdog killed what was in the slice", processes=killed, alarm=self.alarm)
