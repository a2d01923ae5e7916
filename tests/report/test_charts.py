"""The charts: what they draw of, and that their pictures fit into a page."""

import itertools
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from support.recorded_runs import RUNS, recorded

from density.events import WaveSettled
from density.model import Failure, Phase
from density.report.charts import Absent, Picture, draw_charts, export_charts
from density.report.charts.canvas import Chart, canvas, label, picture, style
from density.report.charts.counting import thinned
from density.report.charts.palette import HEAT, SHADES
from density.report.charts.readying import draw, points
from density.report.charts.svg import inline
from density.report.charts.tiles import FAILED, LOST, UNDONE, edges, tile, tiles
from density.report.history import Life, Wave
from density.report.recorded import read_run

NAMES = ["count", "forecast", "ready", "ceilings", "footprint", "pressure", "rate", "tiles"]


@pytest.mark.parametrize("name", [name for name in RUNS if name != "large"])
def test_every_run_has_every_chart_or_says_why_not(name: str, tmp_path: Path) -> None:
    """In the report's order, whichever way the run ended."""
    drawn = list(draw_charts(read_run(recorded(name, tmp_path))))
    assert [one.name for one in drawn] == NAMES
    assert all(one.why if isinstance(one, Absent) else one.says for one in drawn)
    if name not in {"error", "all-failed"}:
        assert not [one for one in drawn if isinstance(one, Absent)]


def test_pictures_live_together_in_one_page(tmp_path: Path) -> None:
    """Their ids differ, what refers to them finds them, and each has a title and a description."""
    drawn = [one for one in draw_charts(read_run(recorded("ceiling", tmp_path))) if isinstance(one, Picture)]
    ids = [found for one in drawn for found in re.findall(r'\bid="([^"]+)"', one.inline)]
    assert len(ids) == len(set(ids))
    for one in drawn:
        root = ET.fromstring(one.inline)  # noqa: S314 — ours
        assert root.get("role") == "img"
        described = [element.text for element in root[:2]]
        assert described == [one.title, one.says]
        referred = re.findall(r'(?:href="#|url\(#|labelledby=")([^")]+)', one.inline)
        assert {word for found in referred for word in found.split()} <= set(ids)


def test_pictures_take_their_colours_from_the_page(tmp_path: Path) -> None:
    """Not one colour is left that is the same in light and dark."""
    for one in draw_charts(read_run(recorded("ceiling", tmp_path))):
        assert isinstance(one, Picture)
        assert not re.search(r"#[0-9a-f]{6}\b|font-family|DejaVu", one.inline)
        assert set(re.findall(r"var\(--(\w+)\)", one.inline)) <= set(SHADES)


def test_charts_as_files(tmp_path: Path) -> None:
    """SVG with colours of its own and PNG, two files a chart."""
    files = dict(export_charts(read_run(recorded("ceiling", tmp_path))))
    assert set(files) == {f"{name}.{kind}" for name in NAMES for kind in ("svg", "png")}
    assert files["count.png"].startswith(b"\x89PNG")
    assert b"#0069a8" in files["count.svg"]
    assert b"var(--" not in files["count.svg"]


def test_paths_are_short() -> None:
    """Numbers of two decimals, and H and V where a line goes along an axis; curves keep all their points."""
    text = (
        '<svg xmlns="http://www.w3.org/2000/svg" width="1pt"><path d="M 1.23456 2 \nL 3.5 2 \nL 3.5 4.001 \n'
        'C 1 2 3 4 5 6 \nz" style="fill: #0069a8; stroke: none"/></svg>'
    )
    made = inline(text, "a", title="<T>", description="D & E")
    assert 'd="M1.23 2H3.5V4C1 2 3 4 5 6z"' in made
    assert "fill: var(--blue)" in made
    assert "&lt;T&gt;" in made


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2 defines it."""
    channels = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """Contrast ratio of WCAG 2, from 1 to 21."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_stand_off_their_background(scheme: str) -> None:
    """Text by 4.5 to 1 and lines by 3 to 1, as WCAG 2 asks, on the page and on its bands."""
    colours = {name: getattr(shade, scheme) for name, shade in SHADES.items()}
    for ground in ("surface", "band"):
        for text in ("ink", "muted", "blue", "green"):
            assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
    for line in ("blue", "orange", "green", "red", "purple"):
        assert contrast(colours[line], colours["surface"]) >= 3, line


