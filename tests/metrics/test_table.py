"""The table: what it shows agrees with the state, and it follows Prometheus' conventions."""

import subprocess

import pytest
from metrics.observed import beginning, ending, get, observe, series, text_of
from prometheus_client.parser import text_string_to_metric_families

from density.events import HostSampled
from density.events import TesterMeasured as CostMeasured  # pytest collects what is called Test...
from density.metrics.instances import LIMIT
from density.metrics.table import INFO, TABLE
from density.metrics.table.instances import INSTANCES

ALL = (*TABLE, *INSTANCES)


def test_metrics_say_what_the_state_says() -> None:
    """Counts, launches, failures, ceilings and host values are those of the fold."""
    text = text_of(beginning())
    run = {"profile": "quick", "until": "safe", "version": "0.1", "engines": "docker,libvirt"}
    assert get(text, "density_run_info", **run) == 1
    assert get(text, "density_run_start_time_seconds") == 1.7e9
    assert get(text, "density_stage", stage="ramp") == 1
    assert get(text, "density_stage", stage="hold") == 0
    assert get(text, "density_instances", workload="web", engine="docker", phase="ready") == 6
    assert get(text, "density_instances", workload="web", engine="docker", phase="failed") == 3
    assert get(text, "density_instances", workload="web", engine="docker", phase="lost") == 1
    assert get(text, "density_instances", workload="vm", engine="libvirt", phase="ready") == 0
    assert get(text, "density_launches_total", workload="web", outcome="ready") == 7
    assert get(text, "density_launches_total", workload="web", outcome="failed") == 3
    assert get(text, "density_failures_total", workload="web", kind="timeout") == 3
    assert get(text, "density_failures_total", workload="web", kind="exited") == 1
    assert get(text, "density_peak_instances", workload="web") == 7
    assert get(text, "density_wave") == 1
    assert get(text, "density_target_instances") == 10
    assert get(text, "density_warnings_total") == 1
    assert get(text, "density_ceiling_used_ratio", ceiling="tasks.cgroup", subject="") == 0.4
    assert get(text, "density_ceiling_reserve_ratio", ceiling="tasks.pid_max", subject="") == 1600 / 32768
    assert get(text, "density_ceiling_limit", ceiling="files.process", subject="dockerd") == 1024
    assert get(text, "density_ceiling_forecast_instances", ceiling="tasks.cgroup", subject="") == 25
    assert get(text, "density_ceiling_forecast_high_instances", ceiling="tasks.cgroup", subject="") == 26
    assert get(text, "density_host_pressure_ratio", resource="cpu") == 0.1
    assert get(text, "density_host_memory_bytes", kind="slab") == 7e8
    assert get(text, "density_engine_cpu_seconds_total", daemon="dockerd") == 12
    assert get(text, "density_tester_lag_max_seconds") == 0.2
    assert get(text, "density_tester_sample_seconds") == 0.001
    assert get(text, "density_sensor_success", sensor="memory") == 1
    assert get(text, "density_sensor_success", sensor="disk.runs") == 0
    assert get(text, "density_sensor_duration_seconds", sensor="memory") == 2e-4


def test_histograms_agree_with_the_counts() -> None:
    """As many launches are in the histogram as became ready, and the sum is their time."""
    text = text_of(beginning())
    assert get(text, "density_launch_seconds_count", workload="web", phase="ready") == 7
    assert get(text, "density_launch_seconds_sum", workload="web", phase="ready") == 7.0
    assert get(text, "density_launch_seconds_bucket", workload="web", phase="ready", le="0.75") == 0
    assert get(text, "density_launch_seconds_bucket", workload="web", phase="ready", le="1.0") == 7
    assert get(text, "density_launch_seconds_count", workload="web", phase="created") == 10
    assert get(text, "density_probe_seconds_count", workload="web") == 2
    assert get(text, "density_probe_seconds_bucket", workload="web", le="0.0001") == 1


def test_what_is_not_known_yet_is_absent() -> None:
    """No zero stands for a capacity, a verdict or an end that is still to come."""
    names = {name for name, _ in series(text_of(beginning()))}
    assert not {name for name in names if "capacity" in name or "verdict" in name or "outcome" in name}
    assert not names & {"density_hold_kept", "density_left_behind", "density_teardown_seconds", "density_footprint"}


def test_a_ceiling_that_does_not_grow_has_no_forecast() -> None:
    """An infinite forecast is left out, as graphs cannot show it; a finite end of its interval stays."""
    found = {name for name, labels in series(text_of(beginning())) if ("ceiling", "memory.available") in labels}
    assert "density_ceiling_forecast_instances" not in found
    assert "density_ceiling_forecast_low_instances" in found


