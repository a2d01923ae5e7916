"""When a launch would have been due, had the engine kept its pace: the start of every instance's clock."""

from dataclasses import dataclass

WINDOW = 32
"""Launches after which the pace is measured anew: a host that slows down as it fills is not a stalled one."""


@dataclass(slots=True)
class Pace:
    """The pace at which an engine lets launches in.

    With as many launches in flight as the engine takes, the next one waits for a free place. A clock started at that
    place would hide a stall from every launch that was due during it (coordinated omission), so each one's clock starts
    when it was due at the pace of the last WINDOW launches, and never later than its place came free.
    """

    _interval: float = 0.0
    _anchor: float | None = None
    _count: int = 0

    def due(self, now: float) -> float:
        """The intended time (seconds) of a launch whose place came free `now`."""
        if self._anchor is None:
            self._anchor, self._count = now, 0
        intended = min(now, self._anchor + self._count * self._interval) if self._interval else now
        self._count += 1
        if self._count >= WINDOW:
            self._interval = (now - self._anchor) / (self._count - 1)
            self._anchor, self._count = now, 1
        return intended

    def pause(self) -> None:
        """Nothing is due for a while; the next launch starts the schedule again at the known pace."""
        self._anchor = None
