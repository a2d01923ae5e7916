"""A run and a Prometheus that watches it, each a process of its own, both on 127.0.0.1."""

import json
import math
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.addresses import free_address

from grafana.look.dashboards import Window
from grafana.look.prometheus import Prometheus

REPOSITORY = Path(__file__).parents[2]
PATIENCE_SECONDS = 30.0
END_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Watched:
    """A run that has ended and still serves its metrics, scraped to the last.

    Attributes:
        directory: where the run is kept.
        result: its `result.json`.
        window: from before its start until after its end.
    """

    directory: Path
    result: dict[str, Any]
    prometheus: Prometheus
    window: Window

    @property
    def run_id(self) -> str:
        """The run's id."""
        return str(self.result["run_id"])


@contextmanager
def watched(directory: Path, arguments: Sequence[str], prometheus: Prometheus, target: str) -> Iterator[Watched]:
    """Run `density run ARGUMENTS` under a Prometheus until its end; it serves at `target` until this is left."""
    start = math.floor(time.time())
    command = [sys.executable, "-m", "density", "run", *arguments, "-q", "--metrics", target, "--linger", "10m"]
    with _process([*command, "--runs-dir", str(directory / "runs")]) as run:
        _read_until(run, "metrics stay")
        ended = time.time()
        (result,) = (directory / "runs").glob("*/result.json")
        _await(lambda: _scraped_since(prometheus, result.parent.name, ended))
        window = Window(start, math.ceil(time.time()) + 1, step=1)
        yield Watched(result.parent, json.loads(result.read_text()), prometheus, window)


@contextmanager
def watching(directory: Path, targets: Sequence[str]) -> Iterator[Prometheus]:
    """A Prometheus with this project's own configuration and rules, but for the targets, and with faster rules."""
    text = (REPOSITORY / "grafana/prometheus.yml").read_text()
    text = text.replace('"127.0.0.1:9095"', ", ".join(f'"{target}"' for target in targets))
    text = text.replace("evaluation_interval: 5s", "evaluation_interval: 1s")
    config = directory / "prometheus.yml"
    config.write_text(text.replace("- alerts.yml", f"- {REPOSITORY}/grafana/alerts.yml"))
    with _prometheus(config, directory / "tsdb") as prometheus:
        _await(lambda: bool(prometheus.instant("up", time.time())))
        yield prometheus


@contextmanager
def imported(directory: Path, watched: Watched) -> Iterator[Prometheus]:
    """A Prometheus that never scraped, into which a run's record was brought by Prometheus' own tool."""
    metrics, blocks, config = directory / "run.om", directory / "blocks", directory / "empty.yml"
    export = [sys.executable, "-m", "density", "export", str(watched.directory), "-o", str(metrics)]
    promtool = ["promtool", "tsdb", "create-blocks-from", "openmetrics", str(metrics), str(blocks)]
    for command in (export, promtool):
        subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True)
    config.write_text("scrape_configs: []\n")
    with _prometheus(config, blocks) as prometheus:
        yield prometheus


@contextmanager
def _prometheus(config: Path, data: Path) -> Iterator[Prometheus]:
    address = free_address()
    command = ["prometheus", f"--config.file={config}", f"--web.listen-address={address}"]
    with _process([*command, f"--storage.tsdb.path={data}", "--storage.tsdb.retention.time=10y"]) as process:
        _read_until(process, "Server is ready")
        yield Prometheus(f"http://{address}")


def _read_until(process: subprocess.Popen[str], pattern: str) -> re.Match[str]:
    """The line that a process says once it is so far; where it ends instead, all that it said."""
    assert process.stderr
    said = []
    for line in process.stderr:
        said.append(line)
        if found := re.search(pattern, line):
            return found
    raise AssertionError("".join(said))


def _scraped_since(prometheus: Prometheus, run_id: str, moment: float) -> bool:
    """Whether a scrape that began after `moment` is in."""
    scraped = prometheus.instant(f'timestamp(density_run_info{{run_id="{run_id}"}})', time.time())
    return any(series.last > moment for series in scraped)


def _await(so: Callable[[], bool]) -> None:
    """Look until something is so: Prometheus tells nobody when it scrapes, or begins to."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not so():
        assert time.monotonic() < deadline, "Prometheus did not scrape in time"
        time.sleep(0.1)


@contextmanager
def _process(command: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
    """A process that is asked to end, and waited for, when this is left."""
    environment = {**os.environ, "COLUMNS": "100", "NO_COLOR": "1"}
    process = subprocess.Popen(
        command, cwd=REPOSITORY, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment
    )
    try:
        yield process
    finally:
        process.terminate()
        with process:
            process.wait(END_SECONDS)
