"""A comparison as one HTML file that needs nothing else."""

from collections.abc import Sequence

from markupsafe import Markup, escape

from density import __version__
from density.report.charts.palette import SHADES
from density.report.compare import words
from density.report.compare.comparison import Comparison
from density.report.compare.gates import Judged
from density.report.templating import environment


def html(comparison: Comparison, judged: Sequence[Judged]) -> str:
    """The document; every text from outside is escaped."""
    made = environment()
    made.filters |= {"clean": words.clean, "key": _key}
    template = made.get_template("compare.html.j2")
    return template.render(comparison=comparison, judged=judged, words=words, shades=SHADES, version=__version__)


def _key(text: str) -> Markup:
    """A dotted name that may be broken after its dots."""
    return Markup(".<wbr>").join(escape(part) for part in words.clean(text).split("."))
