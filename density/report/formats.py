"""The formats of a report, by their names."""

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from density.report.junit import junit
from density.report.markdown import markdown
from density.report.recorded import Recorded, read_run

REPORT = "report.html"


def html(run: Recorded) -> str:
    """The page; what draws it is imported here, since it takes longer than everything else."""
    from density.report.html import page  # noqa: PLC0415 — matplotlib takes a second

    return page(run)


def document(run: Recorded) -> str:
    """The document of `result.json`."""
    return json.dumps(run.result, indent=2, allow_nan=False) + "\n"


ONE_FILE: Mapping[str, tuple[str, Callable[[Recorded], str]]] = {
    "html": (REPORT, html),
    "markdown": ("report.md", markdown),
    "json": ("report.json", document),
    "junit": ("junit.xml", junit),
}
"""Format -> its file's name, and what makes it. CSV is several files: `csv_files`."""


def write_page(run_dir: Path) -> Path:
    """Write the page of a run into its directory; its path. Takes 1.5 s of CPU, 3 s for a run of thousands.

    Raises:
        UsageError: as `read_run`.
        OSError: it cannot be written.
    """
    path = run_dir / REPORT
    text = html(read_run(run_dir))
    try:
        path.write_text(text, encoding="utf-8", errors="replace")
    except OSError:
        with suppress(OSError):  # a file system that became read-only refuses this too
            path.unlink(missing_ok=True)
        raise
    return path
