"""The table of metrics: every one that density serves, one entry each. A new metric is a new entry, and nothing else.

Names are public. No series stands for a single instance, so a scrape costs the same at ten and at ten thousand.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from density.ceilings.reading import Reading, subjects
from density.events import TesterMeasured
from density.metrics.histogram import Distribution, Histograms
from density.state import RunState


class Seen(NamedTuple):
    """What the metrics are read from, all of one moment; `values` are the host's."""

    state: RunState
    values: Mapping[str, float]
    readings: tuple[Reading, ...]
    histograms: Histograms


class Row(NamedTuple):
    """One series: label values in the order of the metric's labels, and its value."""

    labels: tuple[str, ...]
    value: float | Distribution


Read = Callable[[Seen], Iterable[Row]]


@dataclass(frozen=True, slots=True)
class Metric:
    """One entry.

    Attributes:
        unit: of the value: `seconds`, `bytes`, `ratio`, or the plural noun of a count.
        read: the series there are something to say of.
    """

    name: str
    type: Literal["gauge", "counter", "histogram"]
    unit: str
    labels: tuple[str, ...]
    help: str
    read: Read


def _host(name: str) -> Read:
    """One of the host's values."""

    def read(seen: Seen) -> Iterator[Row]:
        if name in seen.values:
            yield Row((), seen.values[name])

    return read


def _each(prefix: str, last: str) -> Read:
    """The host's values `PREFIX.SUBJECT.LAST`, one series a subject."""

    def read(seen: Seen) -> Iterator[Row]:
        for subject in subjects(seen.values, prefix, last):
            yield Row((subject,), seen.values[f"{prefix}.{subject}.{last}"])

    return read


def _state(value: Callable[[RunState], float]) -> Read:
    """One number of the state."""
    return lambda seen: (Row((), value(seen.state)),)


def _tester(value: Callable[[TesterMeasured], float]) -> Read:
    """One number of the tester's own measurement."""
    return lambda seen: (Row((), value(seen.state.tester)),) if seen.state.tester else ()


def _run(seen: Seen) -> Iterator[Row]:
    state = seen.state
    if state.run_id:
        yield Row((state.run_id, state.profile_name, state.until, state.density_version), 1)


def _instances(seen: Seen) -> Iterator[Row]:
    for workload, phases in seen.state.counts.items():
        engine = seen.state.workloads[workload].workload.engine
        for phase, count in phases.items():
            yield Row((workload, engine, phase.value), count)


def _launches(seen: Seen) -> Iterator[Row]:
    for name, workload in seen.state.workloads.items():
        yield Row((name, "ready"), workload.ready)
        yield Row((name, "failed"), workload.failed)


def _failures(seen: Seen) -> Iterator[Row]:
    for name, workload in seen.state.workloads.items():
        for kind, tally in workload.failures.items():
            yield Row((name, kind), tally.count)


def _ceilings(value: Callable[[Reading], float]) -> Read:
    return lambda seen: (Row(reading.key, value(reading)) for reading in seen.readings)


def _forecast(seen: Seen) -> Iterator[Row]:
    for ceiling in seen.state.forecast:
        if math.isfinite(ceiling.count):
            yield Row((ceiling.ceiling, ceiling.subject), ceiling.count)


def _distributions(value: Callable[[Histograms], Mapping[tuple[str, ...], Distribution]]) -> Read:
    return lambda seen: (Row(labels, found) for labels, found in value(seen.histograms).items())


_CEILING = ("ceiling", "subject")

