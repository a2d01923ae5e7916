"""The comparison's numbers, claims and texts, from figures."""

import json
import math
import re
from itertools import pairwise

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from density.capacity.versus.figure import Figure, Figures, Subject
from density.controller.versus.measure import ROWS, Comparison
from density.model import Workload
from density.report.versus.claims import CLAIMS, Statement, overall
from density.report.versus.document import document
from density.report.versus.lines import LINES
from density.report.versus.markdown import markdown
from density.report.versus.remarks import remarks
from density.report.versus.spread import ratios, spread
from density.report.versus.table import Row, make_rows
from density.report.versus.text import LABEL, WIDTH, text

PROCESS = Subject(workload=Workload(name="process", engine="native"))
CONTAINER = Subject(workload=Workload(name="container", engine="docker"))
VM = Subject(workload=Workload(name="vm", engine="libvirt"), accelerator="tcg")
NULL = Subject(workload=Workload(name="null", engine="libvirt", guest="null"), accelerator="kvm")
SUBJECTS = (PROCESS, CONTAINER, VM, NULL)
GIB, MIB = 2**30, 2**20


@pytest.fixture
def figures() -> Figures:
    """As on a small host: a quick container, an emulated VM with a small guest."""
    found = Figures()
    for subject, ready in ((PROCESS, 0.001), (CONTAINER, 0.2), (VM, 2.0), (NULL, 3.0)):
        for when in ("alone", "density"):
            for phase, part in (("created", 0.5), ("started", 0.8), ("ready", 1.0)):
                times = [ready * part * (1 + n / 100) for n in range(9)]
                found.add("start", f"{when}.{phase}", subject.name, times, unit="seconds")
    for subject, image, own in ((PROCESS, MIB, 0), (CONTAINER, MIB, 60e3), (VM, 14e6, 4096)):
        found.add("disk", "image", subject.name, [image], unit="bytes", words="1 layer")
        found.add("disk", "own", subject.name, [own], unit="bytes")
    for subject, rate in ((PROCESS, 1e8), (CONTAINER, 0.97e8), (VM, 0.1e8)):
        rates = [rate * (1 + n / 1000) for n in range(9)]
        found.add("performance", "alone.integer", subject.name, rates, unit="operations/s")
    found.miss("performance", "", NULL.name, "the guest null has no benchmarks in it")
    for subject, count in ((PROCESS, 5000), (CONTAINER, 1500), (VM, 100)):
        found.add("capacity", "count", subject.name, [count], unit="instances", words="forecast")
        found.add("overhead", "total", subject.name, [2 * GIB / count], unit="bytes")
    return found


def fitted(
    row: str, name: str, subject: str, value: float, low: float, high: float, *, unit: str, words: str = ""
) -> Figure:
    """A figure with its interval, as a fit gives it."""
    return Figure(
        row=row, name=name, subject=subject, unit=unit, samples=(value,), low=low, high=high, words=words
    )  # fmt: skip


def rows_of(figures: Figures, *keys: str) -> tuple[Row, ...]:
    """These rows, or all."""
    return make_rows(figures, SUBJECTS, keys or ROWS)


@given(st.lists(st.floats(0, 1e9), min_size=1, max_size=40))
def test_the_interval_holds_the_median_and_lies_within_the_samples(samples: list[float]) -> None:
    """Whatever was measured, low <= median <= high, and neither is anything that was not measured."""
    found = spread(samples)
    assert min(samples) <= found.low <= found.median <= found.high <= max(samples)
    assert {found.low, found.high} <= set(samples)
    assert found.sure == (len(samples) >= 6)


def test_nine_samples_give_the_second_and_the_eighth() -> None:
    """The exact 95 % interval of the sign test: 1 - 2 * 10 / 512 = 96.1 %; of the third it would be 82 %."""
    found = spread([9, 1, 8, 2, 7, 3, 6, 4, 5])
    assert (found.median, found.low, found.high) == (5, 2, 8)


def test_ratios_are_taken_round_by_round() -> None:
    """What slowed a whole round down is not in the ratio; a round without a partner is left out."""
    assert ratios([10, 1, 7], [20, 2]) == (0.5, 0.5)


