"""Every number on the page, asked for again from `run.sqlite` by SQL that knows nothing of the report."""

import json
import math
import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.recorded_runs import recorded

from density.report.html import page
from density.report.recorded import read_run
from density.units import format_count, format_odds, format_seconds, format_value

RUNS = ["ceiling", "objective", "interrupted", "max", "cut-off"]
COSTS = {"web": {"memory.available": 10 * 2**20, "tasks.pid_max": 5, "files.file_max": 10},
         "db": {"memory.available": 40 * 2**20, "tasks.pid_max": 8, "files.file_max": 30}}  # fmt: skip
"""The truth of the simulated host."""
_VALUE = "json_extract(body, '$.values.\"{}\"')"
USE = {
    "memory.available": f"{_VALUE.format('memory.total_bytes')} - {_VALUE.format('memory.available_bytes')}",
    "tasks.pid_max": _VALUE.format("tasks.count"),
    "files.file_max": _VALUE.format("files.open"),
}
"""SQL for a ceiling's use in an event with values."""
LIMIT = {"memory.available": "memory.total_bytes", "tasks.pid_max": "tasks.pid_max", "files.file_max": "files.max"}
RESERVE = {"memory.available": "memory_bytes", "tasks.pid_max": "tasks", "files.file_max": "files"}
UNIT = {"memory.available": "bytes", "tasks.pid_max": "tasks", "files.file_max": "files"}


