"""Metrics agree with the state, follow Prometheus' conventions, and are served cleanly."""

import os
import shutil
import socket
import subprocess
import urllib.error
import urllib.request

import anyio
import anyio.to_thread
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from density.errors import UsageError
from density.events import (
    CeilingForecast,
    Event,
    Forecasted,
    HostSampled,
    InstanceChanged,
    ProbeMeasured,
    RunStarted,
    WaveStarted,
)
from density.events import (
    TesterMeasured as CostMeasured,  # pytest collects what is called Test...
)
from density.metrics import Address, MetricsServer, parse_address
from density.metrics.collector import StateCollector, take
from density.metrics.histogram import Histogram, Histograms
from density.metrics.table import TABLE
from density.model import Failure, Phase, Workload
from density.state import RunState, fold

HOST = {
    "cpu.busy_ratio": 0.5,
    "load.one": 2.5,
    "memory.available_bytes": 20e9,
    "memory.total_bytes": 24e9,
    "tasks.count": 300.0,
    "tasks.pid_max": 32768.0,
    "files.open": 2000.0,
    "files.max": 1e6,
    "pressure.cpu.some_avg10_ratio": 0.1,
    "pressure.io.some_avg10_ratio": 0.0,
    "disk.root.available_bytes": 5e9,
    "disk.root.total_bytes": 9e9,
    "network.bridge.br0.ports_count": 3.0,
    "slice.memory_bytes": 1e8,
    "slice.memory_limit_bytes": 1e9,
    "slice.tasks": 40.0,
    "slice.tasks_limit": 100.0,
    "daemon.dockerd.cpu_seconds": 12.0,
    "daemon.dockerd.rss_bytes": 9e7,
    "daemon.dockerd.fds": 60.0,
    "daemon.dockerd.fds_limit": 1024.0,
}


def _events(instances: int = 10) -> list[Event]:
    """Every third launch fails; one instance is lost."""
    workloads = (Workload(name="web", engine="docker"), Workload(name="vm", engine="libvirt"))
    events: list[Event] = [
        RunStarted(0.0, "r1", 1.7e9, "0.1", "quick", "safe", workloads, 100, {}, {"tasks": 1600}),
        WaveStarted(1.0, 1, {"web": instances}, instances),
    ]
    for number in range(instances):
        name = f"web-{number:05d}"
        events += [
            InstanceChanged(1.0, name, "web", Phase.REQUESTED),
            InstanceChanged(1.25, name, "web", Phase.CREATED),
            InstanceChanged(1.5, name, "web", Phase.STARTED),
        ]
        if number % 3 == 2:
            events.append(InstanceChanged(9.0, name, "web", Phase.FAILED, Failure("timeout", "late")))
        else:
            events.append(InstanceChanged(2.0, name, "web", Phase.READY))
    events += [
        InstanceChanged(3.0, "web-00000", "web", Phase.LOST, Failure("exited", "gone")),
        HostSampled(4.0, HOST, 0.001),
        ProbeMeasured(5.0, "web-00001", "web", 0.0001),
        ProbeMeasured(5.0, "web-00001", "web", 0.3),
        CostMeasured(6.0, 1.5, 5e7, 0.01, 0.2),
        Forecasted(
            6.0,
            (
                CeilingForecast("tasks.cgroup", "", 40, 100, 0, 25.0, 24.0, 26.0),
                CeilingForecast("memory.available", "", 4, 24, 2, float("inf"), 90.0, float("inf")),
            ),
        ),
    ]
    return events


def _histograms(events: list[Event]) -> Histograms:
    histograms = Histograms()
    for event in events:
        if isinstance(event, ProbeMeasured):
            histograms.probe(event.workload, event.seconds)
    return histograms


def _text(events: list[Event]) -> str:
    state, histograms = fold(events), _histograms(events)
    registry = CollectorRegistry()
    registry.register(StateCollector(lambda: take(state, histograms)))
    return generate_latest(registry).decode()