@pytest.mark.parametrize(
    ("held", "expected"),
    [((True, True), "yes"), ((True, False), "partly"), ((False,), "no"), ((), "not measured"),
     ((None,), "not decided"), ((True, None), "partly")],
)  # fmt: skip
def test_a_claim_holds_as_its_parts_do(held: tuple[bool | None, ...], expected: str) -> None:
    """Yes only where every part did, not measured only where none could be told."""
    assert overall(CLAIMS["start"], tuple(Statement("", each) for each in held)) == expected


def test_every_row_has_a_claim_and_lines() -> None:
    """The rows that are measured, judged and shown are the same ones, in the same order."""
    assert tuple(CLAIMS) == tuple(LINES) == ROWS


def test_seconds_against_minutes_holds_for_the_half_that_is_true(figures: Figures) -> None:
    """A VM that is ready in two seconds does not take minutes, and the sentence says how it compares."""
    (row,) = rows_of(figures, "start")
    assert row.held == "partly"
    container, vm = row.statements
    assert container.held is True
    assert vm == Statement("the VM (tcg) in 2.08 s, 10.0 times a container's", held=False)


def test_the_null_guest_stands_for_no_claim_while_there_is_a_whole_guest(figures: Figures) -> None:
    """Its column is shown, but what the article says of VMs is held against the VM with a kernel."""
    (row,) = rows_of(figures, "start")
    assert "3.12 s" in row.lines[2].cells["null"].text
    assert not any("3.12" in statement.text for statement in row.statements)


def test_performance_is_a_ratio_to_the_process_with_its_interval(figures: Figures) -> None:
    """0.97 of native is near native, a tenth is weaker; the baseline itself is 1."""
    (row,) = rows_of(figures, "performance")
    cells = row.lines[0].cells
    assert (cells["process"].text, cells["container"].text) == ("1", "0.97 (0.97–0.97)")
    assert row.held == "yes"
    assert cells["null"].why == "the guest null has no benchmarks in it"
    assert cells["container"].count == 9


def test_thousands_against_dozens_and_hardly_any_overhead(figures: Figures) -> None:
    """1,500 containers are thousands, 100 VMs are dozens; beyond a process the container is a twentieth of the VM."""
    capacity, overhead = rows_of(figures, "capacity", "overhead")
    assert (capacity.held, overhead.held) == ("yes", "yes")
    assert overhead.statements[0].text.startswith("beyond a process, one more container takes ")


def test_a_bound_within_the_interval_is_not_decided(figures: Figures) -> None:
    """1,911 containers, but anything from 874 on, may or may not be thousands; the sentence says how it is known."""
    told = fitted("capacity", "count", "container", 1911, 874, 2948, unit="instances", words="forecast")
    figures.found.append(told)
    (row,) = rows_of(figures, "capacity")
    assert row.statements[0] == Statement("1,911 containers fit (874 to 2,948, forecast)", None)
    assert row.held == "partly"
    assert "    ?  1,911 containers" in text((row,), SUBJECTS, ())
    assert row.lines[0].cells["container"].text == "1,911 (874–2,948)"


@pytest.mark.parametrize(
    ("high", "held", "takes"),
    [(12, True, "3 MiB (0 B to 4.41 MiB)"), (100, None, "3 MiB (0 B to 92 MiB)")],
)
def test_a_difference_has_the_margins_of_both(figures: Figures, *, high: int, held: bool | None, takes: str) -> None:
    """What a container takes beyond a process is as unsure as the two together, and no cost is below nothing."""
    for name, value, low, top in (("process", 8, 7, 9), ("container", 11, 5, high), ("vm", 160, 150, 170)):
        figures.found.append(fitted("overhead", "total", name, value * MIB, low * MIB, top * MIB, unit="bytes"))
    (row,) = rows_of(figures, "overhead")
    assert row.statements[0].held is held
    assert f"one more container takes {takes} of memory, a VM 152 MiB (1" in row.statements[0].text
    assert row.lines[0].cells["process"].text == "8 MiB (7–9 MiB)"


def test_a_guest_without_a_disk_proves_nothing_of_disks(figures: Figures) -> None:
    """The payload guest's few MiB are told and not judged; a whole Debian's image is, where one was booted."""
    (row,) = rows_of(figures, "disk")
    assert [each.held for each in row.statements] == [True, None]
    assert row.statements[1].text == "the VM (tcg) boots from 13.4 MiB and has no disk of its own"
    figures.add("services", "redis.image", "vm", [300 * MIB], unit="bytes")
    figures.add("services", "redis.own", "vm", [20 * MIB], unit="bytes")
    (row,) = rows_of(figures, "disk")
    text_ = "with a whole Debian it boots from 300 MiB and takes 20 MiB of its own"
    assert row.statements[2] == Statement(text_, held=False)
    assert row.held == "partly"


