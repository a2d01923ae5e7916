"""Rubbish that looks like what density reads: profiles, records, results; and what must hold whatever it reads.

Everything is made from a `random.Random`, so that hypothesis, a loop over seeds and a coverage-guided fuzzer share it.
"""

import io
import json
import os
import signal
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from functools import cache
from pathlib import Path
from random import Random
from types import FrameType
from typing import Any, NoReturn, TextIO

from density.cli import main
from density.controller.paths import RECORD
from density.controller.session import RESULT
from density.errors import ProfileError
from density.events import Event
from density.profile.load import load_profile, profile_to_toml
from density.profile.source import shipped_directory
from density.record.codec import encode
from density.record.schema import SCHEMA, SCHEMA_VERSION

DIGITS = "9" * 5000
TOKENS: Sequence[str] = (
    *("-0.0", "0", "-1", "1e308", "-1e308", "5e-324", "inf", "nan", DIGITS, f"0x{DIGITS}", "2**53", "true"),
    *("[]", "{}", "[[[[[[", "{a={a={a=1}}}", "[1, 2", '"', "=", ".", "\n", "#", "[", "]", "\x00", '""'),
    *('"' + "x" * 5000 + '"', '"\\u0000"', '"\\u202e"', "1979-05-27T07:32:00Z", "07:32:00", "a." * 600 + "a=1"),
    *("[workloads.x]", "[workloads]", "[[workloads]]", "workloads", "ramp", "memory", "engine", "name", "share"),
    *('"log:((((a+)+)+)+"', '"log:' + "(" * 3000 + '"', '"http:99999/"', '"~nobody-of-this-name/x"', '"1e400s"'),
    *('"9e9GiB"', '"-0s"', '"off"', '"auto"', '"simulated"', '"docker"', '"disk"', 'guest = "disk"'),
)
"""What stands where something else is due."""
VALUES: Sequence[Any] = (
    *(None, True, -1, 0, 2**63, 10**400, -0.0, 1e308, -1e308, 5e-324, float("inf"), float("nan"), 1e18, -1e18, 1e9),
    *("", "NaN", "x" * 5000, "\x00", "\x1b[2J", "<script>", "web", "ready", "run_started", "1", "nan"),
    *([], {}, [[]], {"a": {}}),
)
"""The same in JSON."""
LIMIT_SECONDS = 60.0
"""On a busy host a page with its charts takes some of them."""
INTERNAL = "density itself failed"


class Hung(BaseException):
    """What was fuzzed has not come back in time."""


@contextmanager
def in_time(seconds: float = LIMIT_SECONDS) -> Iterator[None]:
    """Raises Hung in the main thread after so long."""

    def ring(number: int, frame: FrameType | None) -> NoReturn:
        raise Hung(f"not back after {seconds:g} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def flipped(rng: Random, data: bytes) -> bytes:
    """Bytes that a bad disk or half a copy makes of these: bits turned, a part gone, doubled or filled with zeros."""
    found = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8, 64))):
        at = rng.randrange(len(found) + 1)
        size = rng.choice((1, 4, 512, 4096))
        match rng.randrange(6):
            case 0:
                del found[at:]
            case 1:
                del found[at : at + size]
            case 2:
                found[at:at] = found[at : at + size]
            case 3:
                found[at : at + size] = bytes(len(found[at : at + size]))
            case _ if at < len(found):
                found[at] ^= 1 << rng.randrange(8)
    return bytes(found)


def _shipped() -> list[str]:
    return [path.read_text(encoding="utf-8") for path in sorted(shipped_directory().glob("*.toml"))]


def profile(rng: Random) -> bytes:
    """A profile in which something is wrong, perhaps everything."""
    text = rng.choice(_SHIPPED)
    for _ in range(rng.choice((1, 1, 2, 5, 20))):
        lines = text.splitlines() or [""]
        at = rng.randrange(len(lines))
        match rng.randrange(7):
            case 0:
                lines[at] = lines[at].partition("=")[0] + "= " + rng.choice(TOKENS)
            case 1:
                lines[at] = rng.choice(TOKENS) + "=" + lines[at].partition("=")[2]
            case 2:
                lines.insert(at, rng.choice(lines))
            case 3:
                del lines[at]
            case 4:
                place = rng.randrange(len(lines[at]) + 1)
                lines[at] = lines[at][:place] + rng.choice(TOKENS) + lines[at][place:]
            case 5:
                lines[at:at] = rng.choice(_SHIPPED).splitlines()
            case 6:
                lines[at] = lines[at] * rng.choice((2, 50))
        text = "\n".join(lines)
    data = text.encode("utf-8", "surrogatepass")
    return flipped(rng, data) if not rng.randrange(4) else data


