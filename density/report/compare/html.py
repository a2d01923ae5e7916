"""A comparison as one HTML file that needs nothing else."""

from collections.abc import Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from density import __version__
from density.report.charts.palette import SHADES
from density.report.compare import words
from density.report.compare.comparison import Comparison
from density.report.compare.gates import Judged


def html(comparison: Comparison, judged: Sequence[Judged]) -> str:
    """The document; every text from outside is escaped."""
    environment = Environment(
        loader=PackageLoader("density.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"clean": words.clean, "key": _key}
    template = environment.get_template("compare.html.j2")
    return template.render(comparison=comparison, judged=judged, words=words, shades=SHADES, version=__version__)


def _key(text: str) -> Markup:
    """A dotted name that may be broken after its dots."""
    return Markup(".<wbr>").join(escape(part) for part in words.clean(text).split("."))