def test_a_vm_that_does_not_tell_its_kernel_leaves_the_claim_in_part() -> None:
    """That containers share the host's is half of it."""
    figures = Figures()
    for subject in (PROCESS, CONTAINER):
        figures.found.append(Figure(row="kernels", name="release", subject=subject.name, words="6.1"))
    (row,) = rows_of(figures, "kernels")
    assert row.statements[1] == Statement("the VM (tcg) does not report its own", None)
    assert row.held == "partly"


def test_a_lower_bound_decides_nothing_that_lies_above_it() -> None:
    """24 containers ran, and an objective ended it: whether a thousand fit is not known."""
    figures = Figures()
    for subject, count in ((CONTAINER, 24.0), (VM, 30.0)):
        figures.found.append(
            Figure(row="capacity", name="count", subject=subject.name, unit="instances", samples=(count,), low=count,
                   high=math.inf, words="a lower bound: an objective ended it")
        )  # fmt: skip
    (row,) = rows_of(figures, "capacity")
    assert row.statements[0] == Statement("24 containers fit (a lower bound: an objective ended it)", None)
    assert row.lines[0].cells["container"].text == "24"


def test_a_claim_of_two_sides_is_not_decided_by_one(figures: Figures) -> None:
    """Without a VM, quick containers are half of it."""
    (row,) = make_rows(figures, (PROCESS, CONTAINER), ("start",))
    assert row.statements[-1] == Statement("no VM was measured", None)
    assert row.held == "partly"


def test_what_was_not_measured_says_why(figures: Figures) -> None:
    """A subject that cannot run, and a row that nobody measured, are no numbers but reasons."""
    figures.miss("lxc", "", "container", "libvirt: no connection driver available for lxc:///system")
    lost = Subject(workload=VM.workload, missing="libvirt: not installed")
    rows = make_rows(figures, (PROCESS, CONTAINER, lost), ("start", "lxc"))
    assert rows[0].lines[0].cells["vm"].why == "libvirt: not installed"
    assert not any("not installed" in note for note in rows[0].notes)  # a whole column: said once, beside the table
    assert rows[1].held == "not measured"
    assert rows[1].notes[0] == "container: libvirt: no connection driver available for lxc:///system"


def test_a_row_without_a_claim_is_told_and_not_judged(figures: Figures) -> None:
    """The article says nothing of LXC: its figures stand beside Docker's, and nothing held or did not."""
    figures.add("lxc", "alone.ready", "container", [0.1] * 9, unit="seconds")
    figures.found.append(fitted("lxc", "count", "container", 1200, 1100, 1300, unit="instances", words="forecast"))
    (row,) = rows_of(figures, "lxc")
    assert row.held == "no claim"
    assert [each.text for each in row.statements] == [
        "the same payload by LXC is ready in 100 ms, by Docker in 208 ms",
        "1,200 of it fit (1,100 to 1,300, forecast)",
    ]
    assert "?" not in text((row,), SUBJECTS, ())


def test_the_text_fits_a_terminal(figures: Figures) -> None:
    """80 columns, whatever the cells are; long names are cut where names can be cut."""
    for subject in SUBJECTS:
        release = "6.1.0-56-cloud-amd64-with-a-long-flavour"
        figures.found.append(Figure(row="kernels", name="release", subject=subject.name, words=release))
    lines = text(rows_of(figures), SUBJECTS, ("a remark",)).splitlines()
    assert max(map(len, lines)) <= WIDTH
    assert "START                                                               held in part" in lines
    assert any("vm (tcg)" in line for line in lines)


def test_rates_are_told_in_the_prefix_that_fits() -> None:
    """From a few a second to the billions of a fast CPU."""
    rates = {12.0: "12 /s", 999_700.0: "1000 k/s", 914e6: "914 M/s", 1.6e9: "1.6 G/s"}
    for rate, text_ in rates.items():
        figures = Figures()
        figures.add("performance", "alone.integer", "process", [rate], unit="operations/s")
        (row,) = rows_of(figures, "performance")
        assert next(line for line in row.lines if line.label == "rate: integer work").cells["process"].text == text_