def _series(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def _get(text: str, name: str, **labels: str) -> float:
    return _series(text)[name, frozenset(labels.items())]


def test_metrics_say_what_the_state_says() -> None:
    """Counts, launches, failures, ceilings and host values are those of the fold."""
    text = _text(_events())
    assert _get(text, "density_run_info", run_id="r1", profile="quick", until="safe", version="0.1") == 1
    assert _get(text, "density_instances", workload="web", engine="docker", phase="ready") == 6
    assert _get(text, "density_instances", workload="web", engine="docker", phase="failed") == 3
    assert _get(text, "density_instances", workload="web", engine="docker", phase="lost") == 1
    assert _get(text, "density_instances", workload="vm", engine="libvirt", phase="ready") == 0
    assert _get(text, "density_launches_total", workload="web", outcome="ready") == 7
    assert _get(text, "density_launches_total", workload="web", outcome="failed") == 3
    assert _get(text, "density_failures_total", workload="web", kind="timeout") == 3
    assert _get(text, "density_failures_total", workload="web", kind="exited") == 1
    assert _get(text, "density_wave") == 1
    assert _get(text, "density_target_instances") == 10
    assert _get(text, "density_ceiling_used_ratio", ceiling="tasks.cgroup", subject="") == 0.4
    assert _get(text, "density_ceiling_limit", ceiling="files.process", subject="dockerd") == 1024
    assert _get(text, "density_ceiling_forecast_instances", ceiling="tasks.cgroup", subject="") == 25
    assert _get(text, "density_host_pressure_ratio", resource="cpu") == 0.1
    assert _get(text, "density_engine_cpu_seconds_total", daemon="dockerd") == 12
    assert _get(text, "density_tester_lag_max_seconds") == 0.2


def test_histograms_agree_with_the_counts() -> None:
    """As many launches are in the histogram as became ready, and the sum is their time."""
    text = _text(_events())
    assert _get(text, "density_launch_seconds_count", workload="web", phase="ready") == 7
    assert _get(text, "density_launch_seconds_sum", workload="web", phase="ready") == 7.0
    assert _get(text, "density_launch_seconds_bucket", workload="web", phase="ready", le="0.75") == 0
    assert _get(text, "density_launch_seconds_bucket", workload="web", phase="ready", le="1.0") == 7
    assert _get(text, "density_launch_seconds_count", workload="web", phase="created") == 10
    assert _get(text, "density_probe_seconds_count", workload="web") == 2
    assert _get(text, "density_probe_seconds_bucket", workload="web", le="0.0001") == 1


def test_a_ceiling_that_does_not_grow_has_no_forecast() -> None:
    """An infinite forecast is left out, as graphs cannot show it."""
    assert not any(
        name == "density_ceiling_forecast_instances" and ("ceiling", "memory.available") in labels
        for name, labels in _series(_text(_events()))
    )


@given(st.lists(st.lists(st.floats(0, 200))))
def test_a_histogram_kept_as_it_grows_is_the_histogram_of_all(parts: list[list[float]]) -> None:
    """Catching up in steps counts each value once, in the bucket that Prometheus expects."""
    bounds = (0.5, 1.0, 100.0)
    histogram, values = Histogram(bounds), list[float]()
    for part in parts:
        values += part
        histogram.catch_up(values)
    counted = histogram.distribution()
    assert counted.cumulative == (*(sum(v <= bound for v in values) for bound in bounds), len(values))
    assert counted.total == pytest.approx(sum(values))


def test_no_series_stands_for_an_instance() -> None:
    """A hundred times the instances give the very same series."""
    assert _series(_text(_events(10))).keys() == _series(_text(_events(1000))).keys()


def test_a_state_without_a_run_has_metrics() -> None:
    """A scrape before the first event is answered."""
    assert _get(_text([]), "density_wave") == 0


def test_every_metric_of_the_table_can_be_seen() -> None:
    """No entry reads something that a run does not have: each shows up in a run with everything."""
    seen = {family.name for family in text_string_to_metric_families(_text(_events()))}
    assert {metric.name.removesuffix("_total") for metric in TABLE} == seen


def test_names_are_unique_and_carry_their_unit() -> None:
    """Seconds, bytes and ratios are named; counters end in _total."""
    names = [metric.name for metric in TABLE]
    assert len(names) == len(set(names))
    for metric in TABLE:
        assert metric.name.endswith("_total") == (metric.type == "counter")
        if metric.unit in ("seconds", "bytes", "ratio"):
            assert metric.unit in metric.name.removesuffix("_total")


def test_promtool_finds_nothing_to_say() -> None:
    """Prometheus' own lint accepts every name, type and help text."""
    promtool = shutil.which("promtool")
    if promtool is None:
        assert os.environ.get("DENSITY_REQUIRE_ENGINES") != "1", "promtool is missing: apt-get install prometheus"
        pytest.skip("promtool is missing")
    done = subprocess.run(
        [promtool, "check", "metrics"], input=_text(_events()), text=True, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("off", None),
        ("127.0.0.1:9095", Address("127.0.0.1", 9095)),
        (":0", Address("127.0.0.1", 0)),
        ("localhost:80", Address("localhost", 80)),
        ("[::1]:9095", Address("::1", 9095)),
    ],
)
def test_addresses(text: str, address: Address | None) -> None:
    """What --metrics takes."""
    assert parse_address(text) == address


