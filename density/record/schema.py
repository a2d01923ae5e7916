"""The tables of a record: one table of events, and views of it for people and for SQL.

The views are made of the events alone, so they cannot say anything else. `json_extract` rather than `->>`: SQLite
before 3.38 does not know the arrow.
"""

SCHEMA_VERSION = 1
"""`PRAGMA user_version`. Raise it when a reader of the older version could not read the newer record."""

EVENTS = """CREATE TABLE event (
    seq INTEGER PRIMARY KEY,  -- the order in which they were emitted
    at REAL NOT NULL,         -- monotonic seconds of the run's clock
    kind TEXT NOT NULL,
    body TEXT NOT NULL        -- the whole event, JSON
)"""

_INSTANCES = """
CREATE VIEW instances AS
SELECT id, min(workload) AS workload,
    min(at) FILTER (WHERE phase = 'requested') AS requested_at,
    min(at) FILTER (WHERE phase = 'created') AS created_at,
    min(at) FILTER (WHERE phase = 'started') AS started_at,
    min(at) FILTER (WHERE phase = 'ready') AS ready_at,
    min(at) FILTER (WHERE phase = 'removed') AS removed_at,
    min(at) FILTER (WHERE phase = 'failed') AS failed_at,
    min(at) FILTER (WHERE phase = 'lost') AS lost_at,
    min(failure_kind) AS failure_kind,
    min(message) AS message
FROM (
    SELECT at,
        json_extract(body, '$.instance_id') AS id,
        json_extract(body, '$.workload') AS workload,
        json_extract(body, '$.phase') AS phase,
        json_extract(body, '$.failure.kind') AS failure_kind,
        json_extract(body, '$.failure.message') AS message
    FROM event WHERE kind = 'instance_changed'
)
GROUP BY id
"""

_FAILURES = """
CREATE VIEW failures AS
SELECT seq, at,
    json_extract(body, '$.instance_id') AS instance_id,
    json_extract(body, '$.workload') AS workload,
    json_extract(body, '$.phase') AS phase,
    json_extract(body, '$.failure.kind') AS failure_kind,
    json_extract(body, '$.failure.message') AS message
FROM event WHERE kind = 'instance_changed' AND json_extract(body, '$.phase') IN ('failed', 'lost')
"""

_SAMPLES = """
CREATE VIEW samples AS
SELECT event.at, item.key AS name, item.value
FROM event, json_each(event.body, '$.values') AS item
WHERE event.kind = 'host_sampled'
"""

_WAVES = """
CREATE VIEW waves AS
SELECT started.wave, started.at AS started_at, started.target,
    (SELECT sum(value) FROM json_each(started.body, '$.sizes')) AS size,
    settled.at AS settled_at,
    (SELECT sum(value) FROM json_each(settled.body, '$.counts')) AS alive,
    (SELECT coalesce(sum(value), 0) FROM json_each(settled.body, '$.failed')) AS failed
FROM (
    SELECT at, body, json_extract(body, '$.wave') AS wave, json_extract(body, '$.target') AS target
    FROM event WHERE kind = 'wave_started'
) AS started
LEFT JOIN (
    -- Where a ramp stepped back, the wave has settled twice: the first time is its own.
    SELECT min(at) AS at, body, json_extract(body, '$.wave') AS wave
    FROM event WHERE kind = 'wave_settled' GROUP BY wave
) AS settled ON settled.wave = started.wave
"""

_PROBES = """
CREATE VIEW probes AS
SELECT at,
    json_extract(body, '$.instance_id') AS instance_id,
    json_extract(body, '$.workload') AS workload,
    json_extract(body, '$.seconds') AS seconds
FROM event WHERE kind = 'probe_measured'
"""

SCHEMA = (EVENTS, _INSTANCES, _FAILURES, _SAMPLES, _WAVES, _PROBES)
"""Statements that make an empty record, in order."""
