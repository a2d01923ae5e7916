"""The page in a real browser: light and dark, on a desk and on a phone; nothing is loaded and nothing runs."""

import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.webdriver import WebDriver
from selenium.webdriver.common.by import By
from support.recorded_runs import events_of, record, recorded

from density.events import RunStarted
from density.report.charts.palette import SHADES
from density.report.compare.comparison import compare
from density.report.compare.html import html
from density.report.compare.reading import read_groups
from density.report.html import page
from density.report.recorded import read_run

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.tools("chromium", "chromedriver")
OPTIONS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
           "--disable-background-networking", "--disable-component-update", "--disable-sync",
           "--hide-scrollbars")  # fmt: skip
RUNS = ["ceiling", "objective", "forecast", "interrupted", "cut-off", "error", "hostile", "large", "real"]
DESK, PHONE = 1280, 380
CHARTS = 8
PUSHED = """return [...document.querySelectorAll('SELECTOR')]
    .filter(each => each.scrollWidth > each.clientWidth).map(each => each.innerText.slice(0, 200))"""
"""Tables that are wider than their place."""


@pytest.fixture(scope="module")
def browser() -> Iterator[WebDriver]:
    """Chromium with a profile of its own, which goes with it."""
    with tempfile.TemporaryDirectory(prefix="density-browser-", ignore_cleanup_errors=True) as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = str(CHROMIUM)
        for option in (*OPTIONS, f"--user-data-dir={profile}"):
            options.add_argument(option)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(str(DRIVER)))
        yield driver
        driver.quit()


@pytest.fixture(scope="module", params=RUNS)
def path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of each run, as a file."""
    directory = tmp_path_factory.mktemp("page")
    found = directory / f"{request.param}.html"
    found.write_text(page(read_run(recorded(request.param, directory))), encoding="utf-8")
    return found


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a comparison, with hostile names, with differences and without."""
    directory = tmp_path_factory.mktemp("comparison")
    groups = read_groups([[_renamed(name, directory)] for name in ("objective", "hostile", "ceiling")])
    found = directory / "comparison.html"
    found.write_text(html(compare(groups[0], groups[1:]), []), encoding="utf-8")
    return found


def _renamed(name: str, directory: Path) -> Path:
    """A recorded run with an id of its own, as real ones have."""
    events = [replace(each, run_id=name) if isinstance(each, RunStarted) else each for each in events_of(name)]
    return record(events, directory / name)


