"""Capacity: runs beside each other."""

from grafana_foundation_sdk.builders import dashboard, table
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as model

from density.ceilings.catalog import CATALOG
from grafana.generate.about import About
from grafana.generate.frame import comparison, link_to
from grafana.generate.metric import COUNT, RANGE, RUNS, last, selector
from grafana.generate.tables import Column, bars_of, table_of

KINDS = ("hard", "slo", "recommended")
OPEN = (
    f'{link_to("Ramp")}?var-run=${{__data.fields["Run"]}}'
    '&from=${__data.fields["Started"].numeric}&to=${__data.fields["Last seen"].numeric}'
)
"""The run of a row on the Ramp dashboard, over the time in which it was seen."""
_RUN = "max by (run_id) ({})".format


def capacity() -> dashboard.Dashboard:
    """The dashboard."""
    described = "Runs compared: how many instances fitted, what stopped them, and what one instance cost."
    return comparison("Capacity", described, [_capacities(), [_runs()], _footprints()])


def _of(kind: str) -> str:
    return _RUN(last("density_capacity_instances", RUNS, kind=kind))


def _capacities() -> list[Builder[model.Panel]]:
    kinds = bars_of(
        About("Capacity of each run", ["density_capacity_instances"], (14, 11)),
        "run_id",
        "Run",
        [Column(kind, _of(kind), COUNT) for kind in KINDS],
    )
    found = f"max by (run_id, ceiling, subject) ({last('density_verdict_confidence_ratio', RUNS)})"
    verdicts = table_of(
        About(
            "What stopped it",
            ["density_verdict_confidence_ratio"],
            (10, 11),
            "A run that no ceiling stopped is not here.",
        ),
        {"run_id": "Run", "ceiling": "Ceiling", "subject": "Of"},
        [Column("Confidence", found, "percentunit")],
        order="Run",
    )
    return [kinds, verdicts]


def _runs() -> table.Panel:
    about = About(
        "Runs",
        ["density_run_info", "density_run_start_time_seconds", "density_capacity_instances", "density_launches_total"],
        (24, 9),
        "A click on a start shows that run.",
    )
    info = f"max by (run_id, profile, until) ({last('density_run_info', RUNS)})"
    seen = f"max_over_time(timestamp({selector('density_run_info', RUNS)})[{RANGE}:5s])"
    ready = f"sum by (run_id, le) ({last('density_launch_seconds_bucket', RUNS, phase='ready')})"
    columns = [
        Column("", info, COUNT),
        Column("Started", _RUN(f"{last('density_run_start_time_seconds', RUNS)} * 1000"), "dateTimeAsIso", link=OPEN),
        Column("Last seen", _RUN(f"{seen} * 1000"), "dateTimeAsIso"),
        *(Column(kind, _of(kind), COUNT) for kind in KINDS),
        Column("Launched", f"sum by (run_id) ({last('density_launches_total', RUNS)})", COUNT),
        Column("Failed", f"sum by (run_id) ({last('density_launches_total', RUNS, outcome='failed')})", COUNT),
        Column("Ready within (95 %)", f"histogram_quantile(0.95, {ready})", "s"),
    ]
    return table_of(about, {"run_id": "Run", "profile": "Profile", "until": "Until"}, columns, order="Started")


def _footprints() -> list[table.Panel]:
    """What is counted in bytes apart from the rest, since a column has one unit."""
    ids = (ceiling.id for ceiling in CATALOG if ceiling.unit == "bytes")
    in_bytes = "|".join(name.replace(".", "[.]") + ".*" for name in sorted({"memory.", *ids}))
    return [
        _footprint("Bytes of one instance", f"~{in_bytes}", "bytes", least=1),
        _footprint("Other costs of one instance", f"!{in_bytes}", "short", least=0.001),
    ]


def _footprint(title: str, resources: str, unit: str, *, least: float) -> table.Panel:
    """Costs that are next to nothing, or below it, are noise of the fit and left out."""
    about = About(title, ["density_footprint"], (12, 12), "An interval that reaches below nothing is noise.", unit=unit)

    def cost(name: str) -> str:
        return f"max by (run_id, workload, resource) ({last(name, RUNS, resource=resources)})"

    shown = f"({cost('density_footprint')} >= {least:g})"
    columns = [
        Column("Cost", shown, unit),
        Column("At the least", f"{cost('density_footprint_low')} and {shown}", unit),
        Column("At the most", f"{cost('density_footprint_high')} and {shown}", unit),
    ]
    labels = {"run_id": "Run", "workload": "Workload", "resource": "Resource"}
    return table_of(about, labels, columns, order="Cost")
