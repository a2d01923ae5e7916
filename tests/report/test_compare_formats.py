"""A comparison as people and programs get it: text, Markdown, HTML, JSON; and names that mean harm."""

import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from support.compared import compared

from density.capacity.compare.difference import Difference
from density.report.compare.comparison import Comparison, Row, compare
from density.report.compare.conditions import Condition
from density.report.compare.document import document
from density.report.compare.gates import Judged, judge, parse_gate
from density.report.compare.html import html
from density.report.compare.markdown import markdown
from density.report.compare.text import print_comparison
from density.report.compare.words import change, clean, effect, interval, is_main, value

GOLDEN = Path(__file__).parent / "golden"
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "| a | **b** | `c` | [d](http://e) @f #1",
    "\x1b[31mred\x1b]0;title\x07",
    "\u202eright to left\u2066",
    "x" * 10_000,
    "two\nlines",
)


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    """Of two runs, the second with instances that take 5 % more memory."""
    return compare([compared(1)], [[compared(2, "simulated.costs.db.memory=220MiB")]])


@pytest.fixture(scope="module")
def judged(comparison: Comparison) -> list[Judged]:
    """A gate that fires, and one that does not."""
    return judge([parse_gate("capacity.slo -3%"), parse_gate("rate -50%")], comparison)


@pytest.fixture(scope="module")
def hostile(comparison: Comparison) -> Comparison:
    """The same, with names that mean harm wherever one may come from outside."""
    (against,) = comparison.others
    rows = tuple(replace(against.rows[0], key=f"{name}.ready_seconds", note=name) for name in HOSTILE)
    conditions = tuple(Condition(name, name, name, name) for name in HOSTILE)
    run = compared(3, "ramp.max=3", run_id=HOSTILE[0], profile_name=HOSTILE[1])
    found = replace(against, group=[run], rows=rows, conditions=conditions)
    return replace(comparison, others=(found,), doubts=HOSTILE)


def text(found: Comparison, *, width: int = 100) -> str:
    """As a terminal of this width would have it, without colours."""
    file = io.StringIO()
    print_comparison(found, Console(file=file, width=width, highlight=False))
    return "".join(line.rstrip() + "\n" for line in file.getvalue().splitlines())


def test_what_is_shown_at_100_columns(comparison: Comparison) -> None:
    """What differs first, then what may, then what does not."""
    assert text(comparison) == (GOLDEN / "compare.txt").read_text(encoding="utf-8")


