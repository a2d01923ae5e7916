"""The run itself: what it is, how far it is, what became of its instances."""

from collections.abc import Callable, Iterator, Mapping
from typing import get_args

from density.events import Stage
from density.metrics.histogram import Distribution, Histograms
from density.metrics.table.entry import INFO, Metric, Read, Row, Seen, one


def _run(seen: Seen) -> Iterator[Row]:
    state = seen.state
    engines = sorted({workload.workload.engine for workload in state.workloads.values()})
    yield Row((state.profile_name, state.until, state.density_version, ",".join(engines)), 1)


def _stages(seen: Seen) -> Iterator[Row]:
    for stage in get_args(Stage):
        yield Row((stage,), stage == seen.state.stage)


def _outcome(seen: Seen) -> Iterator[Row]:
    if outcome := seen.state.outcome:
        yield Row((outcome.outcome,), 1)


def _workloads(seen: Seen) -> Iterator[Row]:
    for name, workload in seen.state.workloads.items():
        yield Row((name, workload.workload.engine, workload.accelerator), 1)


def _instances(seen: Seen) -> Iterator[Row]:
    for workload, phases in seen.state.counts.items():
        engine = seen.state.workloads[workload].workload.engine
        for phase, count in phases.items():
            yield Row((workload, engine, phase.value), count)


def _peaks(seen: Seen) -> Iterator[Row]:
    for name, workload in seen.state.workloads.items():
        yield Row((name,), workload.peak)


def _launches(seen: Seen) -> Iterator[Row]:
    for name, workload in seen.state.workloads.items():
        yield Row((name, "ready"), workload.ready)
        yield Row((name, "failed"), workload.failed)


def _failures(seen: Seen) -> Iterator[Row]:
    for name, workload in seen.state.workloads.items():
        for kind, tally in workload.failures.items():
            yield Row((name, kind), tally.count)


def _distributions(value: Callable[[Histograms], Mapping[tuple[str, ...], Distribution]]) -> Read:
    return lambda seen: (Row(labels, found) for labels, found in value(seen.histograms).items())


# fmt: off
RUN: tuple[Metric, ...] = (
    Metric("density_run_info", "gauge", INFO, ("profile", "until", "version", "engines"),
           "The run that is being measured; always 1.", _run),
    Metric("density_run_start_time_seconds", "gauge", "timestamp", (), "When the run started, in UNIX seconds.",
           one(lambda state: state.wall)),
    Metric("density_stage", "gauge", "bool", ("stage",), "1 for the stage that the run is in, 0 for the others.",
           _stages),
    Metric("density_outcome_info", "gauge", INFO, ("outcome",),
           "How the ramp ended; absent while it goes on, else 1.", _outcome),
    Metric("density_workload_info", "gauge", INFO, ("workload", "engine", "accelerator"),
           "The workloads of the run, and for VMs whether the CPU is kvm or emulated (tcg); always 1.", _workloads),
    Metric("density_wave", "gauge", "waves", (), "Number of the current wave.", one(lambda state: state.wave)),
    Metric("density_target_instances", "gauge", "instances", (),
           "How many instances the current wave aims at, over all workloads.", one(lambda state: state.target)),
    Metric("density_max_instances", "gauge", "instances", (), "The most that the profile asks for.",
           one(lambda state: state.max_instances)),
    Metric("density_instances", "gauge", "instances", ("workload", "engine", "phase"),
           "Instances that are in this phase now.", _instances),
    Metric("density_peak_instances", "gauge", "instances", ("workload",), "The most that were ready at once so far.",
           _peaks),
    Metric("density_launches_total", "counter", "launches", ("workload", "outcome"),
           "Launches that came to an end, by outcome: ready or failed.", _launches),
    Metric("density_launch_seconds", "histogram", "seconds", ("workload", "phase"),
           "Time from the intended launch until the instance was created, started and ready.",
           _distributions(Histograms.launches)),
    Metric("density_failures_total", "counter", "instances", ("workload", "kind"),
           "Instances that never became ready, or were lost after they were, by kind of failure.", _failures),
    Metric("density_probe_seconds", "histogram", "seconds", ("workload",),
           "Ping round trips to running instances.", _distributions(Histograms.probes)),
    Metric("density_hold_kept", "gauge", "bool", (),
           "Whether the hold lost nothing and kept every objective and reserve; absent before its end.",
           one(lambda state: state.held.kept if state.held else None)),
    Metric("density_warnings_total", "counter", "warnings", (), "What the person should know of, so often.",
           one(lambda state: len(state.warnings))),
    Metric("density_teardown_seconds", "gauge", "seconds", (), "How long removing everything took.",
           one(lambda state: state.torn_down.seconds if state.torn_down else None)),
    Metric("density_left_behind", "gauge", "objects", (), "What the teardown could not remove; absent before its end.",
           one(lambda state: len(state.torn_down.left) if state.torn_down else None)),
)
# fmt: on
