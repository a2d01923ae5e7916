"""A comparison as one JSON document: everything, in base units."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from density.capacity.compare.difference import Difference
from density.report.compare.comparison import Against, Comparison, Row
from density.report.compare.gates import Judged
from density.report.compare.groups import Group

SCHEMA = 1
Document = dict[str, Any]


def document(comparison: Comparison, judged: Sequence[Judged]) -> Document:
    """Plain JSON types; what is infinite or not known is null."""
    return {
        "schema": SCHEMA,
        "baseline": _group(comparison.baseline),
        "tested": comparison.tested,
        "doubts": list(comparison.doubts),
        "others": [_against(against) for against in comparison.others],
        "gates": [
            {
                "gate": each.gate.text,
                "runs": [run.run_id for run in each.group],
                "fired": each.fired,
                "sentence": each.sentence,
            }
            for each in judged
        ],
    }


def _group(group: Group) -> Document:
    return {
        "runs": [run.run_id for run in group],
        "profiles": list(dict.fromkeys(run.recorded.state.profile_name for run in group)),
    }


def _against(against: Against) -> Document:
    return {
        **_group(against.group),
        "conditions": [asdict(condition) for condition in against.conditions],
        "metrics": {row.key: _row(row) for row in against.rows},
    }


def _row(row: Row) -> Document:
    known = _difference(row.difference) if row.difference else None
    return {
        "unit": row.unit,
        "good": row.good,
        "finding": row.finding,
        "better": row.better,
        "difference": known,
        "p_corrected": row.p,
        "cliffs_delta": row.delta,
        "note": row.note,
    }


def _difference(found: Difference) -> Document:
    """Values, the change, and its 95 % interval, also as shares of the baseline."""
    numbers: Document = {**asdict(found)}
    numbers |= {f"{name}_share": found.share(numbers[name]) for name in ("change", "low", "high")}
    if not math.isfinite(found.high):
        numbers |= dict.fromkeys(("low", "high", "low_share", "high_share", "p"))
    return numbers
