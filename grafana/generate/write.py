"""Dashboards to the JSON that Grafana reads."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder

from grafana.generate.capacity import capacity
from grafana.generate.ceilings import ceilings
from grafana.generate.host import host
from grafana.generate.ramp import ramp

DIRECTORY = Path(__file__).parents[1] / "dashboards"
DASHBOARDS: Mapping[str, Callable[[], dashboard.Dashboard]] = {
    "ramp.json": ramp,
    "ceilings.json": ceilings,
    "host.json": host,
    "capacity.json": capacity,
}


def text(build: Callable[[], dashboard.Dashboard]) -> str:
    """One dashboard as JSON, the same every time."""
    document = json.loads(JSONEncoder().encode(build().build()))
    return json.dumps(_in_sight(document), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _in_sight(document: dict[str, Any]) -> dict[str, Any]:
    """Links and annotations where they are seen: the library's types put each into a menu, and nowhere else."""
    for entry in (*document["links"], *document.get("annotations", {}).get("list", ())):
        del entry["placement"]
    return document


def write(directory: Path = DIRECTORY) -> None:
    """Write every dashboard."""
    for name, build in DASHBOARDS.items():
        (directory / name).write_text(text(build), encoding="utf-8")
