"""The record of a run: every event, whole and in order, in one SQLite file."""

from density.record.reader import read_events, replay
from density.record.writer import RecordWriter

__all__ = ["RECORD_NAME", "RecordWriter", "read_events", "replay"]

RECORD_NAME = "run.sqlite"
"""Name of the record in a run's directory."""