def show(browser: WebDriver, path: Path, *, width: int = DESK, scheme: str = "light") -> None:
    """Open the page as a screen of this width has it, with everything unfolded."""
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width == PHONE}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    media = {"media": "", "features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    log(browser, "performance")  # what came before is not this page's
    log(browser, "browser")
    browser.get(path.as_uri())
    ask(browser, "document.querySelectorAll('details').forEach(each => each.open = true)")


def log(browser: WebDriver, kind: str) -> list[dict[str, Any]]:
    """What came since it was asked for last."""
    return list(browser.get_log(kind))  # type: ignore[no-untyped-call]


def ask(browser: WebDriver, script: str) -> Any:  # noqa: ANN401 — what JavaScript gives
    """Run a script of ours; the page has none."""
    return browser.execute_script(script)


@pytest.mark.parametrize("width", [DESK, PHONE])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_and_says_nothing_on_the_console(browser: WebDriver, path: Path, width: int, scheme: str) -> None:
    """Nothing sticks out to the right, no error, and nothing was asked for but the file itself."""
    show(browser, path, width=width, scheme=scheme)
    assert ask(browser, "return document.documentElement.scrollWidth") <= width
    assert log(browser, "browser") == []
    requested = [entry for entry in map(_request, log(browser, "performance")) if entry]
    assert requested == [path.as_uri()]


@pytest.mark.parametrize("width", [DESK, PHONE])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_comparison_fits_whole(browser: WebDriver, comparison: Path, width: int, scheme: str) -> None:
    """No table has to be pushed aside to be read, nothing is on the console, and nothing was asked for but the file."""
    show(browser, comparison, width=width, scheme=scheme)
    assert ask(browser, "return document.documentElement.scrollWidth") <= width
    assert ask(browser, PUSHED.replace("SELECTOR", ".scroll")) == []
    assert log(browser, "browser") == []
    assert [entry for entry in map(_request, log(browser, "performance")) if entry] == [comparison.as_uri()]
    assert ask(browser, "return getComputedStyle(document.body).backgroundColor") == _rgb("surface", scheme)
    assert ask(browser, "return typeof window.pwned") == "undefined"


def test_the_tables_of_the_answer_fit_a_phone(browser: WebDriver, path: Path) -> None:
    """What binds next and the footprint of up to two workloads are read without pushing them aside."""
    show(browser, path, width=PHONE)
    stacked = PUSHED.replace("SELECTOR", ".scroll:has(.flow)")
    assert ask(browser, stacked) == []


def _request(entry: dict[str, Any]) -> str:
    """The address of a request that Chromium sent; empty for other entries, and for what a page holds itself."""
    message = json.loads(entry["message"])["message"]
    if message["method"] != "Network.requestWillBeSent":
        return ""
    url = str(message["params"]["request"]["url"])
    return "" if url.startswith("data:") else url


@pytest.mark.parametrize("width", [DESK, PHONE])
def test_charts_are_seen(browser: WebDriver, path: Path, width: int) -> None:
    """Each as wide as its column and inside the screen, with letters that can be read on a phone too."""
    show(browser, path, width=width)
    charts = browser.find_elements(By.CSS_SELECTOR, "figure svg")
    assert len(charts) == (0 if path.stem == "error" else CHARTS)
    for chart in charts:
        assert chart.rect["width"] > 0.8 * min(width, 500)
        assert chart.rect["x"] >= 0
        assert chart.rect["x"] + chart.rect["width"] <= width
        letters = ask_of(browser, chart, "[...el.querySelectorAll('text')].map(t => t.getBoundingClientRect())")
        assert letters
        assert min(box["height"] + box["width"] for box in letters) > 0
        sizes = ask_of(
            browser, chart, "[...el.querySelectorAll('text')].map(t => parseFloat(getComputedStyle(t).fontSize))"
        )
        scale = chart.rect["width"] / 432
        assert min(sizes) * scale >= 8


def ask_of(browser: WebDriver, element: object, expression: str) -> Any:  # noqa: ANN401 — what JavaScript gives
    """An expression of an element `el`."""
    return browser.execute_script(f"const el = arguments[0]; return {expression}", element)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_and_charts_have_the_colours_of_the_scheme(browser: WebDriver, path: Path, scheme: str) -> None:
    """Charts take them from the page, which takes them from what the person prefers."""
    show(browser, path, scheme=scheme)
    assert ask(browser, "return getComputedStyle(document.body).backgroundColor") == _rgb("surface", scheme)
    lines = "return [...document.querySelectorAll('#chart-count svg path')].map(p => getComputedStyle(p).stroke)"
    assert (_rgb("blue", scheme) in ask(browser, lines)) is (path.stem != "error")


def _rgb(name: str, scheme: str) -> str:
    colour = str(getattr(SHADES[name], scheme))
    return f"rgb({', '.join(str(int(colour[start : start + 2], 16)) for start in (1, 3, 5))})"


def test_the_answer_is_the_first_thing_that_is_read(browser: WebDriver, path: Path) -> None:
    """One sentence in the only heading of its rank, and on the first screen of a phone."""
    show(browser, path, width=PHONE)
    headings = browser.find_elements(By.TAG_NAME, "h1")
    assert len(headings) == 1
    assert len(re.findall(r"[.!?](?=\s|$)", headings[0].text)) == 1
    assert headings[0].text.endswith(".")
    assert headings[0].rect["y"] + headings[0].rect["height"] < 900


def test_nothing_on_the_page_runs(browser: WebDriver, path: Path) -> None:
    """Not the script that an image was called after, either."""
    show(browser, path)
    assert ask(browser, "return typeof window.pwned") == "undefined"
    assert ask(browser, "return document.scripts.length") == 0


def test_it_is_printed_in_light_colours_with_everything_unfolded(browser: WebDriver, path: Path) -> None:
    """Whatever the screen's colours are, and without what only a screen needs."""
    show(browser, path, scheme="dark")
    ask(browser, "document.querySelectorAll('details').forEach(each => each.open = false)")
    features = [{"name": "prefers-color-scheme", "value": "dark"}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print", "features": features})
    assert ask(browser, "return getComputedStyle(document.body).backgroundColor") == _rgb("surface", "light")
    assert ask(browser, "return getComputedStyle(document.querySelector('nav')).display") == "none"
    folded = "return [...document.querySelectorAll('details tbody tr')].filter(row => !row.checkVisibility()).length"
    assert ask(browser, folded) == 0


def test_hostile_names_are_read_as_they_were_given(browser: WebDriver, tmp_path: Path) -> None:
    """As text, from left to right around them, whatever direction they run in themselves."""
    found = tmp_path / "page.html"
    found.write_text(page(read_run(recorded("hostile", tmp_path))), encoding="utf-8")
    show(browser, found)
    assert "<script>window.pwned = true</script>" in browser.find_element(By.CSS_SELECTOR, ".eyebrow").text
    after = "return getComputedStyle(document.querySelector('.eyebrow bdi')).unicodeBidi"
    assert ask(browser, after) == "isolate"
