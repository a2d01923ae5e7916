"""The script of `density doctor --script`: raises what a count needs, and puts back what it found."""

import shlex
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

from density import __version__
from density.report.doctor import MARGIN, Diagnosis
from density.report.doctor_raise import Step, reason, steps
from density.text import visible
from density.units import format_count

_BODY = Path(__file__).with_name("doctor_script.sh")
_WIDTH = 100


def script(diagnosis: Diagnosis) -> str:
    """The script as text, for a POSIX shell."""
    found = steps(diagnosis)
    parts = (_head(diagnosis, found), _limits(found, diagnosis.wanted), _BODY.read_text(encoding="utf-8").splitlines())
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def _head(diagnosis: Diagnosis, found: Sequence[Step]) -> Iterator[str]:
    count = format_count(diagnosis.wanted)
    costs = (
        f"measured in run {diagnosis.measured_by}"
        if diagnosis.measured_by
        else "declared or typical, as none was measured"
    )
    yield "#!/bin/sh"
    yield from _comment(
        f"Raises the limits of this host so that {count} instances fit: {diagnosis.title}. "
        f"Made by density {__version__}; what an instance costs: {costs}."
    )
    yield "#"
    yield from _comment("  sh SCRIPT         raise them, now and at every boot")
    yield from _comment("  sh SCRIPT undo    put back what was found, and forget")
    yield "#"
    yield from _comment(
        "A limit becomes what is used now, plus the reserve that the host keeps, plus what the instances cost and "
        f"{MARGIN:.0%} of that. What is high enough is left alone, and nothing is ever lowered. What was found is "
        "kept in /var/lib/density/raised until undo."
    )
    by_hand = [step for step in found if step.kind == "hand"]
    if by_hand:
        yield "#"
        yield from _comment("Not in here, as no setting does it:")
    for step in by_hand:
        yield from _comment(f"- {reason(step.prospect, diagnosis.wanted)}. {step.name}", hang="  ")


def _limits(found: Sequence[Step], count: int) -> Iterator[str]:
    """The function that names every limit; the body calls it."""
    yield "# shellcheck disable=SC2317 # which of the functions are called depends on the limits"
    yield "limits() {"
    told: set[tuple[str, str]] = set()
    highest: dict[str, int] = {}
    lines: dict[str, list[str]] = {}
    units = {step.name for step in found if step.kind == "unit"}
    for step in found:
        if step.kind == "hand":
            continue
        highest[step.name] = max(step.value, highest.get(step.name, 0))
        about = lines.setdefault(step.name, [])
        if step.prospect.reading.key not in told:
            told.add(step.prospect.reading.key)
            about += [f"    {line}" for line in _comment(reason(step.prospect, count), width=_WIDTH - 4)]
    if not highest:
        yield "    say 'nothing to raise'"
    for name, about in lines.items():
        yield from about
        if name.endswith(" LimitNOFILE"):
            yield "    # No process may be given more than this."
            yield f"    raise_sysctl fs.nr_open {highest[name]}"
        # Words of a shell, whatever a subject is called.
        words = name.rsplit(" ", 1) if name in units else [name]
        yield f"    {'raise_unit' if name in units else 'raise_sysctl'} {visible(shlex.join(words))} {highest[name]}"
    yield "}"


def _comment(text: str, *, hang: str = "", width: int = _WIDTH) -> list[str]:
    indent = text[: len(text) - len(text.lstrip())]
    return textwrap.wrap(
        visible(text.strip()),
        width,
        initial_indent=f"# {indent}",
        subsequent_indent=f"# {indent}{hang}",
        break_long_words=False,
        break_on_hyphens=False,
        drop_whitespace=True,
    )
