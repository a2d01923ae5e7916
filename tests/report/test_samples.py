"""The samples in the docs: that they are there, and that what is made now still looks like them."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from support.compared import compared
from support.planning import planned
from support.recorded_runs import recorded

from density.capacity.versus.figure import Figures
from density.controller.versus.measure import Comparison
from density.report.compare import document as comparison
from density.report.compare.comparison import compare
from density.report.plan import document as plan
from density.report.recorded import read_run
from density.report.versus import document as versus

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "docs/samples"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


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
            empty = Comparison("20260101-000000-0000", (), figures=Figures())
            return versus.document(empty, (), profile="versus", seconds=1.0)


@pytest.mark.parametrize("name", ["report", "compare", "plan", "versus"])
def test_json_has_the_keys_of_its_sample(name: str, tmp_path: Path) -> None:
    """A key that is new, renamed or gone makes the sample a lie."""
    sample = json.loads((SAMPLES / f"{name}.json").read_text(encoding="utf-8"))
    assert list(made(name, tmp_path)) == list(sample)


@pytest.mark.parametrize("name", ["report.html", "report.md", "junit.xml", "compare.html", "compare.md", "compare.txt",
                                  "plan.md", "versus.txt"])  # fmt: skip
def test_every_format_has_a_sample(name: str) -> None:
    """Of a real run, and it is no empty file."""
    assert (SAMPLES / name).stat().st_size > 500