def test_the_heat_goes_one_way() -> None:
    """From near the background to far from it, in light and in dark, so that it is read without hues."""
    for scheme in ("light", "dark"):
        lightness = [luminance(getattr(SHADES[f"heat{n}"], scheme)) for n in range(len(HEAT))]
        assert lightness == sorted(lightness, reverse=scheme == "light")


def test_colours_have_names_of_their_own() -> None:
    """A picture's colour is known by its light shade alone."""
    lights = [shade.light for shade in SHADES.values()]
    assert len(lights) == len(set(lights))


def life(number: int, phase: Phase, *, seconds: float | None = None, kind: str = "") -> Life:
    """An instance that was requested at 0."""
    failure = Failure(kind, "said") if kind else None
    return Life(f"web-{number}", "web", number, 0, phase, 0.0, ready_at=seconds, failure=failure)


def test_what_a_tile_shows() -> None:
    """Time to ready, or how it ended; what the run itself gave up did not fail."""
    assert tile(life(0, Phase.REMOVED, seconds=2.0)).seconds == 2.0
    assert tile(life(0, Phase.FAILED, kind="timeout")).end == FAILED
    assert tile(life(0, Phase.FAILED, kind="cancelled")).end == UNDONE
    assert tile(life(0, Phase.LOST, seconds=2.0, kind="exited")).end == LOST
    assert tile(life(0, Phase.STARTED)).end == UNDONE


def test_too_many_instances_share_tiles() -> None:
    """By the worst of each few, so that no failure disappears."""
    lives = [life(n, Phase.READY, seconds=float(n)) for n in range(9)]
    lives[4] = life(4, Phase.FAILED, kind="timeout")
    shown, each = tiles(lives, most=3)
    assert each == 3
    assert [(one.seconds, one.end) for one in shown] == [(2.0, ""), (None, FAILED), (8.0, "")]


def test_classes_of_time_to_ready() -> None:
    """Equal steps of the logarithm, of two digits, the last one up to the slowest; one class where all are alike."""
    assert edges([1.0] * 10) == [1.0]
    assert edges([0.1, 1.0, 10.0, 100.0]) == sorted(edges([0.1, 1.0, 10.0, 100.0]))
    assert edges([0.1, 1.0, 10.0, 100.0])[-1] == 100.0


def test_thinning_keeps_the_peak_and_the_end() -> None:
    """Of a long run, whatever falls into one part of the time."""
    steps = [(float(n), n if n < 900 else 999 - n) for n in range(1000)]
    kept = thinned(steps, 50)
    assert len(kept) <= 52
    assert max(count for _, count in kept) == 899
    assert kept[-1] == steps[-1]
    assert [at for at, _ in kept] == sorted(at for at, _ in kept)


def test_small_waves_are_put_together() -> None:
    """No percentile of fewer than five launches, and no launch left out."""
    sizes = [2, 2, 10, 6, 1]
    counts = list(itertools.accumulate(sizes))
    waves = []
    for number, (size, count) in enumerate(zip(sizes, counts, strict=True)):
        settled = WaveSettled(1.0, 0.0, number, {"web": count}, {}, {})
        waves.append(Wave(number, "ramp", 0.0, {"web": size}, count, ready={"web": [1.0] * size}, settled=settled))
    assert [point.count for point in points(waves, "web")] == [14, 21]


def test_the_knee_is_drawn_where_the_result_knows_one(tmp_path: Path) -> None:
    """With its interval, and in the caption; else the caption says why there is none."""
    run = read_run(recorded("ceiling", tmp_path))
    ready = run.result["workloads"]["web"]["latency"]["ready"]
    ready.update(shape="knee", count=40, low=35, high=45)
    run.result["workloads"]["db"]["latency"]["ready"].update(shape="line", reason="a straight line explains it")
    with style("ready"):
        chart = draw(run)
        assert isinstance(chart, Chart)
        assert "From 40 on (35 to 45), times grow faster." in chart.says
        assert chart.says.endswith("No knee: a straight line explains it.")
        assert picture(chart).inline.count(">knee<") == 1


def test_labels_from_outside_are_one_short_line() -> None:
    """Whatever their letters are; math is not typeset."""
    assert label("a\nb\x00\u202ec" + "d" * 99, 20) == r"a b\x00\u202ecddddd…"
    with style("test"):
        figure, axes = canvas()
        axes.set_ylabel(label("$x^2$ \U0001f600 עברית <&>"))
        made = picture(Chart("test", "T", "S.", figure))
    assert "$x^2$" in made.inline
    assert "&lt;&amp;&gt;" in made.inline