def test_markdown(comparison: Comparison, judged: list[Judged]) -> None:
    """Every metric, in tables, and the gates."""
    assert markdown(comparison, judged) == (GOLDEN / "compare.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("width", [80, 120])
def test_no_line_is_wider_than_the_terminal(width: int, comparison: Comparison, hostile: Comparison) -> None:
    """Whatever names are shown."""
    for found in (comparison, hostile):
        assert max(map(len, text(found, width=width).splitlines())) <= width


@pytest.mark.parametrize("width", [60, 80, 100])
def test_names_are_whole_at_any_width(width: int, tmp_path: Path) -> None:
    """So that they can be copied into a gate, also long ones, and where a note stands beside them."""
    source = tmp_path / "long.toml"
    source.write_text('name = "long"\n[ramp]\nmax = 20\n[workloads.a-name-of-24-letters-00]\nengine = "simulated"\n')
    found = compare([compared(2, source=source)], [[compared(3, "ramp.max=45", source=source)]])
    shown = [line.split("  ")[0] for line in text(found, width=width).splitlines()]
    assert "ramp.max" in shown
    for row in filter(is_main, found.others[0].rows):
        assert row.key in shown


def test_json_has_every_metric(comparison: Comparison, judged: list[Judged]) -> None:
    """In base units, without infinities, by the names that gates have."""
    found = json.loads(json.dumps(document(comparison, judged), allow_nan=False))
    (against,) = found["others"]
    assert found["baseline"]["runs"] == ["run-1"]
    assert list(against["metrics"]) == [row.key for row in comparison.others[0].rows]
    capacity = against["metrics"]["capacity.hard"]
    assert capacity["finding"] == "different"
    assert capacity["difference"]["change"] == capacity["difference"]["other"] - capacity["difference"]["baseline"]
    unknown = [row for row in against["metrics"].values() if row["finding"] == "unknown"]
    assert all(row["difference"]["low"] is None and row["note"] for row in unknown)
    assert [gate["fired"] for gate in found["gates"]] == [True, False]


class Page(HTMLParser):
    """What a browser would make of it."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.words = ""
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.words += data


def test_html_needs_nothing_else(comparison: Comparison, judged: list[Judged]) -> None:
    """No script, no request, small; every metric is on it, and the gates."""
    source = html(comparison, judged)
    page = Page(source)
    assert len(source) < 100_000
    assert not {"script", "img", "iframe", "object", "base", "form"} & set(page.tags)
    assert [value for name, value in page.attributes if name in ("src", "href")] == ["data:,"]
    assert not re.search(r"url\(|@import|https?:", source)
    for row in comparison.others[0].rows:
        assert row.key in page.words
    for each in judged:
        assert each.sentence in page.words


def test_hostile_names_are_text_in_html(hostile: Comparison) -> None:
    """They are seen, and do nothing: no tag, no attribute, no letter that turns the page round or runs on for long."""
    harmless, page = Page(html(hostile, [])), Page(html(hostile, []))
    assert "<script>alert(1)</script>" in page.words
    assert '"><img src=x onerror=alert(1)>' in page.words
    assert not {"script", "img"} & set(harmless.tags)
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert not {"\u202e", "\u2066", "\x1b"} & set(page.words)
    assert "x" * 500 not in page.words


def test_hostile_names_are_text_in_markdown(hostile: Comparison) -> None:
    """No cell is added to a table, and nothing is left that Markdown or HTML would take as more than text."""
    lines = markdown(hostile, []).splitlines()
    widths = {len(re.findall(r"(?<!\\)\|", line)) for line in lines if line.startswith("|")}
    assert widths == {5, 6}
    for line in lines:
        inside = line.replace("**", "", 2) if line.startswith("**") else line
        assert not re.search(r"(?<!\\)[<>`\[\]@]|(?<!\\)\*\*", inside), line
        assert "\x1b" not in line


def test_hostile_names_do_not_reach_the_terminal(hostile: Comparison) -> None:
    """No escape sequence, no bell, no line that a name began."""
    shown = text(hostile, width=200)
    assert not {letter for letter in shown if not letter.isprintable()} - {"\n"}


@given(st.text(max_size=300))
def test_what_is_shown_of_a_name_can_be_shown(name: str) -> None:
    """Printable letters alone, and no more of them than fit; short printable names are left as they are."""
    shown = clean(name)
    assert shown.isprintable()
    assert len(shown) <= 120
    if name.isprintable() and len(name) <= 120:
        assert shown == name


def row(unit: str, baseline: float, other: float, low: float, high: float) -> Row:
    """A metric that went from one value to another."""
    found = Difference(baseline, other, other - baseline, low, high, 0.5)
    return Row(key="x", unit=unit, good="less", difference=found)


SHOWN = [
    (row("seconds", 0.5, 0.55, 0.01, 0.09), "+10.0%", "+2.0% to +18.0%"),
    (row("instances", 240, 240, -1.2, 1.2), "+0.0%", "-0.5% to +0.5%"),
    (row("instances", 0, 12, 10.5, 13.5), "+12", "+10.5 to +13.5"),
    (row("instances", 10, 2000, 1980, 2000), "+1,990", "+1,980 to +2,000"),
    (row("bytes", -(2.0**20), 2.0**20, 0.0, 2.0**22), "+2 MiB", "+0 B to +4 MiB"),
    (row("tasks", 12, 12 - 1e-9, -1e-9, 0), "+0.0%", "+0.0% to +0.0%"),
]


@pytest.mark.parametrize(("metric", "changed", "between"), SHOWN)
def test_changes_in_words(metric: Row, changed: str, between: str) -> None:
    """In percent where that says something, else in the metric's unit; nothing is minus zero."""
    assert (change(metric), interval(metric)) == (changed, between)


@pytest.mark.parametrize(
    ("amount", "unit", "shown"),
    [
        (-0.5, "seconds", "-500 ms"),
        (24.2, "per second", "24.2/s"),
        (1234, "instances", "1,234"),
        (-3, "bytes", "-3 B"),
    ],
)
def test_values_in_words(amount: float, unit: str, shown: str) -> None:
    """With their sign and their unit."""
    assert value(amount, unit) == shown


@pytest.mark.parametrize(
    ("delta", "shown"),
    [(None, ""), (0.1, "+0.10, negligible"), (-0.2, "-0.20, small"), (0.4, "+0.40, medium"), (1.0, "+1.00, large")],
)
def test_the_size_of_an_effect(delta: float | None, shown: str) -> None:
    """Cliff's delta with the word for its size."""
    assert effect(replace(row("seconds", 1, 2, 0, 2), delta=delta)) == shown
