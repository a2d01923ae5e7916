"""What `make attribution` needs: a run whose verdict is known beforehand, and the table of them at the end.

A test induces one real ceiling, calls `attribute` with the profile and with what the verdict must say, and puts back
whatever it lowered (see `attribution.lowering`).
"""

import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import pytest
from attribution.induced import Expected, Row, judged
from attribution.suite import CLAIMS, ROWS, TOLD, Told
from support.reliability import Claim, miscalibrations, with_odds, written_claims
from support.running import Document, timed_run
from support.tables import write_table

from density.host.reader import HostReader

CALM_SECONDS = 30.0


class Attribute(Protocol):
    """Runs a profile and asserts what its verdict says.

    Args:
        profile: TOML, without the name.
        expect: id of the ceiling that was induced.
        subject: which of several (a daemon, a disk, a user); None: any.
        evidence: patterns; each must be found in a sentence of the evidence.
        fix: what the verdict's fix must contain, such as the name of the knob.
        counts: fewest and most instances at which it may bind.
        within: a command that runs density, such as one that enters a namespace.

    Returns:
        The whole `result.json`.
    """

    def __call__(
        self,
        profile: str,
        *,
        expect: str,
        subject: str | None = None,
        evidence: Sequence[str] = (),
        fix: str,
        counts: tuple[int, int] = (4, 60),
        within: Sequence[str] = (),
    ) -> Document: ...


@pytest.fixture(autouse=True)
def calm() -> None:
    """What else the host does would be taken for the run's: wait until it is idle, but not for ever."""
    sensor = HostReader(disks={})
    end = time.monotonic() + CALM_SECONDS
    sensor.read()
    while time.monotonic() < end:
        time.sleep(2)
        if sensor.read()["cpu.busy_ratio"] < 0.3:
            return


@pytest.fixture
def attribute(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Attribute]:
    """One run; a row of the table, also where the test never came so far."""
    rows = request.config.stash.setdefault(ROWS, [])
    before = len(rows)

    def run(
        profile: str,
        *,
        expect: str,
        subject: str | None = None,
        evidence: Sequence[str] = (),
        fix: str,
        counts: tuple[int, int] = (4, 60),
        within: Sequence[str] = (),
    ) -> Document:
        path = tmp_path / "induced.toml"
        path.write_text(f'name = "induced"\n{profile}')
        expected = Expected(ceiling=expect, subject=subject, evidence=evidence, fix=fix, counts=counts)
        finished = timed_run(path, tmp_path / "runs", within)
        document = finished.document
        row = judged(document, expected, seconds=finished.seconds, problem=finished.problem)
        rows.append(row)
        if row.problems:
            verdict = json.dumps(document.get("verdict"), indent=2)
            failures = [workload["failures"] for workload in document.get("workloads", {}).values()]
            pytest.fail("\n".join([*row.problems, verdict, json.dumps(failures, indent=2)]), pytrace=False)
        return document

    yield run
    if len(rows) == before and request.session.shouldstop is False:
        rows.append(Row(request.node.name, "the run was not made", problems=("see the test",)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The tables: induced ceilings, applications that fail by themselves, and calibration."""
    stash = terminalreporter.config.stash
    induced_table(terminalreporter, stash.get(ROWS, []))
    applications_table(terminalreporter, stash.get(TOLD, []))
    calibration_table(terminalreporter, claimed(stash))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the session where the odds in the table of calibration are not what they claim to be."""
    if any(miscalibrations(with_odds(claimed(session.config.stash)))) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def claimed(stash: pytest.Stash) -> list[Claim]:
    """What every verdict of this session claims, and whether it was right: simulated, induced and applications'."""
    induced = [(row.confidence, row.right) for row in stash.get(ROWS, [])]
    applications = [(row.confidence, row.right) for row in stash.get(TOLD, [])]
    return [*stash.get(CLAIMS, []), *induced, *applications]


def calibration_table(terminal: pytest.TerminalReporter, claims: list[Claim]) -> None:
    """Whether verdicts are right as often as they claim to be, all together."""
    if not claims:
        return
    terminal.section("calibration")
    for line in written_claims(claims):
        terminal.line(line)


def induced_table(terminal: pytest.TerminalReporter, rows: list[Row]) -> None:
    """What was induced, what was named, how sure, at which count."""
    if not rows:
        return
    columns = (("induced", "<22"), ("named", "<40"), ("confidence", ">10"), ("count", ">6"), ("seconds", ">8"))
    cells = [
        [row.induced, row.named, _odds(row.confidence), str(row.count), f"{row.seconds:.1f}", *_mark(row.problems)]
        for row in rows
    ]
    write_table(terminal, "induced ceilings", columns, cells)
    right = sum(not row.problems for row in rows)
    terminal.line(f"{right} of {len(rows)} right")


def applications_table(terminal: pytest.TerminalReporter, rows: list[Told]) -> None:
    """Which application, what the verdict must be, what it was, how sure."""
    if not rows:
        return
    columns = [("application", "<28"), ("wanted", "<20"), ("said", "<34")]
    columns += [("confidence", ">10"), ("count", ">6"), ("seconds", ">8")]
    cells = []
    for row in rows:
        figures = [_odds(row.confidence), str(row.count), f"{row.seconds:.1f}"]
        cells.append([row.application, row.wanted, row.said, *figures, *_mark(row.problems)])
    write_table(terminal, "applications", columns, cells)
    right = sum(not row.problems for row in rows)
    terminal.line(f"{right} of {len(rows)} right")


def _odds(confidence: float | None) -> str:
    return "-" if confidence is None else f"{confidence:.1%}"


def _mark(problems: Sequence[str]) -> list[str]:
    return ["WRONG"] if problems else []
