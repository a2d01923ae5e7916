"""`junit.xml` as programs of CI servers read it."""

from collections import Counter
from pathlib import Path

import pytest
from junitparser import Error, Failure, JUnitXml, Skipped, TestSuite
from lxml import etree
from support.recorded_runs import record, recorded
from support.simulation import simulate

from density.controller.run import Controller
from density.engines.simulated import SimulatedEngine
from density.model import Workload
from density.profile.spec import Objectives, Profile, Ramp
from density.report.junit import junit
from density.report.recorded import read_run

SCHEMA = etree.XMLSchema(etree.parse(str(Path(__file__).parent / "junit.xsd")))
FAST = ["cut-off", "error", "hostile", "last-failed", "objective"]


def _written(name: str, directory: Path) -> Path:
    path = directory / "junit.xml"
    path.write_text(junit(read_run(recorded(name, directory))), encoding="utf-8")
    return path


@pytest.mark.parametrize("name", FAST)
def test_it_is_valid(name: str, tmp_path: Path) -> None:
    """By the schema, in which every outcome that is none of success has a message and a text."""
    SCHEMA.assertValid(etree.parse(str(_written(name, tmp_path))))


def test_the_schema_refuses_an_outcome_without_a_text() -> None:
    """As it was once written: a message alone."""
    bare = '<testsuites><testsuite name="x" tests="1" failures="1" errors="0"><testcase name="a" classname="b">'
    bare += '<failure message="m" type="t"/></testcase></testsuite></testsuites>'
    assert not SCHEMA.validate(etree.fromstring(bare))


@pytest.mark.parametrize("name", FAST)
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
