"""The host: its sensors, and the slice of it that a run may use."""

from density.host.hierarchies import SlicePaths
from density.host.placing import place
from density.host.reader import HostReader
from density.host.reading import Sensor, Unavailable
from density.host.slice import Slice, remove_stale
from density.host.slice_limits import SliceUnavailable

__all__ = [
    "HostReader",
    "Sensor",
    "Slice",
    "SlicePaths",
    "SliceUnavailable",
    "Unavailable",
    "place",
    "remove_stale",
]
