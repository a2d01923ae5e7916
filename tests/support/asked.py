"""A report's page as it is read, and its record as it is asked: by SQL that knows nothing of the report."""

import json
import math
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
from support.grown import used


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

    def workloads(self) -> list[str]:
        """Their names, in the profile's order."""
        return [each["name"] for each in self.body("run_started")["workloads"]]

    def lost(self) -> int:
        """Instances that were ready, and died."""
        return int(self.one("SELECT count(*) FROM instances WHERE lost_at IS NOT NULL"))

    def rest(self, count: int) -> dict[str, int]:
        """By workload, at the first rest with so many ready."""
        found = [json.loads(text)["counts"] for text in
                 self.rows("SELECT body FROM event WHERE kind = 'wave_settled' ORDER BY seq")]  # fmt: skip
        return next(counts for counts in found if sum(counts.values()) == count)

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
        names = {"ready_p95_seconds": "slo.ready", "failures_share": "slo.failures"}
        kept: dict[int, list[float]] = {}
        for text in self.rows("SELECT body FROM event WHERE kind = 'wave_settled' ORDER BY seq"):
            event = json.loads(text)
            ran = [name for name, count in event["counts"].items() if count]
            asked_for = [f"{names[key]}.{name}.judged_level" for key in objectives if key in names for name in ran]
            levels = [event["values"][name] for name in asked_for if name in event["values"]]
            if len(levels) < len(asked_for):  # nothing was launched since it stepped back
                continue
            count = sum(event["counts"].values())
            late = event["values"].get("tester.lag_seconds", 0) > objectives["tester_lag_seconds"]
            kept[count] = [*levels, *([-1] if late else [])]
        least = 2 if any(-1 in levels for levels in kept.values()) else 1
        return max((count for count, levels in kept.items() if min(levels, default=3) >= least), default=0)

    def forecast(self) -> list[dict[str, Any]]:
        """The last one, the ceilings that will be reached."""
        every = self.body("forecasted").get("ceilings", [])
        return [one for one in every if math.isfinite(one["count"])]

    def uses(
        self, ceiling: str, kind: str = "host_sampled", *, since: float = 0.0, until: float = math.inf
    ) -> list[float]:
        """A ceiling's use in each sample that has it (after `since`), or at each rest."""
        sql = f"""SELECT {used(ceiling)} AS used FROM event
                  WHERE kind = ? AND used IS NOT NULL AND at > ? AND at <= ? ORDER BY seq"""  # noqa: S608 — ours
        return self.rows(sql, kind, since, until)

    def slopes(self, ceiling: str) -> dict[str, float]:
        """Cost of an instance of each workload, by plain least squares through what was read at rest."""
        counts = [
            [json.loads(text)["counts"].get(name, 0) for name in self.workloads()]
            for text in self.rows("SELECT body FROM event WHERE kind = 'wave_settled' ORDER BY seq")
        ]
        x = np.column_stack((np.ones(len(counts)), counts))
        found = np.linalg.lstsq(x, np.array(self.uses(ceiling, "wave_settled")), rcond=None)[0]
        return dict(zip(self.workloads(), found[1:].tolist(), strict=True))


@contextmanager
def asking(run_dir: Path) -> Iterator[Asked]:
    """A run's record, until it was asked."""
    asked = Asked(run_dir / "run.sqlite")
    with closing(asked.db):
        yield asked
