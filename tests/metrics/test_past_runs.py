"""A run of the past in a real Prometheus: exported, made into blocks by promtool, asked for, against result.json."""

import json
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest
from support.addresses import free_address
from support.hosts import random_host
from support.simulation import Simulated, simulate

from density.cli import main
from density.events import RunStarted
from density.profile.spec import Profile
from density.ramp.decide import bounds_of
from density.record import RecordWriter
from density.report.result import result
from density.state import fold

pytestmark = pytest.mark.tools("promtool", "prometheus")
READY_SECONDS = 60.0
WALL = 1_795_000_000.0
Labels = frozenset[tuple[str, str]]


@pytest.fixture(scope="module")
def profile() -> Profile:
    """A host on which a ramp of several workloads ends at a ceiling."""
    return random_host(5).profile


@pytest.fixture(scope="module")
def run(profile: Profile) -> Simulated:
    """The run, in virtual time, put on the calendar."""
    run = simulate(profile)
    events = [replace(event, wall=WALL) if isinstance(event, RunStarted) else event for event in run.events]
    return replace(run, events=events, state=fold(events))


@pytest.fixture(scope="module")
def prometheus(run: Simulated, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Prometheus that has the exported run and nothing else."""
    directory = tmp_path_factory.mktemp("past")
    record(run, directory / "run")
    text = directory / "run.om"
    assert main(["export", str(directory / "run"), "-o", str(text)]) == 0
    command = ["promtool", "tsdb", "create-blocks-from", "openmetrics", str(text), str(directory / "data")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    with serving(directory) as address:
        yield address


def record(run: Simulated, directory: Path) -> None:
    """The run's directory, as a session leaves it."""
    directory.mkdir()

    async def write() -> None:
        async with RecordWriter(directory / "run.sqlite") as writer:
            for event in run.events:
                writer.handle(event)

    anyio.run(write)


@contextmanager
def serving(directory: Path) -> Iterator[str]:
    """A Prometheus over `directory/data`, as docs/metrics.md starts it."""
    (directory / "empty.yml").touch()
    address = free_address()
    command = ["prometheus", f"--config.file={directory}/empty.yml", f"--storage.tsdb.path={directory}/data"]
    command += ["--storage.tsdb.retention.time=50y", f"--web.listen-address={address}"]
    with (directory / "log").open("w") as log, subprocess.Popen(command, stderr=log) as process:
        try:
            wait_until_ready(address)
            yield address
        finally:
            process.terminate()


def wait_until_ready(address: str) -> None:
    """Prometheus tells nobody that it is ready, so it is asked."""
    end = time.monotonic() + READY_SECONDS
    while True:
        try:
            with urllib.request.urlopen(f"http://{address}/-/ready", timeout=5):
                return
        except OSError:
            assert time.monotonic() < end, "Prometheus does not get ready"
            time.sleep(0.1)


def ask(address: str, query: str, at: float) -> dict[Labels, float]:
    """The answer of an instant query, by labels."""
    arguments = urllib.parse.urlencode({"query": query, "time": at})
    with urllib.request.urlopen(f"http://{address}/api/v1/query?{arguments}", timeout=30) as answer:
        body: Mapping[str, Any] = json.load(answer)
    assert body["status"] == "success"
    return {
        frozenset((name, value) for name, value in each["metric"].items() if not name.startswith("__")): float(
            each["value"][1]
        )
        for each in body["data"]["result"]
    }


def test_the_end_of_the_run_is_its_result(prometheus: str, run: Simulated, profile: Profile) -> None:
    """Counts, capacities, footprints and the verdict that Prometheus answers are those of result.json."""
    document = result(run.state, bounds_of(profile))
    end = document["started"] + document["seconds"] + 0.01

    def one(query: str) -> float:
        (value,) = ask(prometheus, query, end).values()
        return value

    run_id = f'run_id="{document["run_id"]}"'
    for kind in ("hard", "slo", "recommended"):
        assert one(f'density_capacity_instances{{{run_id},kind="{kind}"}}') == document["capacity"][kind]["count"]
    for name, workload in document["workloads"].items():
        mine = f'{{{run_id},workload="{name}"'
        assert one(f'density_launches_total{mine},outcome="ready"}}') == workload["ready"]
        assert one(f'density_launches_total{mine},outcome="failed"}}') == workload["failed"]
        assert one(f"density_peak_instances{mine}}}") == workload["peak"]
        assert one(f'density_launch_seconds_count{mine},phase="ready"}}') == workload["ready"]
        for resource, cost in workload["footprint"].items():
            assert one(f'density_footprint{mine},resource="{resource}"}}') == cost["value"]
    verdict = document["verdict"]
    assert one(f'density_verdict_info{{ceiling="{verdict["ceiling"]}"}}') == 1
    assert one("density_verdict_confidence_ratio") == verdict["confidence"]
    assert one("density_left_behind") == 0
    assert one(f'density_outcome_info{{outcome="{document["outcome"]}"}}') == 1


def test_amid_the_run_the_counts_are_those_of_the_record(prometheus: str, run: Simulated) -> None:
    """At a moment in the ramp Prometheus has as many ready instances as the host had then."""
    settled = run.state.settled[len(run.state.settled) // 2]
    at = run.state.wall + settled.at - run.state.started_at
    found = ask(prometheus, 'sum by (workload) (density_instances{phase="ready"})', at)
    assert {dict(labels)["workload"]: count for labels, count in found.items()} == settled.counts


def test_quantiles_and_rates_can_be_asked_for(prometheus: str, run: Simulated) -> None:
    """What the dashboards do with histograms and counters works on an imported run."""
    at = run.state.wall + run.state.now - run.state.started_at
    quantile = "histogram_quantile(0.5, sum by (le) (density_launch_seconds_bucket{phase='ready'}))"
    (median,) = ask(prometheus, quantile, at).values()
    seconds = sorted(second for workload in run.state.workloads.values() for second in workload.ready_seconds)
    assert median == pytest.approx(seconds[len(seconds) // 2], rel=0.5)
    (launched,) = ask(prometheus, "sum(increase(density_launches_total{outcome='ready'}[1h]))", at).values()
    assert launched == pytest.approx(len(seconds), rel=0.2)