# fmt: off
TABLE: tuple[Metric, ...] = (
    # The run
    Metric("density_run_info", "gauge", "", ("run_id", "profile", "until", "version"),
           "The run that is being measured; always 1.", _run),
    Metric("density_wave", "gauge", "waves", (), "Number of the current wave.", _state(lambda state: state.wave)),
    Metric("density_target_instances", "gauge", "instances", (),
           "How many instances the current wave aims at, over all workloads.", _state(lambda state: state.target)),
    Metric("density_instances", "gauge", "instances", ("workload", "engine", "phase"),
           "Instances that are in this phase now.", _instances),
    Metric("density_launches_total", "counter", "launches", ("workload", "outcome"),
           "Launches that came to an end, by outcome: ready or failed.", _launches),
    Metric("density_launch_seconds", "histogram", "seconds", ("workload", "phase"),
           "Time from the intended launch until the instance was created, started and ready.",
           _distributions(Histograms.launches)),
    Metric("density_failures_total", "counter", "instances", ("workload", "kind"),
           "Instances that never became ready, or were lost after they were, by kind of failure.", _failures),
    Metric("density_probe_seconds", "histogram", "seconds", ("workload",),
           "Ping round trips to running instances.", _distributions(Histograms.probes)),
    # Ceilings
    Metric("density_ceiling_used_ratio", "gauge", "ratio", _CEILING,
           "Use of a ceiling as a share of its limit.", _ceilings(lambda reading: reading.ratio)),
    Metric("density_ceiling_limit", "gauge", "", _CEILING,
           "Limit of a ceiling, in the ceiling's own unit.", _ceilings(lambda reading: reading.limit)),
    Metric("density_ceiling_forecast_instances", "gauge", "instances", _CEILING,
           "Count of instances at which the ceiling would be reached; absent where its use does not grow.", _forecast),
    # The host
    Metric("density_host_cpu_busy_ratio", "gauge", "ratio", (), "Share of all CPUs' time that was busy.",
           _host("cpu.busy_ratio")),
    Metric("density_host_load1", "gauge", "tasks", (), "Load average over one minute.", _host("load.one")),
    Metric("density_host_memory_available_bytes", "gauge", "bytes", (), "Memory that can still be given out.",
           _host("memory.available_bytes")),
    Metric("density_host_memory_size_bytes", "gauge", "bytes", (), "Memory of the host.", _host("memory.total_bytes")),
    Metric("density_host_tasks", "gauge", "tasks", (), "Processes and threads.", _host("tasks.count")),
    Metric("density_host_tasks_limit", "gauge", "tasks", (), "kernel.pid_max.", _host("tasks.pid_max")),
    Metric("density_host_open_files", "gauge", "files", (), "Open files, system-wide.", _host("files.open")),
    Metric("density_host_open_files_limit", "gauge", "files", (), "fs.file-max.", _host("files.max")),
    Metric("density_host_pressure_ratio", "gauge", "ratio", ("resource",),
           "Share of the last ten seconds in which some task waited for the resource (PSI).",
           _each("pressure", "some_avg10_ratio")),
    Metric("density_host_disk_available_bytes", "gauge", "bytes", ("disk",), "Disk space that is left.",
           _each("disk", "available_bytes")),
    Metric("density_host_bridge_ports", "gauge", "ports", ("device",), "Ports of a bridge that are taken.",
           _each("network.bridge", "ports_count")),
    Metric("density_slice_memory_bytes", "gauge", "bytes", (), "Memory that the run's slice uses.",
           _host("slice.memory_bytes")),
    Metric("density_slice_tasks", "gauge", "tasks", (), "Tasks in the run's slice.", _host("slice.tasks")),
    # Engines' daemons
    Metric("density_engine_cpu_seconds_total", "counter", "seconds", ("daemon",), "CPU time of an engine's daemon.",
           _each("daemon", "cpu_seconds")),
    Metric("density_engine_resident_memory_bytes", "gauge", "bytes", ("daemon",), "Memory of an engine's daemon.",
           _each("daemon", "rss_bytes")),
    Metric("density_engine_open_files", "gauge", "files", ("daemon",), "Open files of an engine's daemon.",
           _each("daemon", "fds")),
    # The tester itself
    Metric("density_tester_cpu_seconds_total", "counter", "seconds", (), "CPU time that density itself took.",
           _tester(lambda tester: tester.cpu_seconds)),
    Metric("density_tester_resident_memory_bytes", "gauge", "bytes", (), "Memory of density itself.",
           _tester(lambda tester: tester.rss_bytes)),
    Metric("density_tester_lag_seconds", "gauge", "seconds", (), "How late density's own last tick was.",
           _tester(lambda tester: tester.lag_seconds)),
    Metric("density_tester_lag_max_seconds", "gauge", "seconds", (), "How late density's latest tick was so far.",
           _tester(lambda tester: tester.max_lag_seconds)),
)
# fmt: on
