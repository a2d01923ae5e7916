"""`density report` in all formats: what they say of runs that ended in any way, and what they make of hostile names."""

import csv
import io
import json
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from support.recorded_runs import HOSTILE, LONG, RUNS, events_of, record, recorded
from syrupy.assertion import SnapshotAssertion

from density.ceilings.catalog.objectives import BY_FIELD
from density.events import Event, InstanceChanged
from density.profile.spec import Objectives
from density.report.answer import answer
from density.report.checks import checks
from density.report.csv import csv_files
from density.report.facts import plain
from density.report.formats import ONE_FILE
from density.report.html import page
from density.report.junit import junit
from density.report.markdown import markdown
from density.report.marked import escape
from density.report.recorded import Recorded, read_run

SMALL = [name for name in RUNS if name not in {"large", "hostile"}]
_PICTURE = re.compile(r"<svg.*?</svg>", re.DOTALL)
_STYLE = re.compile(r"<style>.*?</style>", re.DOTALL)
_VALUE = re.compile(r' value="[^"]*">')
_VERSION = re.compile(r"density \d+\.\d+\.\d+|density <bdi>\d+\.\d+\.\d+</bdi>")


def run_of(name: str, directory: Path) -> Recorded:
    """One of the recorded runs, read back."""
    return read_run(recorded(name, directory))


@pytest.mark.parametrize("name", SMALL)
def test_markdown(name: str, tmp_path: Path, snapshot: SnapshotAssertion) -> None:
    """The whole document, whichever way the run ended."""
    assert markdown(run_of(name, tmp_path)) == snapshot


@pytest.mark.parametrize("name", SMALL)
def test_junit(name: str, tmp_path: Path, snapshot: SnapshotAssertion) -> None:
    """Objectives as test cases; a run that broke off is an error, and one that was interrupted was skipped."""
    assert junit(run_of(name, tmp_path)) == snapshot


@pytest.mark.parametrize("name", ["ceiling", "error"])
def test_html_without_its_pictures(name: str, tmp_path: Path, snapshot: SnapshotAssertion) -> None:
    """The markup; pictures and styles have tests of their own, and matplotlib may draw them another way tomorrow."""
    html = _STYLE.sub("<style/>", _PICTURE.sub("<svg/>", page(run_of(name, tmp_path))))
    html = _VALUE.sub(">", html)  # all digits of floats; those that are read have a test of their own
    assert _VERSION.sub("density VERSION", html) == snapshot


def test_csv_of_waves(tmp_path: Path, snapshot: SnapshotAssertion) -> None:
    """A row a wave, with times in seconds since the start."""
    assert csv_files(run_of("ceiling", tmp_path))["waves.csv"] == snapshot


def test_csv_has_every_instance_and_every_sample(tmp_path: Path) -> None:
    """One row each, with the columns that their names promise."""
    run = run_of("ceiling", tmp_path)
    files = csv_files(run)
    instances = list(csv.DictReader(io.StringIO(files["instances.csv"])))
    assert len(instances) == len(run.state.instances)
    assert sum(bool(row["ready_seconds"]) for row in instances) == 87
    assert {row["failure_kind"] for row in instances} == {"", "exited"}
    first = next(row for row in instances if row["ready_at"])
    assert float(first["ready_seconds"]) == pytest.approx(float(first["ready_at"]) - float(first["requested_at"]))
    samples = list(csv.DictReader(io.StringIO(files["samples.csv"])))
    assert len(samples) == len(run.history.samples)
    assert float(samples[0]["tasks.count"]) == 300


def test_json_is_the_document_of_the_run(tmp_path: Path) -> None:
    """As `result.json` has it."""
    run = run_of("ceiling", tmp_path)
    assert json.loads(ONE_FILE["json"][1](run)) == json.loads(json.dumps(run.result))


MEMORY = "memory of the host (memory.available)"
ANSWERS = {
    "ceiling": f"87 instances fit on the simulated host; {MEMORY} stopped the next one.",
    "error": "The run ended in an error before any instance was ready.",
    "all-failed": "The run ended in an error before any instance was ready.",
    "cut-off": "86 instances were ready when the record breaks off: the run was cut off, or is still going on.",
    "interrupted": "Interrupted with 80 instances; by the forecast 87 instances would fit on the simulated host "
    f"before {MEMORY} runs out.",
    "forecast": "By a forecast from 20 instances, 87 instances would fit on the simulated host, "
    f"where {MEMORY} would stop the next one.",
    "max": f"30 instances ran; by the forecast 87 instances would fit on the simulated host before {MEMORY} runs out.",
    "objective": "19 instances fit on the simulated host with every objective kept; with more, one is missed: "
    "slo.ready, time from intended launch to ready, 95th percentile; by the forecast the host itself would take 87 "
    f"before {MEMORY} runs out.",
}


