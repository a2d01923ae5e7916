"""Sensors whose reading grows with what is on the host, read so seldom that their share of the time does not."""

import time
from collections.abc import Callable, Mapping

from density.host.reading import Sensor

SHARE = 1 / 100
"""The part of the time that one such sensor may take."""


class Seldom:
    """A sensor that goes on telling its last values until it may be read again.

    That is after 100 times as long as its last reading took: a cheap one is read at every sample, and one that takes
    50 ms every five seconds.

    Args:
        sensor: the costly one.
        at_least_seconds: between two readings, for what need not be known every second; `hurry` sets it aside once.
        clock: seconds; tests give their own.
    """

    def __init__(
        self, sensor: Sensor, *, at_least_seconds: float = 0.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._sensor = sensor
        self._at_least_seconds = at_least_seconds
        self._clock = clock
        self._due = float("-inf")
        self._allowed = float("-inf")
        self._values: Mapping[str, float] = {}

    def read(self) -> Mapping[str, float]:
        """The values as last read.

        Raises:
            Unavailable: the sensor's own.
        """
        began = self._clock()
        if began >= self._due:
            self._values = self._sensor.read()
            self._allowed = began + (self._clock() - began) / SHARE
            self._due = max(self._allowed, began + self._at_least_seconds)
        return self._values

    def hurry(self) -> None:
        """Be due as soon as the share of the time allows it."""
        self._due = self._allowed
