"""Pictures of dashboards for one run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from grafana.look.answers import Answers
from grafana.look.dashboards import Window, legend, of_annotations, of_panel
from grafana.look.draw import draw
from grafana.look.prometheus import Prometheus


def pictures(
    documents: Mapping[str, Mapping[str, Any]], prometheus: Prometheus, window: Window, run_id: str, directory: Path
) -> list[Path]:
    """`UID.png` of each dashboard; the paths."""
    directory.mkdir(parents=True, exist_ok=True)
    paths = []
    for uid, document in documents.items():
        held = {panel["id"]: hold(panel, prometheus, window, run_id) for panel in document["panels"]}
        moments = [
            (series.times[0], legend(asked, series.labels))
            for asked in of_annotations(document)
            for series in prometheus.ask(asked, window, run_id)
        ]
        paths.append(directory / f"{uid}.png")
        draw(document, held, moments, paths[-1])
    return paths


def hold(panel: Mapping[str, Any], prometheus: Prometheus, window: Window, run_id: str) -> Answers:
    """A panel's queries with their answers."""
    return [(asked, prometheus.ask(asked, window, run_id)) for asked in of_panel(panel)]
