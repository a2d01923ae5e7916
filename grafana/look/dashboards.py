"""Dashboards as they stand on disk: panels, their queries, and the variables in them filled in."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DIRECTORY = Path(__file__).parents[1] / "dashboards"
SCRAPE_SECONDS = 1
ANYTHING = ".+"
"""What the variables with many values mean by All."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One query.

    Attributes:
        title: of the panel, or of the annotation.
        instant: for the end of the time alone.
        legend: with `{{LABEL}}` for the labels' values.
    """

    title: str
    ref: str
    expr: str
    instant: bool
    legend: str


def load(directory: Path = DIRECTORY) -> dict[str, dict[str, Any]]:
    """Every dashboard by its uid."""
    found = (json.loads(path.read_text(encoding="utf-8")) for path in sorted(directory.glob("*.json")))
    return {document["uid"]: document for document in found}


def of_panel(panel: Mapping[str, Any]) -> Iterator[Asked]:
    """The queries of one panel."""
    for target in panel["targets"]:
        yield Asked(
            title=panel["title"],
            ref=target["refId"],
            expr=target["expr"],
            instant=target.get("instant", False),
            legend=target.get("legendFormat", ""),
        )


def of_annotations(document: Mapping[str, Any]) -> Iterator[Asked]:
    """What marks moments on all graphs."""
    for annotation in document.get("annotations", {}).get("list", ()):
        yield Asked(
            annotation["name"], "", annotation["target"]["expr"], instant=False, legend=annotation["textFormat"]
        )


@dataclass(frozen=True, slots=True)
class Window:
    """The time a dashboard shows, in UNIX seconds, and the finest step of its graphs."""

    start: float
    end: float
    step: int = 2

    def filled(self, expr: str, run_id: str) -> str:
        """An expression with every variable in it replaced as Grafana would for this run.

        Raises:
            ValueError: there is a variable that nothing is known of.
        """
        values = {
            "run": run_id,
            "runs": ANYTHING,
            "workload": ANYTHING,
            "__range": f"{int(self.end - self.start)}s",
            "__rate_interval": f"{max(self.step + SCRAPE_SECONDS, 4 * SCRAPE_SECONDS)}s",
        }
        try:
            return re.sub(r"\$\{?(\w+)\}?", lambda match: values[match[1]], expr)
        except KeyError as error:
            raise ValueError(f"{expr}: nothing is known of the variable {error}") from error


def legend(asked: Asked, labels: Mapping[str, str]) -> str:
    """A series' name."""
    return re.sub(r"\{\{\s*(\w+)\s*\}\}", lambda match: labels.get(match[1], ""), asked.legend).strip()