class Read(HTMLParser):
    """Numbers with their keys, and all other text outside of pictures and styles."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.facts: list[tuple[str, float, str]] = []
        self.text: list[str] = []
        self.captions: dict[str, str] = {}
        self._open: list[tuple[str, dict[str, str]]] = []
        self._figure = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {key: value or "" for key, value in attrs}
        if tag not in {"meta", "link", "br"}:
            self._open.append((tag, found))
        if tag == "figure":
            self._figure = found["id"].removeprefix("chart-")

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        tags = [tag for tag, _ in self._open]
        if {"svg", "style", "title"} & set(tags) or not data.strip():
            return
        tag, attributes = self._open[-1] if self._open else ("", {})
        if tag == "data":
            self.facts.append((attributes["data-fact"], float(attributes["value"]), data))
        elif "figcaption" in tags and tag == "p":
            self.captions[self._figure] = data
        else:
            self.text.append(data.strip())


class Asked:
    """A record, asked by SQL."""

    def __init__(self, path: Path) -> None:
        self.db = sqlite3.connect(path)
        self.began = self.one("SELECT at FROM event WHERE kind = 'run_started'")

    def rows(self, sql: str, *parameters: object) -> list[Any]:
        """Every row; of one column, its values."""
        found = self.db.execute(sql, parameters).fetchall()
        return [row[0] if len(row) == 1 else row for row in found]

    def one(self, sql: str, *parameters: object) -> Any:  # noqa: ANN401 — what SQL gives
        """The first row's only value; None where there is none."""
        found = self.rows(sql, *parameters)
        return found[0] if found else None

    def body(self, kind: str) -> dict[str, Any]:
        """The last event of a kind."""
        found = self.one("SELECT body FROM event WHERE kind = ? ORDER BY seq DESC LIMIT 1", kind)
        return dict(json.loads(found)) if found else {}

    def alive(self) -> list[tuple[float, int]]:
        """Time and count of ready instances after each change."""
        return self.rows(
            """SELECT at, sum(step) OVER (ORDER BY seq) FROM (
                 SELECT seq, at, CASE
                   WHEN json_extract(body, '$.phase') = 'ready' THEN 1
                   WHEN lag(json_extract(body, '$.phase')) OVER (
                     PARTITION BY json_extract(body, '$.instance_id') ORDER BY seq) = 'ready' THEN -1
                   ELSE 0 END AS step
                 FROM event WHERE kind = 'instance_changed') ORDER BY seq"""
        )

    def peak(self) -> int:
        """The most that were ready at once."""
        return max((count for _, count in self.alive()), default=0)

    def peak_of(self, workload: str) -> int:
        """Of a workload, when the most of all were ready for the first time."""
        peak, at = self.peak(), None
        at = next(at for at, count in self.alive() if count == peak)
        sql = """SELECT count(*) FROM instances WHERE workload = ? AND ready_at <= ?
                 AND coalesce(min(lost_at, removed_at), lost_at, removed_at, 9e99) > ?"""
        return int(self.one(sql, workload, at, at))

    def quantile(self, q: float, sql: str, *parameters: object) -> float:
        """Of a query's values, by linear interpolation."""
        return float(np.quantile(self.rows(sql, *parameters), q))

    def ready(self, wave: int | None = None, workload: str | None = None) -> list[float]:
        """Times to ready, of a wave and of a workload."""
        sql = """SELECT ready.at - asked.at FROM
                   (SELECT seq, at, json_extract(body, '$.instance_id') AS id,
                     json_extract(body, '$.workload') AS workload FROM event
                    WHERE kind = 'instance_changed' AND json_extract(body, '$.phase') = 'requested') AS asked
                 JOIN (SELECT at, json_extract(body, '$.instance_id') AS id FROM event
                    WHERE kind = 'instance_changed' AND json_extract(body, '$.phase') = 'ready') AS ready USING (id)
                 WHERE (? IS NULL OR workload = ?) AND (? IS NULL OR ? = (
                   SELECT json_extract(body, '$.wave') FROM event
                   WHERE kind = 'wave_started' AND seq < asked.seq ORDER BY seq DESC LIMIT 1))"""
        return self.rows(sql, workload, workload, wave, wave)

    def settled(self, wave: int) -> int | None:
        """Instances ready when a wave first had settled."""
        sql = """SELECT (SELECT sum(value) FROM json_each(body, '$.counts')) FROM event
                 WHERE kind = 'wave_settled' AND json_extract(body, '$.wave') = ? ORDER BY seq LIMIT 1"""
        return self.one(sql, wave)  # type: ignore[no-any-return]

    def waves(self) -> list[int]:
        """Their numbers."""
        return self.rows("SELECT json_extract(body, '$.wave') FROM event WHERE kind = 'wave_started' ORDER BY seq")

    def rate(self, wave: int) -> float:
        """Instances of a wave that became ready per second."""
        started = self.one("SELECT started_at FROM waves WHERE wave = ?", wave)
        last = self.one(
            """SELECT max(at) FROM event WHERE kind = 'instance_changed' AND json_extract(body, '$.phase') = 'ready'
               AND at < coalesce((SELECT min(started_at) FROM waves WHERE started_at > ?), 9e99)""",
            started,
        )
        return len(self.ready(wave)) / float(last - started)

    def kept(self) -> int:
        """The most instances at rest with every objective kept."""
        objectives = self.body("run_started")["objectives"]
        names = {"ready_p95_seconds": "slo.ready_p95_seconds", "failures_share": "slo.failures_ratio",
                 "tester_lag_seconds": "tester.lag_seconds"}  # fmt: skip
        best = 0
        for text in self.rows("SELECT body FROM event WHERE kind = 'wave_settled'"):
            event = json.loads(text)
            if all(event["values"].get(names[key], 0) <= limit for key, limit in objectives.items()):
                best = max(best, sum(event["counts"].values()))
        return best

    def forecast(self) -> list[dict[str, Any]]:
        """The last one, the ceilings that will be reached."""
        every = self.body("forecasted").get("ceilings", [])
        return [one for one in every if math.isfinite(one["count"])]

    def uses(self, ceiling: str, kind: str = "host_sampled") -> list[float]:
        """A ceiling's use in each sample, or at each rest."""
        return self.rows(f"SELECT {USE[ceiling]} FROM event WHERE kind = ? ORDER BY seq", kind)  # noqa: S608 — ours

    def slopes(self, ceiling: str) -> dict[str, float]:
        """Cost of an instance of each workload, by plain least squares through what was read at rest."""
        counts = [
            [json.loads(text)["counts"].get(name, 0) for name in COSTS]
            for text in self.rows("SELECT body FROM event WHERE kind = 'wave_settled' ORDER BY seq")
        ]
        x = np.column_stack((np.ones(len(counts)), counts))
        found = np.linalg.lstsq(x, np.array(self.uses(ceiling, "wave_settled")), rcond=None)[0]
        return dict(zip(COSTS, found[1:].tolist(), strict=True))


def expected(asked: Asked, key: str) -> float:
    """What the record says of a number on the page."""
    head, *rest = key.split(".")
    return float(_ANSWERS[head](asked, rest))


