"""The suite of applications: tiny programs of a user's, each of which fails by itself at another limit.

A row says how the program is run, what the host is like meanwhile, and what density's verdict must be.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from attribution.induced import Row
from docker import APIClient
from docker.errors import ImageNotFound
from engines.contract import short_directory
from support.compiled import compile_static, image_tar
from support.reliability import Claim
from support.running import Document, Finished, timed_run

ROWS = pytest.StashKey[list[Row]]()
TOLD = pytest.StashKey[list["Told"]]()
CLAIMS = pytest.StashKey[list[Claim]]()
"""The rows of the tables, in the configuration of this session: induced ceilings, applications, and what verdicts of
simulated hosts claim. A key in conftest.py would be two: pytest has it as one module, whoever imports it as another.
"""
PROGRAMS = Path(__file__).with_name("applications")
ENDPOINT = "unix:///var/run/docker.sock"
NAME = "density-applications"
DIRECTORIES = {"dev": 0o755, "proc": 0o755, "sys": 0o755, "tmp": 0o1777}
RAMP = """
[ramp]
shape = "linear"
start = 4
step = 4
max = 40
until = "failure"
settle = "{settle}"
hold = "1s"
calibrate = 4
max_time = "120s"
"""


@dataclass(frozen=True, slots=True)
class Place:
    """What a row finds: its image, two empty directories, and what its circumstances add.

    Attributes:
        directory: with a short path, for sockets.
        files: for anything else.
        endpoint: of a Docker daemon of its own; empty: the host's.
    """

    image: str
    directory: Path
    files: Path
    endpoint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """One row.

    Attributes:
        name: of the row.
        command: the program and its arguments.
        wanted: id of the ceiling that the verdict must name; `none`: that none is named, and `outcome` is the run's.
        subject: which of several; None: any.
        fix: what the verdict's fix must contain: the knob.
        said: what the program says last; a line of the failures' evidence must contain it.
        evidence: what a sentence of the verdict's evidence must contain.
        table: more tables of the profile, such as its slice.
        more: more keys of the workload.
        settle: how long a wave rests: longer than what fails needs to fail.
        outcome: of the run.
        exit_codes: any of these.
        counts: fewest and most instances that may have run at once.
        during: what the host is like meanwhile.
    """

    name: str
    command: Sequence[str]
    wanted: str
    subject: str | None = None
    fix: str = ""
    said: str = ""
    evidence: str = ""
    table: str = ""
    more: str = ""
    settle: str = "1s"
    outcome: str = "ceiling"
    exit_codes: tuple[int, ...] = (0,)
    counts: tuple[int, int] = (0, 40)
    during: Callable[[Place], AbstractContextManager[Place]] = field(default=nullcontext)

    def profile(self, place: Place) -> str:
        """The profile of this row."""
        command = json.dumps([f"/{self.command[0]}", *self.command[1:]])
        engines = f'[engines]\ndocker = "{place.endpoint}"\n' if place.endpoint else ""
        workload = f'engine = "docker"\nimage = "{place.image}"\ncommand = {command}\n'
        ready = "" if "ready_timeout" in self.more else 'ready_timeout = "20s"\n'
        return (
            f'name = "application"\n{RAMP.format(settle=self.settle)}\n{engines}\n{self.table}\n'
            f'[workloads.web]\n{workload}ready = "log:listening"\n{ready}{self.more}\n'
        )


@dataclass(frozen=True, slots=True)
class Told:
    """A row of the printed table.

    Attributes:
        said: the ceiling that the verdict names, with its subject, or the outcome where there is no verdict.
        confidence: the verdict's; None without one, or where it has no odds.
        right: whether the verdict names what it must, and the subject where one is given.
        count: the most that ran at once.
        problems: what was not right, one sentence each.
    """

    application: str
    wanted: str
    said: str
    confidence: float | None
    right: bool
    count: int
    seconds: float
    problems: tuple[str, ...]


def told(application: Application, document: Document, *, exit_code: int, seconds: float) -> Told:
    """What a run of this application said, and what of it is wrong."""
    verdict = document.get("verdict") or {}
    said = f"{verdict.get('ceiling', '')} {verdict.get('subject', '')}".strip()
    count = sum(workload["peak"] for workload in document.get("workloads", {}).values())
    named = verdict.get("ceiling", "none") == application.wanted
    return Told(
        application.name,
        application.wanted,
        said or f"none ({document.get('outcome', 'no result')})",
        verdict.get("confidence"),
        named and application.subject in {None, verdict.get("subject")},
        count,
        seconds,
        tuple(_problems(application, document, verdict, count, exit_code)),
    )


def _problems(
    application: Application, document: Document, verdict: Document, count: int, exit_code: int
) -> Iterator[str]:
    if not document:
        yield f"no result; exit code {exit_code}"
        return
    sentences = (*verdict.get("evidence", ()), document["reason"])
    last_lines = [line for each in document["workloads"].values() for line in _last_lines(each)]
    subject = verdict.get("subject") if application.subject is None else application.subject
    facts: dict[str, tuple[object, object]] = {
        "verdict": (verdict.get("ceiling", "none"), application.wanted),
        "subject": (verdict.get("subject"), subject),
        "knob in the fix": (application.fix in verdict.get("fix", ""), True),
        "evidence": (any(application.evidence in sentence for sentence in sentences), True),
        "last words in the result": (
            not application.said or any(application.said in each for each in last_lines),
            True,
        ),
        "outcome": (document["outcome"], application.outcome),
        "exit code": (exit_code, exit_code if exit_code in application.exit_codes else application.exit_codes),
        "count in bounds": (application.counts[0] <= count <= application.counts[1], True),
        "next below what ran": ([each for each in verdict.get("next", ()) if each["count"] < count], []),
        "left": (document["teardown"]["left"], []),
    }
    for fact, (found, wanted) in facts.items():
        if found != wanted:
            yield f"{fact}: {found}, not {wanted} ({document['reason']})"


def _last_lines(workload: Document) -> Iterator[str]:
    for failure in workload["failures"]:
        yield from failure["evidence"]


def programs_image(directory: Path, *names: str) -> bytes:
    """The files of an image with these programs, made in a directory; without names all of them."""
    sources = [PROGRAMS / f"{name}.c" for name in names] or sorted(PROGRAMS.glob("*.c"))
    return image_tar([compile_static(source, directory / source.stem) for source in sources], DIRECTORIES)


@contextmanager
def imported(files: bytes, endpoint: str) -> Iterator[str]:
    """The image at this daemon."""
    client = APIClient(base_url=endpoint, version="auto")
    try:
        client.import_image_from_data(files, repository=NAME, tag="latest")
        yield f"{NAME}:latest"
    finally:
        with suppress(ImageNotFound):
            client.remove_image(f"{NAME}:latest", force=True)
        client.close()


def run_application(application: Application, files: bytes, directory: Path) -> tuple[Told, Finished]:
    """Run density on one row as a person would.

    Args:
        application: the row.
        files: the image's.
        directory: empty, for the profile, the run and what the row needs besides.
    """
    profile = directory / "application.toml"
    with (
        short_directory() as short,
        application.during(Place(f"{NAME}:latest", short, directory)) as place,
        imported(files, place.endpoint or ENDPOINT),
    ):
        profile.write_text(application.profile(place))
        finished = timed_run(profile, directory / "runs")
    code = -1 if finished.exit_code is None else finished.exit_code
    return told(application, finished.document, exit_code=code, seconds=finished.seconds), finished
