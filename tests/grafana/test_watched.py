"""A real Prometheus watches a run, and every panel and alert shows what the run's own result says."""

import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from grafana.test_alerts import rules
from grafana.watching import Watched, imported, watched, watching
from support.addresses import free_address

from grafana.look.answers import Cell, rows
from grafana.look.dashboards import Asked, load, of_annotations, of_panel
from grafana.look.pictures import hold, pictures
from grafana.look.prometheus import Prometheus, Series

pytestmark = pytest.mark.tools("prometheus")
SIMULATED = [
    "simulated", "--until", "failure",
    "--set", "slice.tasks=200",  # full at 15 instances, and the next one fails
    "--set", "simulated.failures=0%",
    "--set", "simulated.launch=60ms",
    "--set", "ramp.start=3",
    "--set", "ramp.factor=1.5",
    "--set", "ramp.calibrate=0",
    "--set", "ramp.settle=1s",
    "--set", "ramp.hold=7s",  # longer than it takes to raise alarm
]  # fmt: skip
SMALL = str(Path(__file__).parent / "small.toml")
OF_A_VERDICT = {"Verdict", "Confidence of the verdict", "What to change", "What stopped it"}
"""Panels that are empty where the run named no ceiling."""
OF_A_FAILURE = {"Failures by kind"}
DOCUMENTS = load()


@pytest.fixture(scope="module")
def targets() -> Mapping[str, str]:
    """Where the runs serve their metrics."""
    return {"simulated": free_address(), "docker": free_address()}


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory, targets: Mapping[str, str]) -> Iterator[Prometheus]:
    """One Prometheus for both runs."""
    with watching(tmp_path_factory.mktemp("prometheus"), list(targets.values())) as found:
        yield found


@pytest.fixture(scope="module")
def simulated(
    tmp_path_factory: pytest.TempPathFactory, prometheus: Prometheus, targets: Mapping[str, str]
) -> Iterator[Watched]:
    """A simulated run that ends at a full slice."""
    with watched(tmp_path_factory.mktemp("simulated"), SIMULATED, prometheus, targets["simulated"]) as run:
        yield run


@pytest.fixture(scope="module")
def docker(
    tmp_path_factory: pytest.TempPathFactory, prometheus: Prometheus, targets: Mapping[str, str]
) -> Iterator[Watched]:
    """At most 22 real containers."""
    with watched(tmp_path_factory.mktemp("docker"), [SMALL], prometheus, targets["docker"]) as run:
        yield run


@pytest.fixture(params=["simulated", pytest.param("docker", marks=pytest.mark.docker)], scope="module")
def run(request: pytest.FixtureRequest) -> Watched:
    """Either of them."""
    found: Watched = request.getfixturevalue(request.param)
    return found


def held(run: Watched, uid: str, title: str) -> list[list[Cell]]:
    """The rows of a table, where it compares runs those of this one."""
    (panel,) = (panel for panel in DOCUMENTS[uid]["panels"] if panel["title"] == title)
    found = rows(panel, hold(panel, run.prometheus, run.window, run.run_id))[1]
    return [row for row in found if row[0] == run.run_id] if uid == "density-capacity" else found


def shown(run: Watched, uid: str, title: str) -> list[Series]:
    """The series of a panel with one query."""
    (panel,) = (panel for panel in DOCUMENTS[uid]["panels"] if panel["title"] == title)
    ((_, series),) = hold(panel, run.prometheus, run.window, run.run_id)
    return list(series)


def failed(run: Watched) -> int:
    """Launches that failed."""
    return sum(workload["failed"] for workload in run.result["workloads"].values())


def without_data(run: Watched, uid: str, prometheus: Prometheus | None = None) -> set[str]:
    """Titles of panels of which some query, as it stands in the JSON, finds nothing."""
    return {
        asked.title
        for panel in DOCUMENTS[uid]["panels"]
        for asked in of_panel(panel)
        if not (prometheus or run.prometheus).ask(asked, run.window, run.run_id)
    }


@pytest.mark.parametrize("uid", sorted(DOCUMENTS.keys() - {"density-host"}))
def test_every_panel_has_data(run: Watched, uid: str) -> None:
    """Each query of each panel finds something, but for verdicts and failures of a run that had none."""
    expected = (set() if run.result["verdict"] else OF_A_VERDICT) | (set() if failed(run) else OF_A_FAILURE)
    assert without_data(run, uid) == expected & {panel["title"] for panel in DOCUMENTS[uid]["panels"]}


@pytest.mark.docker
def test_every_panel_of_the_host_has_data(docker: Watched) -> None:
    """A simulated host has no daemons, disks or pressure; this one has."""
    assert without_data(docker, "density-host") == set()


def test_workloads_are_those_of_the_result(run: Watched) -> None:
    """What the Ramp dashboard counts for each workload is what `result.json` says."""
    columns = ("peak", "launched", "failed", "lost")
    counts = {str(row[0]): row[2:6] for row in held(run, "density-ramp", "Workloads")}
    assert counts == {
        name: [workload[column] for column in columns] for name, workload in run.result["workloads"].items()
    }


