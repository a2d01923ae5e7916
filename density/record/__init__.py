"""The record of a run: every event, whole and in order, in one SQLite file."""

from density.record.reader import Follower, read_events, replay
from density.record.writer import Extent, RecordWriter

__all__ = ["Extent", "Follower", "RecordWriter", "read_events", "replay"]
