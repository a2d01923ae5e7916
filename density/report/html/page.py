"""Fills in the page: every text from outside is escaped, every number says what it is, nothing is loaded."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from jinja2 import Environment
from markupsafe import Markup

from density.ceilings.catalog import CATALOG
from density.report import tables
from density.report.answer import answer
from density.report.charts import Absent, Picture, draw_charts
from density.report.charts.palette import SHADES
from density.report.checks import checks
from density.report.facts import Fact, count, fact, odds, plain
from density.report.recorded import Recorded
from density.report.templating import environment
from density.text import visible
from density.units import format_value

LONGEST = 300
"""Letters of a name or message that are shown; JSON and CSV have all of them."""
_DIRECTIONS = "\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
"""Marks that turn the direction of text: kept where an element of its own keeps them in."""


def page(run: Recorded) -> str:
    """The report as an HTML document."""
    template = _filled().get_template("report.html.j2")
    return template.render(run=run, result=run.result, **_context(run))


def _context(run: Recorded) -> dict[str, Any]:
    drawn = list(draw_charts(run))
    return {
        "answer": answer(run),
        "title": f"{plain(answer(run))} – density {run.state.profile_name}",
        "started": datetime.fromtimestamp(run.state.wall, UTC),
        "capacities": tables.capacities(run),
        "verdict": run.result["verdict"],
        "heading": tables.heading(run),
        "ahead": tables.ahead(run),
        "pictures": [one for one in drawn if isinstance(one, Picture)],
        "absent": [one for one in drawn if isinstance(one, Absent)],
        "workloads": tables.workloads(run),
        "waves": tables.waves(run),
        "footprints": tables.footprints(run),
        "failures": tables.failures(run),
        "host": tables.host(run),
        "checks": checks(run),
        "shades": SHADES,
        "units": {ceiling.id: ceiling.unit for ceiling in CATALOG},
    }


def _filled() -> Environment:
    made = environment()
    made.filters |= {"said": said, "num": number, "name": name, "message": message, "shortened": shortened}
    made.globals |= {"count": count, "fact": fact, "odds": odds, "value": format_value, "mark": _mark}
    return made


def number(of: Fact | None) -> Markup:
    """A number that says what it is; a dash where there is none."""
    if of is None:
        return Markup("–")
    return Markup('<data data-fact="{}" value="{:.10g}">{}</data>').format(shortened(of.key), float(of.value), of.text)


def said(parts: Sequence[str | Fact]) -> Markup:
    """A sentence with its numbers."""
    return Markup("").join(number(part) if isinstance(part, Fact) else shortened(part) for part in parts)


def name(text: str) -> Markup:
    """A name from outside, on its own whatever direction its letters run in."""
    return Markup("<bdi>{}</bdi>").format(shortened(text, kept=_DIRECTIONS))


def message(text: str) -> Markup:
    """Words of an engine or an instance."""
    return Markup('<bdi class="message">{}</bdi>').format(shortened(text, 4 * LONGEST, kept=f"{_DIRECTIONS}\n"))


def shortened(text: str, longest: int = LONGEST, *, kept: str = "\n") -> str:
    """Cut at its end, and without invisible characters, but for those that are `kept`."""
    shown = visible(text[:longest], keep=kept)
    left = len(text) - longest
    return f"{shown}… ({left:,} more letters)" if left > 0 else shown


def _mark(grade: str) -> str:
    marks: Mapping[str, str] = {"fine": "✓", "doubtful": "!", "invalid": "✕"}
    return marks[grade]