def test_failures_are_those_of_the_result(run: Watched) -> None:
    """By kind, over all workloads."""
    expected: dict[str, int] = {}
    for workload in run.result["workloads"].values():
        for failure in workload["failures"]:
            expected[failure["kind"]] = expected.get(failure["kind"], 0) + failure["count"]
    found = shown(run, "density-ramp", "Failures by kind")
    assert {series.labels["kind"]: series.last for series in found} == expected


def test_capacities_are_those_of_the_result(run: Watched) -> None:
    """The three numbers of the run, in the bars and in the table of runs."""
    expected = [run.result["capacity"][kind]["count"] for kind in ("hard", "slo", "recommended")]
    assert held(run, "density-capacity", "Capacity of each run") == [[run.run_id, *expected]]
    (row,) = held(run, "density-capacity", "Runs")
    assert (row[0], row[1], row[5:8]) == (run.run_id, run.result["profile"], expected)
    assert isinstance(row[3], float)
    assert isinstance(row[4], float)
    assert row[3] == pytest.approx(run.result["started"] * 1000)
    assert 0 <= row[4] / 1000 - run.result["started"] <= time.time() - run.window.start


def test_the_verdict_is_that_of_the_result(run: Watched) -> None:
    """Which ceiling it was, how sure that is, and what to change."""
    verdict = run.result["verdict"]
    found = shown(run, "density-ceilings", "Verdict")
    names = [(series.labels["ceiling"], series.labels.get("subject", "")) for series in found]
    assert names == ([(verdict["ceiling"], verdict["subject"])] if verdict else [])
    if verdict:
        (row,) = held(run, "density-capacity", "What stopped it")
        assert row[:3] == [run.run_id, verdict["ceiling"], verdict["subject"] or None]
        assert row[3] == pytest.approx(verdict["confidence"])
        assert held(run, "density-ceilings", "What to change") == [[verdict["resource"], verdict["fix"]]]


def test_footprints_are_those_of_the_result(run: Watched) -> None:
    """Every cost shown is the result's, and every cost of the result that is more than noise is shown."""
    found: dict[tuple[Cell, Cell], Cell] = {}
    for title in ("Bytes of one instance", "Other costs of one instance"):
        found |= {(row[1], row[2]): row[3] for row in held(run, "density-capacity", title)}
    expected = {
        (name, resource): cost["value"]
        for name, workload in run.result["workloads"].items()
        for resource, cost in workload["footprint"].items()
        if cost["value"] is not None and cost["value"] >= (1 if cost["unit"] == "bytes" else 0.001)
    }
    assert found == pytest.approx(expected)


def test_waves_are_marked_one_by_one(run: Watched) -> None:
    """Each wave that a scrape met is a region with its number, and they come in order."""
    waves = {int(series.labels["wave"]): series for series in _annotation(run, "Waves")}
    assert waves
    assert sorted(waves) == list(range(min(waves), max(waves) + 1))
    starts = [waves[number].times[0] for number in sorted(waves)]
    assert starts == sorted(starts)


def test_every_alert_is_evaluated_and_finds_its_metrics(run: Watched) -> None:
    """No rule is in error, and each metric in it was there at some time, if the host has such things."""
    groups = run.prometheus.get("rules")["groups"]
    known = {rule["name"]: rule for group in groups for rule in group["rules"]}
    assert {rule["alert"] for rule in rules()} == set(known)
    assert {name: rule.get("lastError") for name, rule in known.items() if rule["health"] == "err"} == {}
    absent = {name for rule in rules() for name in _metrics(rule) if not _ever(run, name)}
    assert absent <= ({name for name in absent if "_host_" in name} if "simulated" in run.result["host"] else set())


def test_failing_launches_and_a_full_slice_raise_alarm(simulated: Watched) -> None:
    """What the simulated run runs into is told as it goes, and marked on every graph."""
    told = {series.labels["alertname"] for series in _annotation(simulated, "Alerts")}
    assert {"DensityLaunchesFailing", "DensityCeilingNear"} <= told
    assert "DensityRunGone" not in told


def test_a_run_of_the_past_fills_the_same_panels(simulated: Watched, tmp_path: Path) -> None:
    """Brought into a Prometheus from its record alone, without the labels that a scrape gives."""
    with imported(tmp_path, simulated) as prometheus:
        for uid in DOCUMENTS.keys() - {"density-host"}:
            assert without_data(simulated, uid, prometheus) == set()


def test_pictures_are_drawn_of_what_panels_hold(simulated: Watched, tmp_path: Path) -> None:
    """One for each dashboard, whatever its panels hold."""
    paths = pictures(DOCUMENTS, simulated.prometheus, simulated.window, simulated.run_id, tmp_path)
    assert sorted(path.stem for path in paths) == sorted(DOCUMENTS)
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in paths)


def _annotation(run: Watched, name: str) -> list[Series]:
    (asked,) = (asked for asked in of_annotations(DOCUMENTS["density-ramp"]) if asked.title == name)
    return run.prometheus.ask(asked, run.window, run.run_id)


def _metrics(rule: Mapping[str, Any]) -> set[str]:
    return set(re.findall(r"density_\w+", rule["expr"]))


def _ever(run: Watched, name: str) -> list[Series]:
    return run.prometheus.ask(
        Asked(name, "A", f"last_over_time({name}[$__range])", instant=True, legend=""), run.window, run.run_id
    )
