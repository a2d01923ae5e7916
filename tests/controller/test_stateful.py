"""Runs that begin, go on, crash and are cleaned up in any order, on the real bus, fold, record, locks and clean-up."""

from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test
from support.machine import Runs


def test_whatever_happens_to_runs() -> None:
    """Counts add up, an instance ends once, a record opens after a crash, and clean finds exactly what is left."""
    run_state_machine_as_test(Runs, settings=settings(max_examples=20, stateful_step_count=25, deadline=None))