@pytest.mark.parametrize("name", ANSWERS)
def test_the_answer_is_one_sentence(name: str, tmp_path: Path) -> None:
    """It says what is known and how: seen, forecast, or not at all."""
    assert plain(answer(run_of(name, tmp_path))) == ANSWERS[name]


def test_doubts_come_first(tmp_path: Path) -> None:
    """A simulated run says that it was one before anything else; a broken record is doubtful."""
    found = checks(run_of("cut-off", tmp_path))
    assert [check.grade for check in found] == sorted((check.grade for check in found), key=_GRADES.index)
    assert {check.name: check.grade for check in found}["Simulated"] == "invalid"
    assert {check.name: check.grade for check in found}["Whole record"] == "doubtful"


_GRADES = ("invalid", "doubtful", "fine")


def test_every_objective_is_a_test_case() -> None:
    """Also those that are added to profiles one day."""
    assert set(BY_FIELD) == set(Objectives.__dataclass_fields__)


class _Elements(HTMLParser):
    """What elements a page has, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.handlers: list[str] = []
        self.text: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.handlers += [name for name, _ in attrs if name.startswith("on") or name == "src"]

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_hostile_names_are_text_in_html(tmp_path: Path) -> None:
    """They add no element and no handler, nothing of them is evaluated, and a long one is cut and says so."""
    hostile = _Elements(page(run_of("hostile", tmp_path)))
    assert not hostile.handlers
    assert not {"script", "iframe", "img", "object"} & set(hostile.tags)
    text = "".join(hostile.text)
    assert "<script>window.pwned = true</script>\"'&amp; " in text
    assert "{{ 7 * 7 }} ]]>" in text
    assert re.search(r"x… \([\d,]+ more letters\)", text)
    assert not set("\x00\x1b") & set(text)


def test_hostile_names_are_text_in_markdown(tmp_path: Path) -> None:
    """No raw HTML, no table cell more than there are columns, no line that begins a block of its own."""
    text = markdown(run_of("hostile", tmp_path))
    assert "<script" not in text
    assert not set("\x00\x1b\u202e") & set(text)
    for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
        assert len(widths) == 1
    assert escape("- a *b* `c` [d](e) <f> $g$ a_b |\n# h") == (r"\- a \*b\* \`c\` \[d\](e) &lt;f&gt; \$g\$ a\_b \| # h")
    assert escape("see https://x.org, www.x.org, @me") == r"see https\://x.org, www\.x.org, \@me"
    assert escape("-7.2% of 1.37 MiB") == "-7.2% of 1.37 MiB"


def test_hostile_names_are_text_in_xml_and_csv(tmp_path: Path) -> None:
    """XML stays well-formed, and a spreadsheet is given no formula."""
    run = run_of("hostile", tmp_path)
    assert ET.fromstring(junit(run)).find("testsuite") is not None  # noqa: S314 — ours
    evil = [_formula(event) for event in events_of("ceiling")]
    files = csv_files(read_run(record(evil, tmp_path / "formula")))
    messages = [row["failure_message"] for row in csv.DictReader(io.StringIO(files["instances.csv"]))]
    assert "'=cmd|' /C calc'!A1" in messages
    assert not any(message.startswith(("=", "+", "-", "@")) for message in messages)


def _formula(event: Event) -> Event:
    if isinstance(event, InstanceChanged) and event.failure:
        return replace(event, failure=replace(event.failure, message="=cmd|' /C calc'!A1"))
    return event


def test_json_and_csv_have_hostile_names_whole(tmp_path: Path) -> None:
    """Other programs get what was said, to the last letter."""
    run = run_of("hostile", tmp_path)
    failures = [each for workload in run.result["workloads"].values() for each in workload["failures"]]
    assert failures[0]["message"] == LONG
    assert json.loads(ONE_FILE["json"][1](run))["profile"] == HOSTILE


def test_the_same_record_gives_the_same_page(tmp_path: Path) -> None:
    """To the last byte, pictures included: no clock and no chance in it."""
    run_dir = recorded("ceiling", tmp_path)
    assert page(read_run(run_dir)) == page(read_run(run_dir))


def test_a_page_of_five_thousand_instances_is_small(tmp_path: Path) -> None:
    """Below a megabyte, with a tile for each."""
    html = page(run_of("large", tmp_path))
    assert len(html.encode()) < 1_000_000
    assert "A tile stands for" not in html
