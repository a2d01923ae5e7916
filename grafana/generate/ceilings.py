"""Ceilings: how near each is, which comes next, and which it was."""

from grafana_foundation_sdk.builders import dashboard, table
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as model

from grafana.generate import panels
from grafana.generate.about import About, Query
from grafana.generate.frame import frame
from grafana.generate.metric import COUNT, last, most, now, still_told
from grafana.generate.palette import VERMILLION
from grafana.generate.tables import Column, table_of

SHOWN_SHARE = 0.05
"""Ceilings never used so much are in the table, and only there."""
FARTHEST = 1_000_000
"""Forecasts beyond this many instances come from costs that are next to nothing."""
_EACH = "max by (ceiling, subject) ({})".format


def ceilings() -> dashboard.Dashboard:
    """The dashboard."""
    described = "How much of each ceiling is used, at how many instances it would be reached, and which one bound."
    return frame("Ceilings", described, [_first(), [_all()], _course(), [_advice()]])


def _first() -> list[Builder[model.Panel]]:
    forecast = "density_ceiling_forecast_instances"
    nearest = f"bottomk(1, {_EACH(still_told(forecast))})"
    return [
        panels.name(
            About("Nearest ceiling", [forecast], (8, 4), "The one with the lowest count."),
            Query(nearest, "{{ceiling}} {{subject}}"),
            none="no forecast yet",
        ),
        panels.number(
            About("It would be reached at", [forecast], (4, 4)),
            Query(f"min({now(forecast)})"),
            color=VERMILLION,
            none="no forecast yet",
        ).decimals(0),
        panels.name(
            About("Verdict", ["density_verdict_info"], (8, 4)),
            Query(f"max by (ceiling, subject) ({last('density_verdict_info')})", "{{ceiling}} {{subject}}"),
            none="none yet",
        ),
        panels.number(
            About("Confidence of the verdict", ["density_verdict_confidence_ratio"], (4, 4)),
            Query(f"max({now('density_verdict_confidence_ratio')})"),
            none="none yet",
        ),
    ]


def _all() -> table.Panel:
    about = About(
        "Every ceiling, the fullest first",
        ["density_ceiling_used_ratio", "density_ceiling_reserve_ratio", "density_ceiling_limit",
         "density_ceiling_forecast_instances"],
        (24, 13),
    )  # fmt: skip
    columns = [
        Column("Most used", _EACH(most("density_ceiling_used_ratio")), "percentunit", gauge=panels.SHARE, width=300),
        Column("Now", _EACH(last("density_ceiling_used_ratio")), "percentunit"),
        Column("Kept free", _EACH(last("density_ceiling_reserve_ratio")), "percentunit"),
        Column("Limit (bytes, seconds or a count)", _EACH(last("density_ceiling_limit")), COUNT),
        Column("Reached at", _EACH(still_told("density_ceiling_forecast_instances")), COUNT, decimals=0),
        Column("At the least", _EACH(still_told("density_ceiling_forecast_low_instances")), COUNT, decimals=0),
        Column("At the most", _EACH(still_told("density_ceiling_forecast_high_instances")), COUNT, decimals=0),
    ]
    return table_of(about, {"ceiling": "Ceiling", "subject": "Of"}, columns, order="Most used")


def _course() -> list[Builder[model.Panel]]:
    used = panels.graph(
        About(
            f"Use of ceilings, from {SHOWN_SHARE:.0%}",
            ["density_ceiling_used_ratio"],
            (12, 11),
            "The colour is that of the latest value: calm, near, or over the share at which an alert fires.",
        ),
        Query(
            f"{_EACH(now('density_ceiling_used_ratio'))} and on (ceiling, subject) "
            f"({_EACH(most('density_ceiling_used_ratio'))} >= {SHOWN_SHARE:g})",
            "{{ceiling}} {{subject}}",
        ),
    )
    used.thresholds(panels.thresholds(panels.SHARE)).color_scheme(panels.by_threshold())
    forecast = panels.graph(
        About(
            "Forecasts",
            ["density_ceiling_forecast_instances", "density_instances"],
            (12, 11),
            f"Grey: one line a ceiling, up to {FARTHEST:,} instances. The nearest one is what the ramp will meet.",
        ),
        Query(
            f"{_EACH(now('density_ceiling_forecast_instances'))} < {FARTHEST:.0f}",
            "{{ceiling}} {{subject}}",
        ),
        Query(f"min({now('density_ceiling_forecast_instances')})", "nearest forecast"),
        Query(f"sum({now('density_instances', phase='ready')})", "ready"),
    )
    for name in ("nearest forecast", "ready"):
        forecast.override_by_name(name, [model.DynamicConfigValue("custom.lineWidth", 3)])
    return [used, forecast.line_width(1).scale_distribution(panels.logarithmic())]


def _advice() -> table.Panel:
    about = About("What to change", ["density_verdict_info"], (24, 5))
    found = f"max by (resource, fix) ({last('density_verdict_info')})"
    columns = [Column("", found, COUNT)]
    return table_of(about, {"resource": "What ran out", "fix": "What to change"}, columns, order="What ran out")