@pytest.mark.parametrize("text", ["", "9095", "host:", "host:99999", "a b:1", "::1:9095", "on", "127.0.0.1:-1"])
def test_bad_addresses_say_what_is_allowed(text: str) -> None:
    """One sentence that names the option."""
    with pytest.raises(UsageError, match="--metrics takes HOST:PORT"):
        parse_address(text)


ANY_PORT = Address("127.0.0.1", 0)


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """A scrape asks whichever event loop runs."""
    backend: str = request.param
    return backend


async def _fetch(url: str, accept: str = "") -> tuple[str, str]:
    def fetch() -> tuple[str, str]:
        request = urllib.request.Request(url, headers={"Accept": accept})  # noqa: S310 — our own server
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 — our own server
            return answer.read().decode(), answer.headers["Content-Type"]

    return await anyio.to_thread.run_sync(fetch)


@pytest.mark.anyio
async def test_scrapes_follow_the_run() -> None:
    """Each scrape sees every event that was handled before it, probes included."""
    state = RunState()
    async with MetricsServer(state, ANY_PORT) as server:
        assert _get((await _fetch(server.url))[0], "density_wave") == 0
        for event in _events():
            state.apply(event)
            server.handle(event)
        text, kind = await _fetch(server.url)
        assert _series(text) == _series(_text(_events()))
        assert kind.startswith("text/plain; version=")


@pytest.mark.anyio
async def test_openmetrics_is_spoken_where_asked_for() -> None:
    """A newer Prometheus gets the format it prefers."""
    async with MetricsServer(fold(_events()), ANY_PORT) as server:
        text, kind = await _fetch(server.url, "application/openmetrics-text; version=1.0.0")
    assert kind.startswith("application/openmetrics-text")
    assert text.endswith("# EOF\n")


@pytest.mark.anyio
async def test_the_port_is_free_again() -> None:
    """After leaving, also when cancelled, another server can have the same port at once."""
    with anyio.CancelScope() as scope:
        async with MetricsServer(RunState(), ANY_PORT) as server:
            port = int(server.url.split(":")[2].split("/")[0])
            scope.cancel()
    async with MetricsServer(RunState(), Address("127.0.0.1", port)) as again:
        await _fetch(again.url)


@pytest.mark.anyio
async def test_a_port_in_use_is_one_clear_sentence() -> None:
    """It names the address and the option, and nothing is left listening."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = Address(*taken.getsockname())
        with pytest.raises(UsageError, match=f"at {address}: another program .* --metrics another HOST:PORT, or off"):
            async with MetricsServer(RunState(), address):
                pytest.fail("entered")


@pytest.mark.anyio
async def test_an_address_of_another_machine_is_one_clear_sentence() -> None:
    """An address that is not ours (192.0.2.0/24 is nobody's) says so."""
    with pytest.raises(UsageError, match=r"metrics cannot be served at 192\.0\.2\.1:0: .*; give --metrics an address"):
        async with MetricsServer(RunState(), Address("192.0.2.1", 0)):
            pytest.fail("entered")


@pytest.mark.anyio
async def test_other_paths_are_not_found() -> None:
    """The answer says where the metrics are."""
    async with MetricsServer(RunState(), ANY_PORT) as server:
        with pytest.raises(urllib.error.HTTPError, match="404") as caught:
            await _fetch(server.url + "x")
    with caught.value as answer:
        assert "The metrics are at /metrics" in answer.read().decode()
