"""The record of a run: every event, whole and in order, in one SQLite file."""

from density.record.reader import read_events, replay
from density.record.writer import RecordWriter

__all__ = ["RecordWriter", "read_events", "replay"]
