"""What a panel holds: the answers to its queries, named, coloured and put into rows as its JSON says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from grafana.generate.palette import GREY
from grafana.look.dashboards import Asked, legend
from grafana.look.prometheus import Series

Answers = Sequence[tuple[Asked, Sequence[Series]]]
"""A panel's queries, each with what it found."""
Cell = float | str | None


@dataclass(frozen=True, slots=True)
class Named:
    """One series as the panel shows it."""

    name: str
    series: Series
    color: str
    dashed: bool


def named(panel: Mapping[str, Any], answers: Answers) -> list[Named]:
    """Every series with its legend, its colour and its line."""
    defaults = panel["fieldConfig"]["defaults"]
    found = []
    for asked, many in answers:
        for series in many:
            name = legend(asked, series.labels) or "value"
            own = properties(panel, name)
            color = own.get("color", defaults.get("color", {})).get("fixedColor") or by_threshold(defaults, series.last)
            found.append(Named(name, series, color, dashed="custom.lineStyle" in own))
    return found


def properties(panel: Mapping[str, Any], name: str) -> dict[str, Any]:
    """What the panel says of one field alone."""
    overrides = (override for override in panel["fieldConfig"]["overrides"] if override["matcher"]["options"] == name)
    return {entry["id"]: entry["value"] for override in overrides for entry in override["properties"]}


def by_threshold(defaults: Mapping[str, Any], value: float) -> str:
    """The colour of the highest threshold that a value reaches."""
    steps = defaults.get("thresholds", {"steps": [{"value": None, "color": GREY}]})["steps"]
    return str([step["color"] for step in steps if step["value"] is None or value >= step["value"]][-1])


def rows(panel: Mapping[str, Any], answers: Answers) -> tuple[list[str], list[list[Cell]]]:
    """Headings and rows of a table, after its transformations: merge by labels, then organise."""
    organise = next(step["options"] for step in panel["transformations"] if step["id"] == "organize")
    merged: dict[tuple[str, ...], dict[str, Cell]] = {}
    shared = _shared_labels(answers)
    for asked, many in answers:
        value = f"Value #{asked.ref}" if len(answers) > 1 else "Value"
        for series in many:
            row = merged.setdefault(tuple(series.labels.get(label, "") for label in shared), {})
            row.update(series.labels)
            row[value] = series.last
    keys = sorted(organise["renameByName"], key=organise["indexByName"].__getitem__)
    headings = [organise["renameByName"][key] for key in keys]
    found = [[row.get(key) for key in keys] for row in merged.values()]
    return headings, _sorted(panel, headings, found)


def _shared_labels(answers: Answers) -> list[str]:
    """Labels that the answers to every query have, by which their rows are merged; an empty one is no label."""
    names = [set().union(*(series.labels for series in many)) for _, many in answers if many]
    return sorted(set.intersection(*names)) if names else []


def _sorted(panel: Mapping[str, Any], headings: list[str], found: list[list[Cell]]) -> list[list[Cell]]:
    for order in panel["options"].get("sortBy", ()):
        place = headings.index(order["displayName"])
        found.sort(key=lambda row: (row[place] is not None, row[place] or 0), reverse=order.get("desc", False))
    return found
