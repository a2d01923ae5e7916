"""The kinds of panels, each with density's defaults. A series' colour follows from its name, never from its place."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from grafana_foundation_sdk.builders import bargauge, common, heatmap, prometheus, stat, timeseries
from grafana_foundation_sdk.builders.dashboard import FieldColor, ThresholdsConfig
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import common as words
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models import heatmap as heat
from grafana_foundation_sdk.models import prometheus as prom

from grafana.generate.about import About, Query
from grafana.generate.palette import CALM, GREY, NEAR, OVER, PURPLE, SERIES

DATASOURCE = words.DataSourceRef(type_val="prometheus", uid="${datasource}")
FINEST_STEP = "2s"
"""Of graphs; the rates in them are then over four scrapes and more."""
NEAR_SHARE, OVER_SHARE = 0.75, 0.9
"""Where a share of a limit turns from calm to near, and where the alert about ceilings fires."""
LETTERS = "ABCDEFGHIJ"
"""What queries are called, in their order."""


Panel = TypeVar("Panel", bound=Builder[model.Panel])


def dress(panel: Panel, about: About, queries: Iterable[prometheus.Dataquery]) -> Panel:
    """Give a panel what all of them have; its queries are called A, B and so on."""
    made = panel.build()  # the very object that the builder goes on changing
    made.title, made.description, made.datasource = about.title, about.description, DATASOURCE
    made.grid_pos = model.GridPos(w=about.size[0], h=about.size[1])
    made.targets = [
        query.ref_id(letter).datasource(DATASOURCE).build() for letter, query in zip(LETTERS, queries, strict=False)
    ]
    made.field_config = made.field_config or model.FieldConfigSource()
    made.field_config.defaults.unit = about.shown_unit
    return panel


def over_time(query: Query) -> prometheus.Dataquery:
    """Asked for the whole of the dashboard's time."""
    return prometheus.Dataquery().expr(query.expr).legend_format(query.legend or "__auto").range().interval(FINEST_STEP)


def at_end(query: Query) -> prometheus.Dataquery:
    """Asked for the end of the dashboard's time alone, as rows of a table."""
    return prometheus.Dataquery().expr(query.expr).instant().format(prom.PromQueryFormat.TABLE)


def fixed(color: str) -> FieldColor:
    """One colour."""
    return FieldColor().mode(model.FieldColorModeId.FIXED).fixed_color(color)


def thresholds(steps: Mapping[float, str], *, base: str = CALM) -> ThresholdsConfig:
    """`base` below the lowest step."""
    found = [model.Threshold(None, base), *(model.Threshold(value, color) for value, color in steps.items())]
    return ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(found)


def by_threshold() -> FieldColor:
    """The colour that the last value has by the panel's thresholds."""
    by = model.FieldColorSeriesByMode.LAST
    return FieldColor().mode(model.FieldColorModeId.THRESHOLDS).series_by(by)


SHARE = {NEAR_SHARE: NEAR, OVER_SHARE: OVER}
"""Thresholds of a share of a limit."""


def graph(about: About, *queries: Query, names: Sequence[str] = (), stacked: bool = False) -> timeseries.Panel:
    """Lines over time; `names` are those that a legend with a label in it may come to. What has no colour is grey."""
    panel = dress(timeseries.Panel(), about, map(over_time, queries))
    panel.color_scheme(fixed(GREY)).line_width(2).show_points(words.VisibilityMode.NEVER).span_nulls(span_nulls=False)
    panel.fill_opacity(60 if stacked else 0).min(0)
    panel.legend(
        common.VizLegendOptions()
        .show_legend(show_legend=True)
        .display_mode(words.LegendDisplayMode.LIST)
        .placement(words.LegendPlacement.BOTTOM)
        .calcs(["lastNotNull"])
    )
    panel.tooltip(common.VizTooltipOptions().mode(words.TooltipDisplayMode.MULTI).sort(words.SortOrder.DESCENDING))
    if stacked:
        panel.line_width(1).stacking(common.StackingConfig().mode(words.StackingMode.NORMAL).group("A"))
    for name in (*(query.legend for query in queries if "{{" not in query.legend), *names):
        panel.override_by_name(name, [_colored(SERIES[name])])
    return panel