def _capacity(asked: Asked, rest: list[str]) -> float:
    name, *part = rest
    stopped, nearest = asked.body("stopped"), asked.forecast()[:1]
    counts = asked.body("held").get("counts_after", {})
    if name == "recommended":
        return float(counts.get(part[1], 0) if part[0] == "per" else sum(counts.values()))
    observed = stopped.get("outcome") == "ceiling" or not nearest or nearest[0]["count"] < asked.peak()
    if name == "slo" and (observed or asked.kept() < _most_settled(asked)):
        return float(_kept(asked, part))
    if observed:
        return float(asked.peak_of(part[1]) if part[0] == "per" else asked.peak())
    if part[0] == "per":
        shares = {each["name"]: each["share"] for each in asked.body("run_started")["workloads"]}
        return float(round(math.floor(nearest[0]["count"]) * shares[part[1]] / sum(shares.values())))
    return float(math.floor(nearest[0][part[0]]))


def _most_settled(asked: Asked) -> int:
    counts = [asked.settled(wave) or 0 for wave in asked.waves()]
    return max(counts, default=0)


def _kept(asked: Asked, part: list[str]) -> int:
    if part[0] != "per":
        return asked.kept()
    best = [json.loads(text) for text in asked.rows("SELECT body FROM event WHERE kind = 'wave_settled' ORDER BY seq")]
    return next(int(event["counts"][part[1]]) for event in best if sum(event["counts"].values()) == asked.kept())


def _verdict(asked: Asked, rest: list[str]) -> float:
    ceiling = asked.body("stopped")["ceiling"]
    allowed = asked.body("run_started")["objectives"]["ready_p95_seconds"]
    match rest[0]:
        case "used" if ceiling == "slo.ready":
            value = _VALUE.format("slo.ready_p95_seconds")
            count = "(SELECT sum(value) FROM json_each(body, '$.counts'))"
            sql = f"SELECT {value} FROM event WHERE kind = 'wave_settled' AND {value} > ? ORDER BY {count}"  # noqa: S608 — ours
            return float(asked.one(sql, allowed))
        case "limit" if ceiling == "slo.ready":
            return float(allowed)
        case "used":
            since = asked.one("SELECT max(at) FROM event WHERE kind = 'wave_started'")
            sql = f"SELECT max({USE[ceiling]}) FROM event WHERE kind = 'host_sampled' AND at >= ?"  # noqa: S608 — ours
            return float(asked.one(sql, since))
        case "limit":
            return float(asked.body("host_sampled")["values"][LIMIT[ceiling]])
        case _:  # nothing else was near, or an objective was measured
            return 1.0


def _next(asked: Asked, rest: list[str]) -> float:
    bound = asked.body("stopped").get("ceiling", "")
    found = [one for one in asked.forecast() if one["ceiling"] != bound]
    return float(max(0, math.floor(found[int(rest[0])][rest[1]])))


def _wave(asked: Asked, rest: list[str]) -> float:
    number, what = int(rest[0]), rest[1] if len(rest) > 1 else ""
    started, ended, size = asked.rows("SELECT started_at, settled_at, size FROM waves WHERE wave = ?", number)[0]
    if what.startswith("p"):
        return float(np.quantile(asked.ready(number), int(what[1:]) / 100))
    failed = "SELECT count(*) FROM failures WHERE phase = 'failed' AND at BETWEEN ? AND ?"
    answers: dict[str, Callable[[], float | None]] = {
        "": lambda: number,
        "size": lambda: size,
        "ready": lambda: len(asked.ready(number)),
        "failed": lambda: asked.one(failed, started, ended or 9e99),
        "alive": lambda: asked.settled(number),
        "rate": lambda: asked.rate(number),
    }
    return float(answers[what]() or 0)


def _use(asked: Asked, rest: list[str]) -> float:
    ceiling, what = ".".join(rest[:-1]), rest[-1]
    match what:
        case "first":
            return asked.uses(ceiling)[0]
        case "highest":
            return max(asked.uses(ceiling))
        case "limit":
            return float(asked.body("host_sampled")["values"][LIMIT[ceiling]])
        case _:
            return float(asked.body("run_started")["reserves"][RESERVE[ceiling]])