def test_no_number_is_torn_and_no_column_touches_another() -> None:
    """An interval that does not fit beside its value stands below it, in one piece or cut at its dash."""
    figures = Figures()
    for subject in SUBJECTS:
        for name, low, high in (("total", 8.14, 8.15), ("instance", 0.87, 4.28)):
            mib = tuple(value * 2**20 for value in (low + 0.005, low, high))
            memory = Figure(
                row="overhead", name=name, subject=subject.name, unit="bytes", samples=mib[:1], low=mib[1], high=mib[2]
            )
            figures.found.append(memory)
    shown = text(make_rows(figures, SUBJECTS, ("overhead",)), SUBJECTS, ())
    assert shown.count("(8.14– ") == 3
    assert shown.count("(8.14–\n") == 1
    assert all(len(line.label) < LABEL for lines in LINES.values() for line in lines)
    assert not re.search(r"\d\.$|\d\.\s|\(\d+(\.\d+)?$", shown, re.MULTILINE)


def test_the_markdown_has_a_table_of_all_rows_and_one_a_row(figures: Figures) -> None:
    """Every table has as many cells in each line as in its head, and nothing measured can break out of its cell."""
    figures.miss("saving", "", "container", "the daemon said: a|b <b>no</b>")
    page = markdown(rows_of(figures), SUBJECTS, ())
    assert "a\\|b &lt;b&gt;no" in page
    tables = [line.replace("\\|", "") for line in page.splitlines() if line.startswith("|")]
    heads = {number for number, line in enumerate(tables) if line.startswith("| ---")}
    assert len(heads) > 5
    for number, (line, following) in enumerate(pairwise(tables)):
        if number + 1 not in heads and number + 2 not in heads:
            assert line.count("|") == following.count("|")


def test_the_document_is_plain_json_of_this_shape(figures: Figures) -> None:
    """Rows with cells of every subject, and the samples that they were made of; infinities become null."""
    unknown = Figure(
        row="overhead", name="total", subject="null", unit="bytes", samples=(5,), low=-math.inf, high=math.inf
    )
    figures.found.append(unknown)
    comparison = Comparison("20260101-000000-0000", ROWS, subjects=SUBJECTS, figures=figures, counts={"vm": 4})
    made = document(comparison, rows_of(figures), profile="versus", seconds=12.5)
    again = json.loads(json.dumps(made, allow_nan=False))
    number = {"type": ["number", "null"]}
    cell = {
        "type": "object",
        "required": ["text", "unit", "value", "low", "high", "count", "note", "why"],
        "properties": {"text": {"type": "string"}, "value": number, "low": number, "high": number},
    }
    row = {
        "type": "object",
        "required": ["row", "title", "article", "held", "statements", "lines", "notes"],
        "properties": {
            "held": {"enum": ["yes", "partly", "no", "not decided", "not measured", "no claim"]},
            "lines": {
                "items": {
                    "required": ["label", "name", "cells"],
                    "properties": {
                        "cells": {
                            "required": [subject.name for subject in SUBJECTS],
                            "additionalProperties": cell,
                        }
                    },
                }
            },
        },
    }
    jsonschema.validate(again, {"required": ["schema", "subjects", "figures"], "properties": {"rows": {"items": row}}})
    assert [each["row"] for each in again["rows"]] == list(ROWS)
    assert again["figures"][-1] | {"samples": [5], "low": None, "high": None} == again["figures"][-1]


def test_the_remarks_name_what_makes_the_numbers_doubtful() -> None:
    """Emulation, a busy host, an interruption, what was left behind; on a quiet host with KVM nothing of it."""
    busy = Comparison(
        "r1", ROWS, subjects=(VM,), counts={"vm": 4}, facts={"cpus": 2.0}, busy=0.9, interrupted=True, left=("image x",)
    )
    told = "\n".join(remarks(busy))
    for word in ("Interrupted", "90% of its CPUs", "Emulated (TCG)", "at density", "density clean)"):
        assert word in told
    quiet = Comparison("r1", ("disk",), subjects=(CONTAINER,), facts={"cpus": 2.0}, busy=0.05)
    assert remarks(quiet) == ()
