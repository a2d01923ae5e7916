"""What belongs below the comparison: how it was measured, and what makes numbers of it doubtful; pure."""

from collections.abc import Iterator

from density.controller.versus.measure import Comparison

BUSY = 0.5
"""Load a CPU before the first measurement, from which on other work is in the numbers."""


def remarks(comparison: Comparison) -> tuple[str, ...]:
    """Sentences, the gravest first."""
    return tuple(_remarks(comparison))


def _remarks(comparison: Comparison) -> Iterator[str]:
    if comparison.interrupted:
        yield "Interrupted: what comes after that was not measured."
    cpus = float(comparison.facts.get("cpus", 1))
    if comparison.load >= BUSY * cpus:
        yield (
            f"The host was busy with other work (load {comparison.load:.1f} on {cpus:.0f} CPUs): times are longer and"
            " intervals wider than on a quiet one."
        )
    emulated = [subject.name for subject in comparison.subjects if subject.accelerator == "tcg"]
    if emulated:
        yield f"Emulated (TCG), as KVM boots no Linux guest here: {', '.join(emulated)}. KVM is many times faster."
    for subject in comparison.subjects:
        if subject.missing:
            yield f"Not measured: {subject.name}: {subject.missing}."
    counts = ", ".join(f"{count} {name}" for name, count in comparison.counts.items())
    if {"start", "performance"} & set(comparison.rows):
        yield f"At density: {counts}; at once: as many, all at work together, to as many processes at work."
    if "performance" in comparison.rows:
        yield "Ratios are to a process measured in the same seconds; the range is the 95 % interval of the median."
    if comparison.left:
        yield f"Left behind: {', '.join(comparison.left)} (remove it with: density clean {comparison.run_id})."
