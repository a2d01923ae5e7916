"""Tables and bars that put the answers of several queries side by side, one row a thing."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from grafana_foundation_sdk.builders import barchart, common, table
from grafana_foundation_sdk.models import common as words
from grafana_foundation_sdk.models import dashboard as model

from grafana.generate.about import About, Query
from grafana.generate.palette import SERIES
from grafana.generate.panels import LETTERS, at_end, dress, thresholds


@dataclass(frozen=True, slots=True)
class Column:
    """What one query adds to every row.

    Attributes:
        title: its heading; empty for a query that brings labels and no value worth showing.
        expr: its series must have the labels that name the row, and no others.
        unit: Grafana's.
        gauge: the value is drawn as a bar, 0 to 1, coloured by these thresholds.
        link: where a click on it leads.
    """

    title: str
    expr: str
    unit: str
    decimals: int | None = None
    gauge: dict[float, str] = field(default_factory=dict)
    link: str = ""
    width: int = 0


def table_of(
    about: About, labels: dict[str, str], columns: Sequence[Column], *, order: str, descending: bool = True
) -> table.Panel:
    """One row for each combination of `labels` (label -> its heading), then the columns, sorted by one of them."""
    panel = dress(table.Panel(), about, [at_end(Query(column.expr)) for column in columns])
    for step in _side_by_side(labels, [column.title for column in columns]):
        panel.with_transformation(step)
    panel.sort_by([common.TableSortByFieldState().display_name(order).desc(descending)])
    panel.cell_height(words.TableCellHeight.SM).filterable(filterable=False)
    for column in columns:
        if column.title:
            panel.override_by_name(column.title, _properties(column))
    return panel


def bars_of(about: About, label: str, heading: str, columns: Sequence[Column]) -> barchart.Panel:
    """A group of bars for each value of `label`, one bar a column."""
    panel = dress(barchart.Panel(), about, [at_end(Query(column.expr)) for column in columns])
    for step in _side_by_side({label: heading}, [column.title for column in columns]):
        panel.with_transformation(step)
    panel.x_field(heading).group_width(0.75).bar_width(0.9).show_value(words.VisibilityMode.AUTO).min(0)
    panel.legend(common.VizLegendOptions().show_legend(show_legend=True).placement(words.LegendPlacement.BOTTOM))
    for column in columns:
        color = model.DynamicConfigValue("color", {"mode": "fixed", "fixedColor": SERIES[column.title]})
        panel.override_by_name(column.title, [color])
    return panel


def _side_by_side(labels: dict[str, str], titles: Sequence[str]) -> list[model.DataTransformerConfig]:
    """Rows of all queries with the same labels become one, with headings that a person reads."""
    values = {_value(number, len(titles)): title for number, title in enumerate(titles)}
    names = labels | {value: title for value, title in values.items() if title}
    organised = {
        "excludeByName": {"Time": True} | {value: True for value, title in values.items() if not title},
        "indexByName": {key: place for place, key in enumerate(names)},
        "renameByName": names,
    }
    return [
        model.DataTransformerConfig("merge", options={}),
        model.DataTransformerConfig("organize", options=organised),
    ]


def _value(number: int, of: int) -> str:
    """What Grafana calls the values of a query."""
    return f"Value #{LETTERS[number]}" if of > 1 else "Value"


def _properties(column: Column) -> list[model.DynamicConfigValue]:
    found = [model.DynamicConfigValue("unit", column.unit)]
    if column.decimals is not None:
        found.append(model.DynamicConfigValue("decimals", column.decimals))
    if column.gauge:
        gauge = words.TableBarGaugeCellOptions(mode=words.BarGaugeDisplayMode.BASIC)
        found += [
            model.DynamicConfigValue("custom.cellOptions", gauge),
            model.DynamicConfigValue("min", 0),
            model.DynamicConfigValue("max", 1),
            model.DynamicConfigValue("thresholds", thresholds(column.gauge).build()),
            model.DynamicConfigValue("color", {"mode": "thresholds"}),
        ]
    if column.link:
        link = {"title": "Show this run", "url": column.link}
        found.append(model.DynamicConfigValue("links", [link]))
    if column.width:
        found.append(model.DynamicConfigValue("custom.width", column.width))
    return found
