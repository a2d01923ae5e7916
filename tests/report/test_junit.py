"""`junit.xml` as programs of CI servers read it."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from junitparser import Error, Failure, JUnitXml, Skipped, TestSuite
from lxml import etree
from support.recorded_runs import PROFILE, RUNS, record, recorded
from support.simulation import simulate

from density.controller.run import Controller
from density.engines.simulated import SimulatedEngine
from density.events import Event, Held, InstanceChanged, StageEntered, TornDown
from density.model import Failure as Ended
from density.model import Phase, Workload
from density.profile.spec import Objectives, Profile, Ramp, Require
from density.report.junit import junit
from density.report.recorded import read_run

SCHEMA = etree.XMLSchema(etree.parse(str(Path(__file__).parent / "junit.xsd")))
LINES = ("connecting", "FATAL: DATABASE_URL is not set")
PLAIN = replace(PROFILE, objectives=Objectives(), require=Require(), ramp=Ramp(start=8, until="safe", max_instances=30))


def _half_died() -> list[Event]:
    """Every second instance of the web dies in the hold; no objective is set."""
    died = Ended("exited", "the instance ended by itself", LINES, exit_code=1)
    events = simulate(PLAIN).events
    (end,) = (event for event in events if isinstance(event, StageEntered) and event.stage == "teardown")
    ready = [each.instance_id for each in events if isinstance(each, InstanceChanged) and each.phase is Phase.READY]
    lost = [InstanceChanged(end.at, one, "web", Phase.LOST, died) for one in ready if one.startswith("web")][::2]
    place = events.index(end)
    return [*events[:place], *lost, *events[place:]]


def _nobodys() -> list[Event]:
    """Most launches fail without a word, far from every ceiling; no objective is set."""
    return simulate(replace(PLAIN, simulated=replace(PLAIN.simulated, failure_share=0.6))).events


def _not_held() -> list[Event]:
    return [
        replace(event, kept=False, missed=("2 instances died",)) if isinstance(event, Held) else event
        for event in simulate(PLAIN).events
    ]


def _left() -> list[Event]:
    return [
        replace(event, left=("container: density-1",)) if isinstance(event, TornDown) else event
        for event in simulate(PLAIN).events
    ]


MORE: Mapping[str, Callable[[], list[Event]]] = {
    "half-died": _half_died,
    "nobody's": _nobodys,
    "not-held": _not_held,
    "left": _left,
    "too-few": lambda: simulate(replace(PLAIN, require=Require(hard=10_000))).events,
}
NAMES = sorted({*RUNS, *MORE})


def _written(name: str, directory: Path) -> Path:
    path = directory / "junit.xml"
    run_dir = recorded(name, directory) if name in RUNS else record(MORE[name](), directory / name)
    path.write_text(junit(read_run(run_dir)), encoding="utf-8")
    return path


def _failed(name: str, directory: Path) -> dict[str, str]:
    """The failed cases, each with its message."""
    root = etree.parse(str(_written(name, directory))).getroot()
    return {
        case.get("name", ""): each.get("message", "") for case in root.iter("testcase") for each in case.iter("failure")
    }


@pytest.mark.parametrize("name", NAMES)
def test_it_is_valid(name: str, tmp_path: Path) -> None:
    """By the schema, in which every outcome that is none of success has a message and a text."""
    SCHEMA.assertValid(etree.parse(str(_written(name, tmp_path))))


def test_the_schema_refuses_an_outcome_without_a_text() -> None:
    """As it was once written: a message alone."""
    bare = '<testsuites><testsuite name="x" tests="1" failures="1" errors="0"><testcase name="a" classname="b">'
    bare += '<failure message="m" type="t"/></testcase></testsuite></testsuites>'
    assert not SCHEMA.validate(etree.fromstring(bare))


@pytest.mark.parametrize("name", NAMES)
def test_junitparser_reads_it(name: str, tmp_path: Path) -> None:
    """The counts are those of its cases, and each outcome has its message as its text too."""
    (suite,) = JUnitXml.fromfile(str(_written(name, tmp_path)))
    assert isinstance(suite, TestSuite)
    found = Counter(type(outcome) for case in suite for outcome in case.result)
    assert suite.tests == len(list(suite))
    assert (suite.failures, suite.errors, suite.skipped) == (found[Failure], found[Error], found[Skipped])
    for case in suite:
        for outcome in case.result:
            assert outcome.message
            assert outcome.text == outcome.message


def test_an_objective_that_a_hold_missed_has_failed(tmp_path: Path) -> None:
    """Round trips are slow in the holds alone; the failure names the count and what was measured."""

    async def slow(controller: Controller, engine: SimulatedEngine) -> None:
        await controller._bus.until(lambda state: state.stage == "hold")
        engine.host.probe_seconds = lambda: 0.9  # type: ignore[method-assign]

    profile = Profile(
        name="test",
        workloads=(Workload(name="web", engine="simulated"),),
        ramp=Ramp(max_instances=30, hold_seconds=30),
        objectives=Objectives(probe_p99_seconds=0.05),
    )
    run = read_run(record(simulate(profile, during=slow).events, tmp_path / "run"))
    suite = etree.fromstring(junit(run).encode())
    (failure,) = suite.findall(".//testcase[@name='slo.probe web']/failure")
    assert "30 instances" in failure.attrib["message"]
    assert "900 ms of 50 ms" in failure.attrib["message"]


def test_too_many_deaths_are_a_failure_where_no_objective_judges_them(tmp_path: Path) -> None:
    """With how many of how many, and what they printed last; what stayed alive has nothing to say."""
    failed = _failed("half-died", tmp_path)
    assert set(failed) == {"web"}
    assert "exited (code 1)" in failed["web"]
    assert LINES[-1] in failed["web"]


def test_launches_that_failed_for_no_known_reason_are_a_failure(tmp_path: Path) -> None:
    """The verdict blames nobody, and no objective of failures is set: nothing else would say that most failed."""
    failed = _failed("nobody's", tmp_path)
    assert any(name.endswith(" launches") for name in failed)


@pytest.mark.parametrize(("name", "case"), [("left", "removed"), ("too-few", "capacity.hard")])
def test_what_went_wrong_fails_its_case(name: str, case: str, tmp_path: Path) -> None:
    """Leftovers, and fewer instances than are required; nothing else fails with them."""
    assert set(_failed(name, tmp_path)) == {case}
