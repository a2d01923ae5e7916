"""The table of metrics as a page for people: docs/metrics.md is what `page` gives, which a test holds."""

from collections.abc import Iterable, Iterator

from density.metrics.instances import LIMIT
from density.metrics.table import CEILINGS, ENGINES, HOST, RUN, SLICE, TESTER, Metric
from density.metrics.table.instances import INSTANCES

_HEAD = """# Metrics

`density run` serves its numbers for Prometheus at http://127.0.0.1:9095/metrics from its first moment to its end. The
names are public. This page is made from the table (`density/metrics/table/`); CONTRIBUTING.md says how to add an entry.

| option of `density run` | |
|---|---|
| `--metrics HOST:PORT` | Listen elsewhere; `:0` takes any free port of this machine and says which; `off`: nowhere. |
| `--metrics-cert FILE` | Serve HTTPS with this certificate (PEM). |
| `--metrics-key FILE` | The certificate's key, where it is not in the same file. A key behind a password is refused. |
| `--linger SECONDS` | Go on serving for so long after the run, so that the last numbers are scraped too. |
| `--per-instance` | Also series of single instances: 3 each for the first LIMIT, so 3,000 at most. |

Scrape every second or a few: the host is read once a second. A scrape takes what it shows from the run's state in under
a millisecond between two events, so the ramp does not notice it; at 5,000 instances it costs about 5 ms of CPU and is
60 KB large. OpenMetrics is spoken where the scraper asks for it.

```yaml
scrape_configs:
  - job_name: density
    scrape_interval: 1s
    static_configs:
      - targets: ["127.0.0.1:9095"]
```

With a certificate, add `scheme: https` and `tls_config: {ca_file: FILE}`.

Every series also has the label `run_id`, so runs after each other never share one. What is not known yet is absent: no
zero stands for a capacity or a verdict that is still to come. Capacities, footprints and the verdict are renewed when a
wave has settled, between two scrapes; once the run is over they are those of its `result.json`.

The unit `info` means that the value is always 1 and the labels are what is said, `bool` is 0 or 1, `timestamp` is UNIX
seconds.
"""

_PAST = """
## Runs of the past

`density export` replays the record of a run through the same table and writes OpenMetrics text with times: a moment
for each sample of the host (one a second), and one for the end. `promtool`, which comes with Prometheus, makes blocks
of it:

```sh
density export RUN -o run.om        # an id from `density runs`, a directory, or latest
promtool tsdb create-blocks-from openmetrics run.om blocks/
```

Move what is in `blocks/` into the data directory of a Prometheus (`--storage.tsdb.path`); one that is running finds new
blocks within minutes. Two things to know:

- Prometheus deletes blocks that are older than its retention, 15 days by default: start it with
  `--storage.tsdb.retention.time=10y` to look at older runs.
- The series have `run_id` and neither `job` nor `instance`. Select by `run_id`, as the dashboards do, and look at the
  time of the run: `density export` says from when to when it was.

To look at a run without touching a Prometheus of yours:

```sh
promtool tsdb create-blocks-from openmetrics run.om data/
echo > empty.yml
prometheus --config.file=empty.yml --storage.tsdb.path=data/ --storage.tsdb.retention.time=10y \\
  --web.listen-address=127.0.0.1:9090
```

A record that was cut off, or that is still being written, is exported as far as it goes.
"""

_SECTIONS: tuple[tuple[str, tuple[Metric, ...]], ...] = (
    ("The run", RUN),
    ("Ceilings, capacity, verdict", CEILINGS),
    ("The host", HOST),
    ("The run's slice of the host", SLICE),
    ("The engines' daemons", ENGINES),
    ("density itself", TESTER),
    ("Single instances, with `--per-instance`", INSTANCES),
)


def page() -> str:
    """The page, in Markdown."""
    sections = "".join(_section(title, metrics) for title, metrics in _SECTIONS)
    return _HEAD.replace("LIMIT", f"{LIMIT:,}") + sections + _PAST


def _section(title: str, metrics: Iterable[Metric]) -> str:
    return "\n".join(["", f"## {title}", "", *_lines(metrics), ""])


def _lines(metrics: Iterable[Metric]) -> Iterator[str]:
    yield "| metric | type | unit | labels | |"
    yield "|---|---|---|---|---|"
    for metric in metrics:
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        yield f"| `{metric.name}` | {metric.type} | {metric.unit} | {labels} | {metric.help} |"
