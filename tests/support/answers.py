"""What a record says of each number on a report's page."""

import math
from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
from support.asked import Asked
from support.grown import limit, reserve, used, value


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
    unknown = not nearest or nearest[0]["typical"]  # typical costs promise nothing
    reached = stopped.get("outcome") == "ceiling" and not stopped.get("ceiling", "").startswith(("slo.", "cpu.busy"))
    observed = reached or unknown or nearest[0]["count"] < asked.peak()
    if name == "slo":  # the profile's objectives are of times, of which a forecast says nothing
        return float(_kept(asked, part))
    if observed and asked.lost():  # deaths are told late: rest counts
        at_rest = asked.rest(_most_settled(asked))
        return float(at_rest[part[1]] if part[0] == "per" else sum(at_rest.values()))
    if observed:
        return float(asked.peak_of(part[1]) if part[0] == "per" else asked.peak())
    if part[0] == "per":
        return float(_seats(asked, math.floor(nearest[0]["count"])).count(part[1]))
    return float(math.floor(nearest[0][part[0]]))


def _seats(asked: Asked, count: int) -> list[str]:
    """Whose each of so many instances is: the highest of the shares divided by 1, 2, 3 and so on."""
    shares = [(each["share"], each["name"]) for each in asked.body("run_started")["workloads"]]
    averages = [(share / n, name) for share, name in shares for n in range(1, count + 1)]
    return [name for _, name in sorted(averages, key=lambda each: -each[0])[:count]]


def _most_settled(asked: Asked) -> int:
    counts = [asked.settled(wave) or 0 for wave in asked.waves()]
    return max(counts, default=0)


def _kept(asked: Asked, part: list[str]) -> int:
    return asked.rest(asked.kept())[part[1]] if part[0] == "per" else asked.kept()


def _verdict(asked: Asked, rest: list[str]) -> float:
    ceiling = asked.body("stopped")["ceiling"]
    allowed = asked.body("run_started")["objectives"].get("ready_p95_seconds")
    match rest[0]:
        case "used" if ceiling == "slo.ready":
            name = f"slo.ready.{asked.body('stopped')['subject']}"
            ready, level = value(f"{name}.p95_seconds"), value(f"{name}.judged_level")
            count = "(SELECT sum(value) FROM json_each(body, '$.counts'))"
            sql = f"SELECT {ready} FROM event WHERE kind = 'wave_settled' AND {level} = -1 ORDER BY {count}"  # noqa: S608 — ours
            return float(asked.one(sql))
        case "limit" if ceiling == "slo.ready":
            return float(allowed)
        case "used":
            since = asked.one("SELECT max(at) FROM event WHERE kind = 'wave_started'")
            sql = f"SELECT max({used(ceiling)}) FROM event WHERE kind = 'host_sampled' AND at >= ?"  # noqa: S608 — ours
            return float(asked.one(sql, since))
        case "limit":
            return _limit(asked, ceiling)
        case _:  # nothing else was near: the highest odds that are claimed
            return 0.985


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
        "lost": lambda: _lost_since(asked, started),
        "alive": lambda: asked.settled(number),
        "rate": lambda: asked.rate(number),
    }
    return float(answers[what]() or 0)


def _lost_since(asked: Asked, started: float) -> int:
    """Instances lost from a wave's start to the next one's."""
    following = "SELECT min(started_at) FROM waves WHERE started_at > ?"
    lost = "SELECT count(*) FROM failures WHERE phase = 'lost' AND at BETWEEN ? AND ?"
    return int(asked.one(lost, started, asked.one(following, started) or 9e99))


def _use(asked: Asked, rest: list[str]) -> float:
    ceiling, what = ".".join(rest[:-1]), rest[-1]
    match what:
        case "first":
            return asked.uses(ceiling)[0]
        case "highest":
            return max(asked.uses(ceiling))
        case "limit":
            return _limit(asked, ceiling)
        case _:
            kept = reserve(ceiling)
            return float(asked.body("run_started")["reserves"][kept] if isinstance(kept, str) else kept)


def _limit(asked: Asked, ceiling: str) -> float:
    top = limit(ceiling)
    return float(asked.body("host_sampled")["values"][top] if isinstance(top, str) else top)


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


def _deaths(asked: Asked, rest: list[str]) -> float:
    """Instances of a workload that died, and of how many."""
    return _workload(asked, [rest[0], "ready" if rest[1:] == ["of"] else "lost"])


def _failures(asked: Asked, rest: list[str]) -> float:
    sql = "SELECT count(*) FROM failures WHERE workload = ? AND failure_kind = ?"
    return float(asked.one(sql, rest[0], rest[1]))


def _footprint(asked: Asked, rest: list[str]) -> float:
    """No noise was simulated, so the interval is as narrow as its numbers are written."""
    return asked.slopes(".".join(rest[1:-1]))[rest[0]]


def _steal(asked: Asked, rest: list[str]) -> float:
    sql = f"SELECT {value('cpu.steal_ratio')} AS steal FROM event WHERE kind = 'host_sampled' AND steal IS NOT NULL"  # noqa: S608 — ours
    found = asked.rows(sql)
    return float(np.mean(found) if rest[0] == "mean" else max(found))


def _event(kind: str, asked: Asked, rest: list[str]) -> float:
    found = asked.body(kind)
    match kind, rest[0]:
        case "torn_down", "left":
            return len(found["left"])
        case "held", when:
            return float(sum(found[f"counts_{when}"].values()))
        case "tester_measured", "share":
            cpus = asked.body("host_sampled")["values"]["cpu.count"]
            return float(found["cpu_seconds"] / (asked.one("SELECT max(at) FROM event") - asked.began) / cpus)
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
    "deaths": _deaths,
    "failures": _failures,
    "footprint": _footprint,
    "required": lambda asked, rest: asked.body("run_started")["required"][rest[0]],
    "peak": lambda asked, _: asked.peak(),
    "steal": _steal,
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
