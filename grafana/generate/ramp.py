"""Ramp: how far the run is, and how its instances fare."""

from typing import get_args

from grafana_foundation_sdk.builders import dashboard, stat, timeseries
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as model

from density.events import Stage
from grafana.generate import panels
from grafana.generate.about import About, Query
from grafana.generate.frame import frame, workloads
from grafana.generate.metric import COUNT, last, now, quantile, rate
from grafana.generate.palette import GREEN, SERIES, VERMILLION
from grafana.generate.tables import Column, table_of

CHOSEN = "~$workload"
PHASES = ("ready", "started", "created", "requested", "stopping")
"""Of instances that take something of the host; those that failed, were lost or removed have a panel of their own."""
READY = f"sum({now('density_instances', workload=CHOSEN, phase='ready')})"
NEAREST = f"min({now('density_ceiling_forecast_instances')})"
TARGET = f"max({now('density_target_instances')})"
IN_SIGHT = 4
"""A forecast so many times beyond the target would flatten everything else."""


def ramp() -> dashboard.Dashboard:
    """The dashboard."""
    described = "How far a run is: instances against target and forecast, how fast they come, and what goes wrong."
    return frame("Ramp", described, [_now(), _counts(), _fates(), _times(), _parts()]).with_variable(workloads())


def _now() -> list[stat.Panel]:
    size = (4, 4)
    failed = f"sum({now('density_launches_total', workload=CHOSEN, outcome='failed')})"
    lost = f"sum({now('density_instances', workload=CHOSEN, phase='lost')})"
    return [
        _stage(size),
        panels.number(About("Ready", ["density_instances"], size), Query(READY), color=SERIES["ready"]),
        panels.number(
            About("Peak", ["density_peak_instances"], size, "Over all workloads that are chosen."),
            Query(f"sum({now('density_peak_instances', workload=CHOSEN)})"),
        ),
        panels.number(
            About("Nearest ceiling at", ["density_ceiling_forecast_instances"], size, "The lowest of all."),
            Query(NEAREST),
            color=VERMILLION,
            none="no forecast yet",
        ).decimals(0),
        panels.number(
            About("Launch rate", ["density_launches_total"], size, "Those that became ready.", unit="suffix:/s"),
            Query(_launch_rate("ready")),
            color=GREEN,
        ).decimals(1),
        panels.number(
            About("Failed or lost", ["density_launches_total", "density_instances"], size), Query(f"{failed} + {lost}")
        )
        .thresholds(panels.thresholds({1: VERMILLION}, base=GREEN))
        .color_scheme(panels.by_threshold()),
    ]


def _stage(size: tuple[int, int]) -> stat.Panel:
    """A stage's place in the order of stages, shown by its name: one series, so that the latest one is the run's."""
    stages = get_args(Stage)
    places = [f"{place} * max({now('density_stage', stage=stage)})" for place, stage in enumerate(stages)]
    names = {str(place): model.ValueMappingResult(text=stage) for place, stage in enumerate(stages)}
    about = About("Stage", ["density_stage"], size, "The number behind the name is the stage's place in the order.")
    panel = panels.number(about, Query(" + ".join(places)), none="no run")
    return panel.mappings([model.ValueMap(options=names)])


def _launch_rate(outcome: str) -> str:
    return f"sum({rate('density_launches_total', workload=CHOSEN, outcome=outcome)})"


def _counts() -> list[timeseries.Panel]:
    counts = panels.graph(
        About(
            "Instances against target and forecast",
            ["density_instances", "density_target_instances", "density_ceiling_forecast_instances"],
            (16, 10),
            "The forecast is that of the nearest ceiling, once it is in sight: where ready meets it, the ramp stops.",
        ),
        Query(READY, "ready"),
        Query(TARGET, "target"),
        Query(f"{NEAREST} < {IN_SIGHT} * {TARGET}", "nearest forecast"),
    )
    rates = panels.graph(
        About("Launches a second", ["density_launches_total"], (8, 10), unit="suffix:/s"),
        Query(_launch_rate("ready"), "ready"),
        Query(_launch_rate("failed"), "failed"),
    )
    return [panels.dashed(counts, "target", "nearest forecast"), rates]


def _fates() -> list[Builder[model.Panel]]:
    phases = panels.graph(
        About("Phases", ["density_instances"], (12, 8), "Stacked: the top is all that live or are about to."),
        *map(_in_phase, PHASES),
        stacked=True,
    )
    ill = panels.graph(
        About(
            "Failed and lost",
            ["density_instances"],
            (6, 8),
            "Failed never became ready; lost were, and then were gone.",
        ),
        *map(_in_phase, ("failed", "lost")),
    )
    kinds = panels.bars(
        About("Failures by kind", ["density_failures_total"], (6, 8)),
        Query(f"sum by (kind) ({last('density_failures_total', workload=CHOSEN)})", "{{kind}}"),
        color=VERMILLION,
    )
    return [phases, ill, kinds]


def _in_phase(phase: str) -> Query:
    return Query(f"sum({now('density_instances', workload=CHOSEN, phase=phase)})", phase)


def _times() -> list[Builder[model.Panel]]:
    name = "density_launch_seconds"
    heat = panels.heat_map(
        About("Time to ready", [name], (12, 9), "One column a moment, brighter where more launches took so long."),
        Query(f"sum by (le) ({rate(f'{name}_bucket', workload=CHOSEN, phase='ready')})"),
    )
    phases = panels.graph(
        About(
            "Time to each phase (95 %)",
            [name],
            (12, 9),
            "What lies between two lines is what that step took.",
        ),
        *(
            Query(quantile(0.95, name, workload=CHOSEN, phase=phase), phase)
            for phase in ("created", "started", "ready")
        ),
    )
    return [heat, phases.span_nulls(span_nulls=True)]


def _parts() -> list[Builder[model.Panel]]:
    probes = panels.graph(
        About("Probe latency", ["density_probe_seconds"], (12, 8)),
        *(
            Query(quantile(share, "density_probe_seconds", workload=CHOSEN), legend)
            for share, legend in ((0.5, "half of them"), (0.95, "95 %"), (0.99, "99 %"))
        ),
    )
    probes.scale_distribution(panels.logarithmic()).span_nulls(span_nulls=True)
    about = About("Workloads", ["density_instances", "density_peak_instances", "density_launches_total"], (12, 8))
    workload = "max by (workload) ({})".format
    columns = [
        Column("Ready", workload(last("density_instances", workload=CHOSEN, phase="ready")), COUNT),
        Column("Peak", workload(last("density_peak_instances", workload=CHOSEN)), COUNT),
        Column("Launched", f"sum by (workload) ({last('density_launches_total', workload=CHOSEN)})", COUNT),
        Column("Failed", workload(last("density_launches_total", workload=CHOSEN, outcome="failed")), COUNT),
        Column("Lost", workload(last("density_instances", workload=CHOSEN, phase="lost")), COUNT),
        Column("Ready within (95 %)", _ready_within(), "s"),
    ]
    return [probes, table_of(about, {"workload": "Workload"}, columns, order="Ready")]


def _ready_within() -> str:
    buckets = last("density_launch_seconds_bucket", workload=CHOSEN, phase="ready")
    return f"histogram_quantile(0.95, sum by (workload, le) ({buckets}))"