_SHIPPED = _shipped()


def read_profile(data: bytes, path: Path) -> bool:
    """Load a profile of these bytes: whether it is one. What is one can be written, and is the same when read again."""
    path.write_bytes(data)
    try:
        loaded = load_profile(path)
    except ProfileError as error:
        if not all(problem and "\n" not in problem for problem in error.problems or [""]):
            raise AssertionError(f"not one sentence each: {error.problems}") from error
        return False
    path.write_text(profile_to_toml(loaded), encoding="utf-8")
    assert load_profile(path) == loaded
    return True


def command_line(rng: Random, run: Path, other: Path) -> list[str]:
    """A command with options of its own and values that are none; it starts nothing."""
    command, options = rng.choice(_COMMANDS)
    line = [{"RUN": str(run), "OTHER": str(other)}.get(word, word) for word in command.split()]
    for _ in range(rng.randrange(1, 4)):
        if options and rng.randrange(5):
            line.append(rng.choice(options.split()))
        value = rng.choice(ARGUMENTS)
        for _ in range(rng.randrange(3)):
            value = (
                rng.choice(KEYS) + value if rng.randrange(2) else f"{value},{rng.choice(KEYS)}{rng.choice(ARGUMENTS)}"
            )
        line.append(value)
    return line


_COMMANDS = (
    ("plan RUN", "--demand --host --hosts --spare --cpu-busy --overcommit --time-limit --format"),
    ("plan RUN --demand web=3,db=1", "--host --hosts --spare --cpu-busy --overcommit --time-limit --format"),
    ("compare RUN OTHER", "--fail-if --format"),
    ("report RUN", "--format --runs-dir"),
    ("export RUN", "--format"),
    ("run simulated --dry-run", "--set --until --max --require --linger --metrics"),
    ("doctor simulated", "--for --set"),
    ("versus nowhere", "--set"),
    ("runs", "--runs-dir"),
    ("profiles", ""),
    ("watch", ""),
)
ARGUMENTS = (
    *("0", "-1", "1", "1e308", "inf", "nan", DIGITS, "9" * 400, "9" * 400 + "s", "-0.0", "\udcff", "", "=", ","),
    *("x" * 5000, "5%", "101%", "1e400s", "\x1b[2J", "/", "/dev/null", "web", "a:b", "~x", "1:2", "..", ".", "\u0663"),
)
KEYS = (
    *("web=", "db=", "cpus=", "memory=", "price=", "count=", "n:cpus=", "instances=", "slo=", "hard=", "ramp.max="),
    *("capacity.slo ", "capacity.slo -", "web.ready_seconds.p95 +", "workloads.web.memory="),
)


def talk(rng: Random, secrets: Sequence[str] = ("0",)) -> bytes:
    """What a payload might say that has lost its mind; the secrets are of instances that are expected."""
    lines = []
    for _ in range(rng.randrange(1, 30)):
        words = [rng.choice(WORDS) for _ in range(rng.randrange(7))]
        if not rng.randrange(4):
            words.insert(rng.randrange(len(words) + 1), f"secret={rng.choice(secrets)}")
        lines.append(" ".join(words) + rng.choice(("\n", "\r\n", "", "\n\n")))
    data = "".join(lines).encode("utf-8", "surrogatepass")
    return flipped(rng, data) if not rng.randrange(3) else data


WORDS = (
    *("density", "density", "density ready", "density pong", "density begun", "density bench", "density refused"),
    *("a-00001", "a-00002", "0", "1", "7", "-1", DIGITS[:25], DIGITS, "kernel=6.1", "uptime_us=1"),
    "kernel=" + "x" * 2000,
    *(f"uptime_us={DIGITS}", "secret=", "pid=1", "=", "\x1b[2J", "\x00", "\u00e9", "\ud800", "x" * 5000),
)


def bodies(events: Sequence[Event]) -> list[str]:
    """As a record keeps them."""
    return [encode(event) for event in events]


def damaged(rng: Random, kept: Sequence[str]) -> list[str]:
    """The events of a record with something changed that is still JSON, mostly."""
    found = list(kept)
    for _ in range(rng.choice((1, 1, 1, 3, 10))):
        at = rng.randrange(len(found))
        match rng.randrange(8):
            case 0:
                del found[at]
            case 1:
                found.insert(at, rng.choice(found))
            case 2:
                other = rng.randrange(len(found))
                found[at], found[other] = found[other], found[at]
            case 3:
                del found[max(1, at) :]
            case 4 if rng.randrange(4) == 0:
                found[at] = flipped(rng, found[at].encode()).decode(errors="replace")
            case _:
                try:
                    found[at] = json.dumps(altered(rng, json.loads(found[at])))
                except ValueError:
                    del found[at]
        if not found:
            return [rng.choice(kept)]
    return found


