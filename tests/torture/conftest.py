"""What `make torture` needs: a tally of faults, and the table of them at the end.

A test makes a fault for real, as often as it says, looks at the host (`support.host_state`) and at the record
(`support.whole_record`), and tells the tally each time:

    tally.add("SIGKILL, native", survived, settled_leftovers(run_id, seconds=45), len(flaws(run_dir)))

It fails when it is over, with everything that was left or lost; so it can go through all its moments first.
"""

from collections.abc import Iterator

import pytest
from support.tables import write_table
from support.tally import TALLY, Fault, Tally

COLUMNS = (
    ("fault", "<56"),
    ("how often", ">9"),
    ("survived", ">9"),
    ("leftovers", ">9"),
    ("lost from the record", ">20"),
)
SKIPPED: list[str] = []
"""Tests of this session that were skipped."""


@pytest.fixture
def tally(request: pytest.FixtureRequest) -> Iterator[Tally]:
    """Rows of the table. Fails the test at its end where something was left, lost, or did not survive."""
    rows = request.config.stash.setdefault(TALLY, {})
    tally = Tally(rows)
    yield tally
    if not tally.mine and request.session.shouldstop is False:
        rows.setdefault(f"{request.node.name}: not made, see the test", Fault(times=1))
    if problems := [f"{fault}: {each}" for fault, row in tally.mine.items() for each in row.problems]:
        pytest.fail("\n".join(problems), pytrace=False)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """A fault that could not be made, as this machine lacks what it needs, is no row of the table and no zero."""
    if report.skipped:
        SKIPPED.append(report.nodeid.rpartition("::")[2])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The table: zeros in its last two columns, or it is wrong."""
    rows = terminalreporter.config.stash.get(TALLY, {})
    if not rows:
        return
    write_table(terminalreporter, "torture", COLUMNS, [_cells(fault, row) for fault, row in rows.items()])
    right = sum(not row.problems for row in rows.values())
    terminalreporter.line(f"{right} of {len(rows)} right")
    if SKIPPED:
        terminalreporter.line(f"not made here: {', '.join(SKIPPED)}")


def _cells(fault: str, row: Fault) -> list[str]:
    cells = [fault, str(row.times), str(row.survived), str(len(row.leftovers)), str(row.lost)]
    return [*cells, "WRONG"] if row.problems else cells