def _workload(asked: Asked, rest: list[str]) -> float:
    name, what = rest[0], rest[1]
    if what == "ready" and len(rest) == 3:
        q = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}[rest[2]]
        return float(np.quantile(asked.ready(workload=name), q))
    where = {
        "ready": "ready_at IS NOT NULL",
        "failed": "failed_at IS NOT NULL",
        "lost": "lost_at IS NOT NULL",
        "launched": "ready_at IS NOT NULL OR failed_at IS NOT NULL",
    }[what]
    return float(asked.one(f"SELECT count(*) FROM instances WHERE workload = ? AND ({where})", name))  # noqa: S608


def _failures(asked: Asked, rest: list[str]) -> float:
    sql = "SELECT count(*) FROM failures WHERE workload = ? AND failure_kind = ?"
    return float(asked.one(sql, rest[0], rest[1]))


def _footprint(asked: Asked, rest: list[str]) -> float:
    """No noise was simulated, so the interval is as narrow as its numbers are written."""
    return asked.slopes(".".join(rest[1:-1]))[rest[0]]


def _event(kind: str, asked: Asked, rest: list[str]) -> float:
    found = asked.body(kind)
    match kind, rest[0]:
        case "torn_down", "left":
            return len(found["left"])
        case "held", when:
            return float(sum(found[f"counts_{when}"].values()))
        case "tester_measured", "share":
            cpus = asked.body("host_sampled")["values"]["cpu.count"]
            return float(found["cpu_seconds"] / (asked.body("host_sampled")["at"] - asked.began) / cpus)
        case _, name:
            return float(found[name])


def _count(sql: str, asked: Asked, _: list[str]) -> float:
    return float(asked.one(sql))


_ANSWERS: Mapping[str, Callable[[Asked, list[str]], float]] = {
    "capacity": _capacity,
    "verdict": _verdict,
    "next": _next,
    "wave": _wave,
    "use": _use,
    "workload": _workload,
    "failures": _failures,
    "footprint": _footprint,
    "required": lambda asked, rest: asked.body("run_started")["required"][rest[0]],
    "peak": lambda asked, _: asked.peak(),
    "spread": lambda *_: 0.0,  # without noise
    "busy": lambda asked, _: asked.one(
        "SELECT json_extract(body, '$.values.\"cpu.busy_ratio\"') FROM event WHERE kind = 'wave_settled' ORDER BY seq"
    ),
    "held": partial(_event, "held"),
    "torn": partial(_event, "torn_down"),
    "tester": partial(_event, "tester_measured"),
    "seconds": partial(_count, "SELECT max(at) - min(at) FILTER (WHERE kind = 'run_started') FROM event"),
    "waves": partial(_count, "SELECT count(DISTINCT wave) FROM waves"),
    "samples": partial(_count, "SELECT count(*) FROM event WHERE kind = 'host_sampled'"),
    "probes": partial(_count, "SELECT count(*) FROM probes"),
    "rests": partial(_count, "SELECT count(*) FROM event WHERE kind = 'wave_settled'"),
}


@contextmanager
def asking(run_dir: Path) -> Iterator[Asked]:
    """A run's record, until it was asked."""
    asked = Asked(run_dir / "run.sqlite")
    with closing(asked.db):
        yield asked