def altered(rng: Random, value: Any) -> Any:  # noqa: ANN401 — any JSON
    """The document with one value, or one key, replaced somewhere."""
    if isinstance(value, dict) and value and rng.randrange(8):
        key = rng.choice(list(value))
        if not rng.randrange(6):
            changed = {
                rng.choice([*value, "x", "kind", "web", ""]) if name == key else name: inner
                for name, inner in value.items()
            }
            return changed if rng.randrange(2) else {name: inner for name, inner in value.items() if name != key}
        return value | {key: altered(rng, value[key])}
    if isinstance(value, list) and value and rng.randrange(4):
        at = rng.randrange(len(value))
        return [*value[:at], altered(rng, value[at]), *value[at + 1 :]]
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300 and rng.randrange(2):
        return rng.choice((value + 1, -value, value * 2 ** rng.randrange(64), value / 3, value + 1e9))
    return rng.choice(VALUES)


def put_record(path: Path, kept: Sequence[str], *, version: int = SCHEMA_VERSION) -> None:
    """Write a record of these events as they are, without asking whether they are any."""
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA synchronous = OFF")
    with connection:
        for statement in SCHEMA:
            connection.execute(statement)
        connection.executemany("INSERT INTO event (at, kind, body) VALUES (0, '', ?)", ((body,) for body in kept))
        connection.execute(f"PRAGMA user_version = {version}")
    connection.close()


def put_run(rng: Random, directory: Path, kept: Sequence[str], result: dict[str, Any]) -> None:
    """The directory of a run whose record or result, or both, are damaged in some way."""
    record = directory / RECORD
    for path in directory.glob("*"):
        path.unlink()
    put_record(
        record, damaged(rng, kept) if rng.randrange(3) else kept, version=SCHEMA_VERSION + (not rng.randrange(20))
    )
    if not rng.randrange(4):
        record.write_bytes(flipped(rng, record.read_bytes()))
    text = json.dumps(altered(rng, result))
    if not rng.randrange(8):
        text = rng.choice(("[" * 100_000, "{}", "", "null", f'{{"started": {DIGITS}}}', "[]", '"x"'))
    data = text.encode("utf-8", "surrogatepass")
    (directory / RESULT).write_bytes(flipped(rng, data) if not rng.randrange(4) else data)
    os.utime(record, (1e9, 1e9))  # whoever watches it need not wait to see that nobody writes it


@cache
def _nowhere() -> TextIO:
    return Path(os.devnull).open("w", encoding="utf-8")


def density(*arguments: str) -> tuple[int, str]:
    """A command in this process: its exit code, and what it said on standard error.

    Raises:
        AssertionError: it failed by a fault of its own.
        Hung: it did not come back.
    """
    errors = io.StringIO()
    # click keeps every stream that it has written to, and would keep all that was written with it.
    with redirect_stdout(_nowhere()), redirect_stderr(errors), in_time():
        code = main(["--traceback", *arguments])
    said = errors.getvalue()
    assert INTERNAL not in said, said
    assert code in range(8), (code, said)
    assert code != 2 or said, "exit code 2 without a sentence"
    return code, said


def read_run(directory: Path, whole: Path, *, only: Callable[[str], bool] = lambda _: True) -> dict[str, int]:
    """Let every command read this run, some together with one that is whole: name -> exit code."""
    run = str(directory)
    commands = {
        "report markdown": ("report", run, "--format", "markdown", "-o", "-"),
        "report json": ("report", run, "--json", "-o", "-"),
        "report junit": ("report", run, "--format", "junit", "-o", "-"),
        "report csv": ("report", run, "--format", "csv", "-o", str(directory / "csv")),
        "report html": ("report", run, "-o", "-"),
        "export": ("export", run),
        "plan": ("plan", run, "--demand", "web=30,db=10", "--time-limit", "0.2s"),
        "compare": ("compare", str(whole), run),
        "compare json": ("compare", run, str(whole), "--json"),
        "runs": ("runs", "--runs-dir", str(directory.parent)),
        "watch": ("watch", run),
    }
    return {name: density(*arguments)[0] for name, arguments in commands.items() if only(name)}
