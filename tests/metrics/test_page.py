"""The page of metrics for people."""

from pathlib import Path

from density.metrics.page import page
from density.metrics.table import TABLE
from density.metrics.table.instances import INSTANCES

DOCS = Path(__file__).parents[2] / "docs/metrics.md"


def test_the_page_for_people_is_the_table() -> None:
    """After a change: python -c "from density.metrics.page import page; print(page(), end='')" > docs/metrics.md."""
    assert DOCS.read_text() == page()


def test_no_metric_is_missing() -> None:
    """Each has a line, and only one."""
    lines = page().splitlines()
    for metric in (*TABLE, *INSTANCES):
        assert sum(line.startswith(f"| `{metric.name}` |") for line in lines) == 1
