"""`versus.json`: the comparison in one document, of plain JSON types and without infinities; pure."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from density import __version__
from density.capacity.versus.figure import Figure, Subject
from density.controller.versus.measure import Comparison
from density.report.versus.lines import Cell
from density.report.versus.table import Row

SCHEMA = 1
Document = dict[str, Any]


def document(comparison: Comparison, rows: Sequence[Row], *, profile: str, seconds: float) -> Document:
    """Everything: the rows as they are shown, and every sample that they are made of.

    Args:
        profile: its name.
        seconds: what the whole comparison took.
    """
    return {
        "schema": SCHEMA,
        "run_id": comparison.run_id,
        "density_version": __version__,
        "profile": profile,
        "seconds": seconds,
        "outcome": "interrupted" if comparison.interrupted else "done",
        "host": {**comparison.facts, "busy": comparison.busy},
        "counts": comparison.counts,
        "subjects": {subject.name: _subject(subject) for subject in comparison.subjects},
        "rows": [_row(row) for row in rows],
        "figures": [_figure(figure) for figure in comparison.figures.found],
        "left": list(comparison.left),
    }


def _subject(subject: Subject) -> Document:
    return {
        "engine": subject.workload.engine,
        "guest": subject.workload.guest if subject.workload.engine == "libvirt" else "",
        "accelerator": subject.accelerator,
        "missing": subject.missing,
    }


def _row(row: Row) -> Document:
    return {
        "row": row.key,
        "title": row.title,
        "article": row.says,
        "held": row.held,
        "statements": [asdict(statement) for statement in row.statements],
        "lines": [
            {
                "label": line.label,
                "name": line.name,
                "cells": {name: _cell(cell) for name, cell in line.cells.items()},
            }
            for line in row.lines
        ],
        "notes": list(row.notes),
    }


def _cell(cell: Cell) -> Document:
    return {key: _finite(value) for key, value in asdict(cell).items()}


def _figure(figure: Figure) -> Document:
    found = {key: _finite(value) for key, value in asdict(figure).items()}
    return {**found, "samples": [_finite(sample) for sample in figure.samples]}


def _finite(value: Any) -> Any:  # noqa: ANN401 — any JSON
    """JSON knows no infinity and no NaN."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
