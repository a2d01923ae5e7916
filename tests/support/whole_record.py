"""Whether a record is whole: what it says of every instance, in SQL that knows nothing of density's own fold."""

import json
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from click.testing import CliRunner

from density.cli import main
from density.controller.paths import RECORD
from density.controller.session import RESULT
from density.errors import DensityError
from density.record.reader import replay

_ACCOUNT = """
WITH change AS (
    SELECT json_extract(body, '$.instance_id') AS id, json_extract(body, '$.phase') AS phase
    FROM event WHERE kind = 'instance_changed'
), instance AS (
    SELECT id,
        max(phase = 'requested') AS requested, max(phase = 'ready') AS ready, max(phase = 'failed') AS failed,
        max(phase = 'lost') AS lost, max(phase = 'removed') AS removed
    FROM change GROUP BY id
)
SELECT count(*), coalesce(sum(requested), 0), coalesce(sum(ready), 0), coalesce(sum(failed), 0),
    coalesce(sum(NOT ready AND NOT failed), 0), coalesce(sum(ready AND failed), 0),
    coalesce(sum(ready AND lost), 0), coalesce(sum(ready AND removed AND NOT lost), 0),
    coalesce(sum(ready AND NOT lost AND NOT removed), 0)
FROM instance
"""

_FORMS = ("html", "markdown", "json", "junit")


@dataclass(frozen=True, slots=True)
class Account:
    """What became of a run's instances, by its record.

    Attributes:
        instances: that the record knows of; requested: of these, those whose request it has.
        ready, failed: how their launches ended; pending: neither of both; contradictory: both.
        lost, removed, alive: what became of the ready ones.
    """

    instances: int
    requested: int
    ready: int
    failed: int
    pending: int
    contradictory: int
    lost: int
    removed: int
    alive: int


def account(run_dir: Path) -> Account:
    """The counts of a record."""
    with _reading(run_dir) as db:
        return Account(*db.execute(_ACCOUNT).fetchone())


def flaws(run_dir: Path, *, seen: Collection[str] = ()) -> list[str]:
    """What a record lacks or gets wrong, one sentence each; empty where it is whole.

    Args:
        run_dir: a run's; one that was killed before it had a record has lost nothing.
        seen: ids of instances that were seen on the host (`support.host_state.instances_on_the_host`).
    """
    try:
        if not _is_begun(run_dir):
            return [f"no record, but {name} was on the host" for name in seen]
        return list(_flaws(run_dir, seen))
    except (sqlite3.Error, DensityError, ValueError, LookupError) as error:
        return [f"the record cannot be read: {type(error).__name__}: {error}"]


def _is_begun(run_dir: Path) -> bool:
    """Whether there is a record that a first event could have been written to."""
    if not (run_dir / RECORD).exists():
        return False
    with _reading(run_dir) as db:
        return bool(db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'event'").fetchone()[0])


def unread(run_dir: Path) -> list[str]:
    """Commands that do not work on a run, one sentence each; one that ends before its first sample has no export."""
    began, sampled = False, False
    if _is_begun(run_dir):
        with _reading(run_dir) as db:
            began = _count(db, "run_started") > 0
            sampled = began and _count(db, "host_sampled") > 0
    tried = [
        _tried(("runs", "--json", "--runs-dir", str(run_dir.parent)), {0}),
        _tried(("export", str(run_dir)), {0} if sampled else {0, 1, 2}),
        _tried(("plan", str(run_dir), "--demand", _demand(run_dir)), {0, 2, 3} if sampled else {2}),
    ]
    tried += [_tried(("report", str(run_dir), "--format", form, "-o", "-"), {0} if began else {2}) for form in _FORMS]
    return [sentence for sentence in tried if sentence]


def _tried(words: Sequence[str], codes: set[int]) -> str:
    with CliRunner().isolation() as (out, error, _):
        code = main(list(words))
        said = (error.getvalue().strip() or out.getvalue()[-200:]).decode(errors="replace")
    if code in codes and "density itself failed" not in said and "Traceback" not in said:
        return ""
    return f"density {' '.join(words)}: exit code {code}, not {sorted(codes)}: {said}"


def _demand(run_dir: Path) -> str:
    """Ten of each workload that the record knows."""
    try:
        names = list(replay(run_dir / RECORD).workloads)
    except DensityError:
        names = []
    return ",".join(f"{name}=10" for name in names) or "web=10"


def _flaws(run_dir: Path, seen: Collection[str]) -> Iterator[str]:
    with _reading(run_dir) as db:
        (health,) = db.execute("PRAGMA integrity_check").fetchone()
        if health != "ok":
            yield f"the file is damaged: {health}"
        events, last = db.execute("SELECT count(*), coalesce(max(seq), 0) FROM event").fetchone()
        if events != last:
            yield f"{last - events} events are missing in its middle"
        known = {name for (name,) in db.execute("SELECT id FROM instances")}
        torn_down = _count(db, "torn_down")
        row = db.execute("SELECT body FROM event WHERE kind = 'torn_down'").fetchone()
        left = json.loads(row[0])["left"] if row else []
    yield from (f"{name} was on the host, and the record does not know it" for name in sorted(set(seen) - known))
    counted = account(run_dir)
    yield from _unequal("requests and instances", counted.requested, counted.instances)
    if counted.contradictory:
        yield f"{counted.contradictory} instances are both ready and failed"
    yield from _unequal("the fold and the events", _folded(run_dir), (counted.ready, counted.failed, counted.lost))
    if torn_down:
        yield from _unequal("teardowns", torn_down, 1)
        yield from _unequal("launches without an end after the teardown", counted.pending, 0)
        if counted.alive > len(left):
            yield f"{counted.alive} are alive after the teardown, which left {left}"
    if (run_dir / RESULT).exists():
        yield from _of_the_result(json.loads((run_dir / RESULT).read_text()), counted)


def _of_the_result(document: dict[str, dict[str, dict[str, int]]], counted: Account) -> Iterator[str]:
    """Of a result whose record is incomplete (its disk was full) nothing else can be asked."""
    if not document["record"]["complete"]:
        return
    workloads = document["workloads"].values()
    found = tuple(sum(each[key] for each in workloads) for key in ("launched", "ready", "failed", "lost"))
    yield from _unequal(
        "the result and the events",
        found,
        (counted.ready + counted.failed, counted.ready, counted.failed, counted.lost),
    )


def _folded(run_dir: Path) -> tuple[int, int, int]:
    workloads = list(replay(run_dir / RECORD).workloads.values())
    ready, failed, lost = (sum(getattr(each, key) for each in workloads) for key in ("ready", "failed", "lost"))
    return ready, failed, lost


def _unequal(what: str, found: object, expected: object) -> Iterator[str]:
    if found != expected:
        yield f"{what}: {found}, not {expected}"


def _count(db: sqlite3.Connection, kind: str) -> int:
    (count,) = db.execute("SELECT count(*) FROM event WHERE kind = ?", (kind,)).fetchone()
    return int(count)


def _reading(run_dir: Path) -> closing[sqlite3.Connection]:
    return closing(sqlite3.connect(f"{(run_dir / RECORD).resolve().as_uri()}?mode=ro", uri=True))
