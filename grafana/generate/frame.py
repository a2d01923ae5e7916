"""What all dashboards share: variables, annotations, links to each other, the grid."""

from collections.abc import Sequence

from grafana_foundation_sdk.builders import dashboard, prometheus
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as model

from grafana.generate import metric
from grafana.generate.palette import PURPLE, VERMILLION
from grafana.generate.panels import DATASOURCE

WIDTH = 24
"""Columns of Grafana's grid."""
TAG = "density"
RUN_IDS = "label_values(density_run_info, run_id)"
Line = Sequence[Builder[model.Panel]]
"""Panels beside each other, of one height."""


def frame(title: str, description: str, lines: Sequence[Line]) -> dashboard.Dashboard:
    """A dashboard of one run: live, the last quarter of an hour; the newest run is chosen."""
    found = _bare(title, description, lines).refresh("5s").time("now-15m", "now")
    return found.with_variable(_run()).annotation(_waves()).annotation(_alerts())


def workloads() -> Builder[model.VariableModel]:
    """All workloads of the run, until some are chosen."""
    asked = f"label_values({metric.selector('density_workload_info')}, workload)"
    return _many("workload", "Workloads", asked)


def comparison(title: str, description: str, lines: Sequence[Line]) -> dashboard.Dashboard:
    """A dashboard of many runs: those of the last week, until some are chosen."""
    return (
        _bare(title, description, lines)
        .refresh("1m")
        .time("now-7d", "now")
        .with_variable(_many("runs", "Runs", RUN_IDS))
    )


def link_to(title: str) -> str:
    """Address of a dashboard by its title."""
    return f"/d/{_uid(title)}"


def _uid(title: str) -> str:
    return f"density-{title.lower()}"


def _bare(title: str, description: str, lines: Sequence[Line]) -> dashboard.Dashboard:
    found = dashboard.Dashboard(f"density: {title}").uid(_uid(title)).description(description).tags([TAG]).readonly()
    found.tooltip(model.DashboardCursorSync.CROSSHAIR).timezone("browser").with_variable(_datasource())
    found.timepicker(dashboard.TimePicker().refresh_intervals(["5s", "10s", "30s", "1m", "5m"]))
    found.link(
        dashboard.DashboardLink("density").type(model.DashboardLinkType.DASHBOARDS).tags([TAG])
        .include_vars(include_vars=True).keep_time(keep_time=True)
    )  # fmt: skip
    for panel in _placed(lines):
        found.with_panel(panel)
    return found


class _Ready(Builder[model.Panel]):
    """A panel that was built already, for a builder that wants to build."""

    def __init__(self, panel: model.Panel) -> None:
        self._panel = panel

    def build(self) -> model.Panel:
        """The panel."""
        return self._panel


def _placed(lines: Sequence[Line]) -> list[_Ready]:
    """Every panel with an id and its place, line below line.

    Raises:
        ValueError: a line's panels are not of one height, or do not fill its width.
    """
    placed: list[_Ready] = []
    top = 0
    for line in lines:
        panels = [panel.build() for panel in line]
        heights = {panel.grid_pos.h for panel in panels if panel.grid_pos}
        left = 0
        for panel in panels:
            assert panel.grid_pos, "dressed"
            panel.id_val = len(placed) + 1
            panel.grid_pos.x, panel.grid_pos.y = left, top
            left += panel.grid_pos.w
            placed.append(_Ready(panel))
        if left != WIDTH or len(heights) != 1:
            raise ValueError(f"the line of {panels[0].title!r} is {left} wide, and its heights are {heights}")
        top += heights.pop()
    return placed


def _datasource() -> Builder[model.VariableModel]:
    return dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus")


def _run() -> Builder[model.VariableModel]:
    """Ids start with the time, so the newest is the first of the falling order, and the first is what is chosen."""
    return (
        dashboard.QueryVariable("run").label("Run").datasource(DATASOURCE).query(RUN_IDS)
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED).sort(model.VariableSort.ALPHABETICAL_DESC)
    )  # fmt: skip


def _many(name: str, label: str, query: str) -> Builder[model.VariableModel]:
    return (
        dashboard.QueryVariable(name).label(label).datasource(DATASOURCE).query(query)
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED).sort(model.VariableSort.ALPHABETICAL_DESC)
        .multi(multi=True).include_all(include_all=True).all_value(".+")
        .current(model.VariableOption(selected=True, text=["All"], value=["$__all"]))
    )  # fmt: skip


def _waves() -> Builder[model.AnnotationQuery]:
    """A wave's number becomes a label, so each wave is a series, and so a region with a line where it begins."""
    expr = f'count_values("wave", {metric.now("density_wave")}) and on () ({metric.now("density_wave")} > 0)'
    return _annotation("Waves", expr, PURPLE).text_format("wave {{wave}}")


def _alerts() -> Builder[model.AnnotationQuery]:
    expr = f'ALERTS{{alertname=~"Density.+",alertstate="firing",{metric.RUN}}}'
    return _annotation("Alerts", expr, VERMILLION).text_format("{{alertname}} {{ceiling}} {{subject}}")


def _annotation(name: str, expr: str, color: str) -> dashboard.AnnotationQuery:
    asked = prometheus.Dataquery().expr(expr).range().ref_id(name).interval("1s").datasource(DATASOURCE)
    found = dashboard.AnnotationQuery().name(name).datasource(DATASOURCE).enable(enable=True).icon_color(color)
    return found.target(asked).expr(expr).title_format(name)