@pytest.fixture(params=RUNS, scope="module")
def run_dir(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Each recorded run."""
    return recorded(request.param, tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def asked(run_dir: Path) -> Iterator[Asked]:
    """Its record."""
    with asking(run_dir) as asked:
        yield asked


@pytest.fixture(scope="module")
def read(run_dir: Path) -> Read:
    """Its page."""
    return Read(page(read_run(run_dir)))


def test_every_number_is_what_the_record_says(read: Read, asked: Asked) -> None:
    """To the last digit that is written, whichever part of the page it is in."""
    assert len(read.facts) > 100
    wrong = []
    for key, value, text in read.facts:
        truth = expected(asked, key)
        if not math.isclose(value, truth, rel_tol=1e-6, abs_tol=1e-6):
            wrong.append((key, value, truth, text))
    assert not wrong


def test_numbers_are_written_as_they_are(read: Read) -> None:
    """What a person reads is the value of the element, rounded as `density.units` rounds."""
    units = ("bytes", "seconds", "ratio", "instances")
    for key, value, text in read.facts:
        ways = {*(format_value(value, unit) for unit in units), format_count(value), format_odds(value)}
        assert text in ways, key


def test_no_other_number_is_on_the_page(read: Read, asked: Asked) -> None:
    """But in quoted words (reasons, evidence, fixes), in the host's fingerprint, and in names such as p95."""
    quoted = {asked.body("stopped").get("reason", ""), *_evidence(read)}
    fixed = "|".join((
        "p50", "p95", "p99", "95% interval", "Intervals are 95%", "95th percentile", "exit code 1",
        r"(density )?\d+\.\d+\.\d+", r"20\d{6}-\d{6}-\d{4}",
    ))  # fmt: skip
    for text in read.text:
        if text in quoted or text in _fingerprint(asked):
            continue
        assert not re.search(r"\d", re.sub(fixed, "", text)), text


def _evidence(read: Read) -> Iterator[str]:
    """Sentences of the verdict; `test_judge` checks the numbers in those."""
    yield from (text for text in read.text if re.search(r"stood at|one more instance takes|sysctl|/sys/kernel", text))


def _fingerprint(asked: Asked) -> set[str]:
    facts = asked.body("host_found").get("facts", {})
    values = {format_value(value, "bytes") if name.endswith("bytes") else f"{value:g}" if isinstance(value, float | int)
              else value for name, value in facts.items()}  # fmt: skip
    return {*values, f"seed {facts.get('seed')} at simulated", f"seed {facts.get('seed'):g} at simulated"}


def captions(asked: Asked) -> Iterator[tuple[str, str]]:
    """What the charts' captions must say of a run that a hard ceiling stopped."""
    peak = asked.peak()
    at = next(at for at, count in asked.alive() if count == peak) - asked.began
    waves = asked.waves()
    yield "count", f"{peak} instances were ready after {format_seconds(at)}, in {len(waves)} waves."
    yield "ceilings", _fullest(asked)
    yield "footprint", "One more web takes 10 MiB, one more db takes 40 MiB. This host does not tell whose it is."
    large = [(asked.settled(wave) or 0, asked.rate(wave)) for wave in waves if len(asked.ready(wave)) >= 5]
    (low, first), (high, last) = min(large), max(large)
    units = "instances"
    yield (
        "rate",
        (f"{format_value(first, units)} a second with {low} ready, {format_value(last, units)} a second with {high}."),
    )
    ready, failed, lost = asked.rows("SELECT count(ready_at), count(failed_at), count(lost_at) FROM instances")[0]
    slowest = format_seconds(max(asked.ready()))
    yield "tiles", f"{ready} became ready, the slowest after {slowest}; failed: {failed}, lost: {lost}."
    probes = asked.rows(
        """SELECT seconds FROM probes, (SELECT at, json_extract(body, '$.since') AS since FROM event
           WHERE kind = 'wave_settled' ORDER BY seq DESC LIMIT 1) AS rest
           WHERE probes.at > rest.since AND probes.at <= rest.at"""
    )
    ping = format_seconds(float(np.quantile(probes, 0.99)))
    yield "pressure", f"99 of 100 pings took at most {ping} with {asked.settled(waves[-1])} ready."
    yield "forecast", _early(asked)


def _fullest(asked: Asked) -> str:
    used, limit = max(asked.uses("memory.available")), asked.body("host_sampled")["values"]["memory.total_bytes"]
    of = f"{format_value(used, 'bytes')} of {format_value(limit, 'bytes')}"
    return f"memory.available was at most at {of} ({used / limit:.1%})."


def _early(asked: Asked) -> str:
    for text in asked.rows("SELECT body FROM event WHERE kind = 'forecasted' ORDER BY seq"):
        event = json.loads(text)
        count = [count for at, count in asked.alive() if at <= event["at"]][-1:]
        memory = next(one for one in event["ceilings"] if one["ceiling"] == "memory.available")
        if count and count[0] >= 0.1 * asked.peak():
            low, middle, high = (format_count(memory[part]) for part in ("low", "count", "high"))
            return (
                f"With {count[0]} ready, the forecast for memory.available was {middle} ({low} to {high}); "
                f"it bound at {asked.peak()}."
            )
    raise AssertionError


def test_captions_say_what_the_record_says(tmp_path: Path) -> None:
    """Each chart's caption, made again from the record by SQL."""
    run_dir = recorded("ceiling", tmp_path)
    read = Read(page(read_run(run_dir)))
    with asking(run_dir) as asked:
        for name, caption in captions(asked):
            assert read.captions[name] == caption
    assert set(read.captions) == {"count", "forecast", "ready", "ceilings", "footprint", "pressure", "rate", "tiles"}