def dashed(panel: timeseries.Panel, *names: str) -> timeseries.Panel:
    """Series that are no measurement (a target, a limit, a forecast) are dashed, so that no colour is needed."""
    for name in names:
        style = model.DynamicConfigValue("custom.lineStyle", {"fill": "dash", "dash": [8, 6]})
        steps = model.DynamicConfigValue("custom.lineInterpolation", words.LineInterpolation.STEP_AFTER)
        panel.override_by_name(name, [style, steps])
    return panel


def number(about: About, query: Query, *, color: str = SERIES["used"], none: str = "–") -> stat.Panel:
    """The latest value, large, with its course behind it; `none` is shown where there is nothing yet."""
    panel = dress(stat.Panel(), about, [over_time(query)])
    panel.reduce_options(common.ReduceDataOptions().values(values=False).calcs(["lastNotNull"]))
    panel.graph_mode(words.BigValueGraphMode.AREA).color_mode(words.BigValueColorMode.VALUE)
    return panel.text_mode(words.BigValueTextMode.VALUE).no_value(none).color_scheme(fixed(color))


def name(about: About, query: Query, *, none: str) -> stat.Panel:
    """The name of the one series that a query finds at the end of the dashboard's time."""
    asked = prometheus.Dataquery().expr(query.expr).legend_format(query.legend).instant()
    panel = dress(stat.Panel(), about, [asked])
    panel.reduce_options(common.ReduceDataOptions().values(values=False).calcs(["lastNotNull"]))
    panel.graph_mode(words.BigValueGraphMode.NONE).color_mode(words.BigValueColorMode.NONE)
    return panel.text_mode(words.BigValueTextMode.NAME).no_value(none)


def bars(about: About, query: Query, *, color: str) -> bargauge.Panel:
    """One bar a series, named beside it."""
    asked = prometheus.Dataquery().expr(query.expr).legend_format(query.legend).instant()
    panel = dress(bargauge.Panel(), about, [asked])
    panel.reduce_options(common.ReduceDataOptions().values(values=False).calcs(["lastNotNull"]))
    panel.orientation(words.VizOrientation.HORIZONTAL).display_mode(words.BarGaugeDisplayMode.BASIC)
    return panel.min(0).color_scheme(fixed(color)).no_value("none")


def heat_map(about: About, query: Query) -> heatmap.Panel:
    """Buckets over time; darker is more. The scheme goes by lightness, so it needs no hue."""
    asked = prometheus.Dataquery().expr(query.expr).legend_format("{{le}}").range().interval("5s")
    panel = dress(heatmap.Panel(), about, [asked.format(prom.PromQueryFormat.HEATMAP)])
    panel.calculate(calculate=False).cell_gap(1).show_value(words.VisibilityMode.NEVER).show_legend().exemplars_color(
        PURPLE
    )
    panel.y_axis(heatmap.YAxisConfig().unit(about.shown_unit).axis_placement(words.AxisPlacement.LEFT))
    panel.cell_values(heatmap.CellValues().unit("locale"))
    panel.rows_frame(heatmap.RowsHeatmapOptions().layout(words.HeatmapCellLayout.AUTO).value("launches a second"))
    scale = heatmap.HeatmapColorOptions().mode(heat.HeatmapColorMode.SCHEME).scheme("Cividis").steps(64)
    return panel.color(scale.scale(heat.HeatmapColorScale.EXPONENTIAL).exponent(0.5).reverse(reverse=False))


def _colored(color: str) -> model.DynamicConfigValue:
    return model.DynamicConfigValue("color", {"mode": "fixed", "fixedColor": color})


def logarithmic() -> common.ScaleDistributionConfig:
    """An axis on which a factor of ten is as long everywhere."""
    return common.ScaleDistributionConfig().type(words.ScaleDistribution.LOG).log(10)
