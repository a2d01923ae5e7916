"""Induced ceilings: density run as a person runs it, what its result must say, and the table of them all."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from density.host.reader import HostReader

Document = dict[str, Any]
"""A `result.json`."""

RAMP = """
[ramp]
shape = "linear"
start = 4
step = 6
max = 60
until = "failure"
settle = "1s"
hold = "1s"
calibrate = 4
"""
"""Small steps and short rests: every ceiling here lies at 10 to 60 instances."""
SAFE = RAMP.replace('"failure"', '"safe"')

RUN_SECONDS = 300.0
"""A run that takes longer is ended, and wrong."""
TEARDOWN_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Row:
    """One induced ceiling.

    Attributes:
        induced: its id.
        named: what the verdict says, with its subject; or why there is none.
        confidence: the verdict's own.
        count: instances at which it bound.
        seconds: the run took, from command line to exit.
        problems: what was not right, one sentence each.
    """

    induced: str
    named: str
    confidence: float
    count: int
    seconds: float
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a result must say.

    Attributes:
        ceiling: the verdict's id.
        subject: which of several (a daemon, a disk); None: any.
        evidence: patterns, each of which a sentence of the evidence must match.
        fix: what the fix must contain.
        counts: fewest and most instances at which it may have bound.
    """

    ceiling: str
    subject: str | None
    evidence: Sequence[str]
    fix: str
    counts: tuple[int, int]


def used(name: str) -> int:
    """What the host has in use now, as its sensors tell it."""
    return int(HostReader(disks={}).read(thorough=True)[name])


@dataclass(frozen=True, slots=True)
class Finished:
    """A run that is over.

    Attributes:
        document: its `result.json`; empty where there is none.
        exit_code: None where it was ended because it took too long.
        said: what it wrote to the terminal for a person.
    """

    document: Document
    exit_code: int | None
    said: str
    seconds: float = 0.0

    @property
    def problem(self) -> str:
        """What is wrong about its end; empty if nothing."""
        if self.exit_code is None:
            return f"no end within {RUN_SECONDS:.0f} s"
        return f"exit code {self.exit_code}: {self.said.strip()}" if self.exit_code else ""


def run_density(profile: Path, runs_dir: Path, within: Sequence[str]) -> Finished:
    """Run `density run` in a process of its own.

    However this is left, the run is told to end and waited for, so that it takes its instances away.
    """
    command = [*within, sys.executable, "-m", "density", "run", str(profile), "--json", "-q", "--metrics", "off"]
    process = subprocess.Popen(
        [*command, "--runs-dir", str(runs_dir)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # a Ctrl-C in the terminal comes through here, once
    )
    try:
        out, said = process.communicate(timeout=RUN_SECONDS)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            _end(process)
    return Finished(json.loads(out) if out else {}, process.returncode, said)


def _end(process: subprocess.Popen[str]) -> None:
    try:
        process.communicate(timeout=TEARDOWN_SECONDS)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


def judged(document: Document, expected: Expected, *, seconds: float, problem: str) -> Row:
    """A row of the table, with all that a result does not say as it must."""
    verdict = document.get("verdict") or {}
    capacity = document.get("capacity") or {}
    count = capacity.get("hard", {}).get("count", 0)
    problems = [problem] if problem else []
    problems += _problems(document, verdict, count, expected)
    named = f"{verdict.get('ceiling', '')} {verdict.get('subject', '')}".strip()
    named = named or document.get("outcome", "") or "no result"
    return Row(expected.ceiling, named, verdict.get("confidence") or 0.0, count, seconds, tuple(problems))


def _problems(document: Document, verdict: Document, count: int, expected: Expected) -> Iterator[str]:
    if not document:
        return
    if not verdict:
        yield f"no verdict; outcome {document['outcome']}: {document['reason']}"
        return
    evidence = verdict["evidence"]
    if verdict["ceiling"] != expected.ceiling:
        yield f"named {verdict['ceiling']} {verdict['subject']} instead of {expected.ceiling}"
    if expected.subject is not None and verdict["subject"] != expected.subject:
        yield f"the subject is {verdict['subject']!r}, not {expected.subject!r}"
    for pattern in expected.evidence:
        if not any(re.search(pattern, sentence) for sentence in evidence):
            yield f"no evidence says {pattern!r}"
    if expected.fix not in verdict["fix"]:
        yield f"the fix {verdict['fix']!r} does not say {expected.fix!r}"
    if not expected.counts[0] <= count <= expected.counts[1]:
        yield f"it bound at {count} instances, which is not {expected.counts[0]} to {expected.counts[1]}"
    if document["teardown"]["left"]:
        yield f"left behind: {', '.join(document['teardown']['left'])}"


def timed_run(profile: Path, runs_dir: Path, within: Sequence[str] = ()) -> Finished:
    """`run_density`, with the seconds that it took."""
    began = time.monotonic()
    try:
        finished = run_density(profile, runs_dir, within)
    except subprocess.TimeoutExpired:
        finished = Finished({}, None, "")
    return replace(finished, seconds=time.monotonic() - began)
