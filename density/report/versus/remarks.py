"""What belongs below the comparison: how it was measured, and what makes numbers of it doubtful; pure."""

from collections.abc import Iterator

from density.controller.versus.measure import Comparison

BUSY = 0.2
"""Share of the CPUs taken before the first measurement, from which on other work is in the numbers."""


def remarks(comparison: Comparison) -> tuple[str, ...]:
    """Sentences, the gravest first."""
    return tuple(_remarks(comparison))


def _remarks(comparison: Comparison) -> Iterator[str]:
    if comparison.interrupted:
        yield "Interrupted: what comes after that was not measured."
    if comparison.busy >= BUSY:
        yield (
            f"The host was busy with other work ({comparison.busy:.0%} of its CPUs before the first measurement): times"
            " are longer and intervals wider than on a quiet one."
        )
    emulated = [subject.name for subject in comparison.subjects if subject.accelerator == "tcg"]
    if emulated:
        yield f"Emulated (TCG), not run by KVM: {', '.join(emulated)}. Under KVM the same is many times faster."
    for subject in comparison.subjects:
        if subject.missing:
            yield f"Not measured: {subject.name}: {subject.missing}."
    if "start" in comparison.rows:
        yield "Start: alone, each launched by itself again and again, in turns; at density, in the waves of its ramp."
    if "performance" in comparison.rows:
        yield (
            "Performance: median ratio to a process in the same second, with its 95 % interval; at once: all of a kind"
            " at work together, to as many processes at work."
        )
    if comparison.left:
        yield f"Left behind: {', '.join(comparison.left)} (remove it with: density clean)."