def test_no_series_stands_for_an_instance() -> None:
    """A hundred times the instances give the very same series."""
    assert series(text_of(beginning(10))).keys() == series(text_of(beginning(1000))).keys()


def test_single_instances_are_shown_where_asked_for_up_to_a_limit() -> None:
    """Three series each for the first ones; how many others there are is said."""
    text = text_of(beginning(10), per_instance=True)
    assert get(text, "density_instance_ready", workload="web", instance_id="web-00001") == 1
    assert get(text, "density_instance_ready", workload="web", instance_id="web-00000") == 0
    assert get(text, "density_instance_ready_seconds", workload="web", instance_id="web-00000") == 1.0
    assert get(text, "density_instance_probe_seconds", workload="web", instance_id="web-00001") == 0.3
    assert get(text, "density_instances_left_out") == 0
    many = text_of(beginning(LIMIT + 5), per_instance=True)
    assert get(many, "density_instances_left_out") == 5
    assert sum("instance_id" in dict(labels) for _, labels in series(many)) <= 3 * LIMIT


def test_every_series_has_the_id_of_its_run() -> None:
    """Runs one after another never share a series."""
    samples = [s for family in text_string_to_metric_families(text_of(beginning())) for s in family.samples]
    assert {sample.labels.get("run_id") for sample in samples} == {"r1"}


def test_a_state_without_a_run_has_no_metrics() -> None:
    """Nothing is said of a run that has not begun."""
    assert text_of([]) == ""


def test_every_metric_of_the_table_can_be_seen() -> None:
    """No entry reads something that a run does not have: each shows up in a run with everything."""
    text = text_of([*beginning(), *ending()], per_instance=True)
    assert {metric.family for metric in ALL} == {family.name for family in text_string_to_metric_families(text)}


def test_every_series_is_told_apart() -> None:
    """No two rows of a metric have the same labels, which Prometheus would refuse."""
    for metric, rows in observe([*beginning(), *ending()], per_instance=True).take().taken:
        assert len({row.labels for row in rows}) == len(rows), metric.name
        assert {len(row.labels) for row in rows} == {len(metric.labels)}


def test_names_are_unique_and_carry_their_unit() -> None:
    """Seconds, bytes and ratios are named; counters end in _total; what is always 1 ends in _info; all have help."""
    names = [metric.name for metric in ALL]
    assert len(names) == len(set(names))
    for metric in ALL:
        assert metric.name.startswith("density_")
        assert metric.help.endswith(".")
        assert metric.unit
        assert metric.name.endswith("_total") == (metric.type == "counter")
        assert metric.name.endswith("_info") == (metric.unit == INFO)
        if metric.unit in ("seconds", "bytes", "ratio"):
            assert metric.unit in metric.name.removesuffix("_total")


@pytest.mark.tools("promtool")
@pytest.mark.parametrize("per_instance", [False, True])
def test_promtool_finds_nothing_to_say(*, per_instance: bool) -> None:
    """Prometheus' own lint accepts every name, type and help text."""
    text = text_of([*beginning(), *ending()], per_instance=per_instance)
    done = subprocess.run(["promtool", "check", "metrics"], input=text, text=True, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_ceiling_critical_for_one_subject_alone_says_so() -> None:
    """`files.process` of libvirtd is lethal and of dockerd is not: the alert on lethal ceilings has to see the one."""
    values = {f"daemon.{name}.{what}": 100.0 for name in ("dockerd", "libvirtd") for what in ("fds", "fds_limit")}
    text = text_of([*beginning(), HostSampled(50.0, values, 0.001)])
    kinds = {
        dict(labels)["subject"]: dict(labels)["kind"]
        for name, labels in series(text)
        if name == "density_ceiling_info" and dict(labels)["ceiling"] == "files.process"
    }
    assert kinds == {"dockerd": "hard", "libvirtd": "lethal"}


def test_what_density_takes_is_absent_where_it_was_not_measured() -> None:
    """On a simulated host nothing reads density's own process: no series, where a 0 would be a measurement."""
    event = CostMeasured(50.0, cpu_seconds=None, rss_bytes=None, lag_seconds=0.0, max_lag_seconds=0.0)
    names = {name for name, _ in series(text_of([*beginning(), event]))}
    assert "density_tester_lag_seconds" in names
    assert not names & {"density_tester_cpu_seconds_total", "density_tester_resident_memory_bytes"}
