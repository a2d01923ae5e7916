"""The samples in the docs: that they are there, and that what is made now still looks like them."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from support.compared import compared
from support.planning import planned
from support.recorded_runs import recorded

from density.capacity.versus.figure import Figures, Subject
from density.cli import compare as compare_command
from density.cli import plan as plan_command
from density.controller.versus.measure import Comparison
from density.model import Workload
from density.report.compare import document as comparison
from density.report.compare.comparison import compare
from density.report.formats import ONE_FILE
from density.report.plan import document as plan
from density.report.recorded import read_run
from density.report.versus import document as versus
from density.report.versus.table import make_rows

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "docs/samples"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BY_NAME = {
    "host", "engines", "workloads", "footprint", "per_workload", "kernels", "footprints", "runs", "demand", "per_type",
    "metrics", "subjects", "cells", "counts", "overcommit", "instances", "accelerators", "cost", "price", "room",
    "endings", "extrapolation[]",  # each kind has its own keys
}  # fmt: skip
"""Tables of a document whose keys are names of a run, a host or a workload."""


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    """Every relative link and picture of a page is a file of the repository."""
    targets = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", path.read_text(encoding="utf-8"))
    assert [target for target in targets if not (path.parent / target).exists()] == []


def made(name: str, directory: Path) -> dict[str, Any]:
    """The document of each kind, as it is made now."""
    match name:
        case "report":
            return read_run(recorded("real", directory)).result
        case "compare":
            return comparison.document(compare([compared(1)], [[compared(2)]]), [])
        case "plan":
            return plan.document(planned({"web": 10}))
        case _:
            subjects = (Subject(workload=Workload(name="process", engine="native")),)
            figures = Figures()
            figures.add("disk", "image", "process", [727.0], unit="bytes")
            found = Comparison("20260101-000000-0000", ("disk",), subjects=subjects, figures=figures)
            return versus.document(found, make_rows(figures, subjects, ("disk",)), profile="versus", seconds=1.0)


def tables(value: object, path: str = "") -> dict[str, set[str]]:
    """Path -> the keys of the tables there, those of all elements of a list together."""
    found: dict[str, set[str]] = {}
    if isinstance(value, dict):
        by_name = path.rpartition("/")[2] in BY_NAME or path == "/footprints/*"
        if not by_name:
            found[path] = set(value)
        children = [(inner, f"{path}/{'*' if by_name else key}") for key, inner in value.items()]
    else:
        children = [(inner, f"{path}[]") for inner in value] if isinstance(value, list) else []
    for inner, below in children:
        for where, keys in tables(inner, below).items():
            found[where] = found.get(where, set()) | keys
    return found


@pytest.mark.parametrize("name", ["report", "compare", "plan", "versus"])
def test_json_has_the_keys_of_its_sample(name: str, tmp_path: Path) -> None:
    """At every depth that both have: a key that is new, renamed or gone makes the sample a lie."""
    sample = tables(json.loads((SAMPLES / f"{name}.json").read_text(encoding="utf-8")))
    now = tables(made(name, tmp_path))
    both = sample.keys() & now.keys()
    assert "" in both
    assert {path: sample[path] for path in both} == {path: now[path] for path in both}


COMMANDS = {"compare": compare_command.SUFFIXES, "plan": plan_command.SUFFIXES}
FORMATS = [
    *(file for file, _ in ONE_FILE.values()),
    *(f"{name}{suffix}" for name, suffixes in COMMANDS.items() for suffix in suffixes if suffix != ".htm"),
    "compare.txt",
    "versus.txt",
    "versus.json",
]


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_has_a_sample(name: str) -> None:
    """Also a new one; each is of a real run, and no empty file."""
    assert (SAMPLES / name).stat().st_size > 500
