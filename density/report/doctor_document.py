"""`density doctor --json`: one document, of plain JSON types and without infinities."""

import math
from typing import Any

from density.ceilings.catalog import BY_ID
from density.ceilings.reading import Reading
from density.controller.doctor import Answer, EngineAnswer, Examination
from density.profile.cautions import cautions
from density.report.doctor import MARGIN, Diagnosis, Prospect
from density.report.doctor_raise import Step, rounded_up, steps

SCHEMA = 1
Document = dict[str, Any]


def document(diagnosis: Diagnosis) -> Document:
    """Everything that is known, nearest ceiling first."""
    found = diagnosis.examination
    return {
        "schema": SCHEMA,
        "profile": diagnosis.profile.name,
        "workloads": {each.name: {"engine": each.engine, "share": each.share} for each in diagnosis.profile.workloads},
        "costs": cost_source(diagnosis),
        "warnings": list(cautions(diagnosis.profile)),
        "host": dict(found.facts),
        "engines": {answer.name: _engine(answer) for answer in found.engines},
        "accelerator": _accelerator(found),
        "slice": _answer(found.slice),
        "payload": _answer(found.payload),
        "guest_kernel": _answer(found.kernel),
        "runs": {
            "alive": [name for name, alive in found.runs.items() if alive],
            "left": [name for name, alive in found.runs.items() if not alive],
        },
        "ceilings": ceiling_documents(diagnosis) + [_soft(each) for each in diagnosis.soft],
        "absent": [{"name": each.name, "why": each.why, "unavailable": each.unavailable} for each in diagnosis.absent],
        "wanted": _wanted(diagnosis) if diagnosis.wanted else None,
    }


def ceiling_documents(diagnosis: Diagnosis) -> list[Document]:
    """The hard ceilings, nearest first, each with its cost and count."""
    return [_prospect(each) for each in diagnosis.prospects]


def cost_source(diagnosis: Diagnosis) -> Document:
    """What the costs rest on as a whole; each has its own `basis`."""
    return {"from": "run" if diagnosis.measured_by else "expected", "run_id": diagnosis.measured_by or None}


def _answer(answer: Answer) -> Document:
    return {"ok": answer.ok, "words": answer.words}


def _engine(answer: EngineAnswer) -> Document:
    info = answer.info
    return {
        "answers": info is not None,
        "version": info.version if info else None,
        "endpoint": info.endpoint if info else None,
        "daemons": dict(info.daemons) if info else {},
        "problem": answer.problem or None,
        "remedy": answer.remedy or None,
    }


def _accelerator(found: Examination) -> Document:
    booted = found.booted
    return {
        "kvm": found.facts.get("kvm"),
        "booted": booted.accelerator if booted else None,
        "run_id": booted.run_id if booted else None,
        "why": (booted.why if booted else "") or None,
    }


def _reading(reading: Reading) -> Document:
    ceiling = BY_ID[reading.ceiling]
    return {
        "ceiling": reading.ceiling,
        "subject": reading.subject,
        "resource": ceiling.resource,
        "unit": ceiling.unit,
        "lethal": ceiling.is_lethal(reading.subject),
        "soft": ceiling.soft,
        "used": reading.used,
        "limit": reading.limit,
        "reserve": reading.reserve,
        "fix": ceiling.fix.text,
    }


def _prospect(prospect: Prospect) -> Document:
    cost, forecast = prospect.cost, prospect.forecast
    return _reading(prospect.reading) | {
        "cost": {
            "value": cost.value,
            "low": cost.low,
            "high": cost.high if math.isfinite(cost.high) else None,
            "basis": cost.basis,
        },
        "count": _count(forecast.count),
        "low": _count(forecast.low),
        "high": _count(forecast.high),
    }


def _soft(reading: Reading) -> Document:
    return _reading(reading) | {"cost": None, "count": None, "low": None, "high": None}


def _count(value: float) -> int | None:
    return math.floor(value) if math.isfinite(value) else None


def _wanted(diagnosis: Diagnosis) -> Document:
    return {
        "count": diagnosis.wanted,
        "fits": diagnosis.fits,
        "unknown": list(diagnosis.unknown),
        "in_doubt": [{"ceiling": each.reading.ceiling, "subject": each.reading.subject} for each in diagnosis.in_doubt],
        "margin": MARGIN,
        "steps": [_step(step, diagnosis.wanted) for step in steps(diagnosis)],
    }


def _step(step: Step, count: int) -> Document:
    reading = step.prospect.reading
    return {
        "ceiling": reading.ceiling,
        "subject": reading.subject,
        "needed": rounded_up(step.prospect.needed(count)),
        "kind": step.kind,
        "what": step.name,
        "value": step.value or None,
    }
