"""What density costs and how fast it is, on this host's Docker, side by side with `docker run`.

Run by `make bench`. Prints what it measured; the bars it was built for stand beside the figures and are asserted, so
that a run of `make bench` says yes or no. Nothing here is part of `make test`: figures depend on what else the host
does.
"""

import json
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from density.controller.paths import cache_dir
from density.engines.base import EngineContext
from density.engines.docker import DockerEngine
from density.engines.docker.images import PAYLOAD_LABEL
from density.events import Event, HostSampled, InstanceChanged, StageEntered, TesterMeasured, WaveStarted
from density.model import Phase, Workload
from density.payload.arguments import SECRET_VARIABLE
from density.payload.channel import Channel
from density.record.reader import read_events

pytestmark = pytest.mark.docker
CONTAINERS = 200
PAIRS = 3
RATE_BAR = 0.95
LABEL = "density.bench"

Say = Callable[[str], None]


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Say:
    """Print past pytest's capture."""

    def write(line: str) -> None:
        with capsys.disabled():
            print(line)

    return write


def density_run(runs: Path, *settings: str) -> Path:
    """Run the `containers` profile with settings; the run's directory."""
    command = [sys.executable, "-m", "density", "run", "containers", "-q", "--metrics", "off", "--runs-dir", str(runs)]
    for setting in settings:
        command += ["--set", setting]
    done = subprocess.run([*command, "--json"], check=True, capture_output=True, text=True)
    return runs / str(json.loads(done.stdout)["run_id"])


def events_of(run: Path) -> list[Event]:
    """Everything the run recorded."""
    return list(read_events(run / "run.sqlite"))


def density_rate(runs: Path) -> float:
    """Containers ready per second, from the start of the wave to the last one ready."""
    events = events_of(
        density_run(
            runs,
            'ramp.shape="list"',
            f"ramp.waves=[{CONTAINERS}]",
            "ramp.calibrate=0",
            'ramp.settle="1s"',
            'ramp.hold="0s"',
        )
    )
    start = next(event.at for event in events if isinstance(event, WaveStarted))
    ready = [event.at for event in events if isinstance(event, InstanceChanged) and event.phase is Phase.READY]
    assert len(ready) == CONTAINERS
    return CONTAINERS / (max(ready) - start)


async def xargs_rate(directory: Path) -> float:
    """The same containers by `xargs -P 8 docker run -d`, ready in the same way: by the payload's own word."""
    async with Channel(directory / "channel") as channel:
        context = EngineContext(
            run_id="bench", runtime_dir=directory, data_dir=directory, cache_dir=cache_dir(), channel=channel
        )
        async with DockerEngine(context) as engine:
            await engine.prepare(Workload(name="web", engine="docker"))
        listed = await anyio.run_process(["docker", "images", "-q", "--filter", f"label={PAYLOAD_LABEL}=payload"])
        image = listed.stdout.decode().split()[0]
        ids = [f"web-{number:05d}" for number in range(CONTAINERS)]
        secrets = [channel.expect(instance_id) for instance_id in ids]
        script = (
            f"xargs -P 8 -L 1 sh -c 'docker run -d --network none --label {LABEL}=1 "
            f"-v {channel.directory}:/run/density:ro -e {SECRET_VARIABLE}=$1 "
            f"{image} --id $0 --run bench --socket /run/density/channel.sock'"
        )
        start = anyio.current_time()
        pairs = "\n".join(f"{instance_id} {secret}" for instance_id, secret in zip(ids, secrets, strict=True))
        await anyio.run_process(["sh", "-c", script], input=pairs.encode())
        ready = [(await channel.hello(instance_id)).at for instance_id in ids]
        return CONTAINERS / (max(ready) - start)


@pytest.fixture
def swept() -> Iterator[None]:
    """Removes the containers that `docker run` made, whatever happens."""
    yield
    sweep()


def sweep() -> None:
    """Remove the benchmark's own containers, and no others."""
    left = subprocess.run(
        ["docker", "ps", "-aq", "--filter", f"label={LABEL}"], check=True, capture_output=True, text=True
    ).stdout.split()
    for start in range(0, len(left), 50):
        subprocess.run(["docker", "rm", "-f", *left[start : start + 50]], check=True, capture_output=True)


@pytest.mark.usefixtures("swept")
def test_launch_rate(tmp_path: Path, say: Say) -> None:
    """200 containers without network: density's rate against `xargs -P 8 docker run -d`, in pairs."""
    ratios = []
    say(f"\n{CONTAINERS} containers without network, ready per second")
    for pair in range(PAIRS):
        theirs = anyio.run(xargs_rate, tmp_path / str(pair))
        sweep()
        time.sleep(2)
        ours = density_rate(tmp_path / "runs")
        time.sleep(2)
        ratios.append(ours / theirs)
        say(f"  pair {pair + 1}: xargs -P 8 docker run -d {theirs:.2f}/s, density {ours:.2f}/s, ratio {ratios[-1]:.2f}")
    say(f"  ratio: median {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}), bar {RATE_BAR}")
    assert statistics.median(ratios) >= RATE_BAR


def test_cost_of_the_tester(tmp_path: Path, say: Say) -> None:
    """500 containers: the tester's CPU an instance and while they idle, and what a sample of the host costs."""
    run = density_run(
        tmp_path,
        'ramp.shape="list"',
        "ramp.waves=[10, 490]",
        "ramp.calibrate=0",
        'ramp.settle="15s"',
        'ramp.hold="60s"',
    )
    events = events_of(run)
    with closing(sqlite3.connect(run / "run.sqlite")) as record:
        assert record.execute("SELECT count(*) FROM instances WHERE ready_at IS NOT NULL").fetchone() == (500,)
    waves = [event.at for event in events if isinstance(event, WaveStarted)]
    stages = {event.stage: event.at for event in events if isinstance(event, StageEntered)}
    spent = [(e.at, e.cpu_seconds) for e in events if isinstance(e, TesterMeasured) and e.cpu_seconds is not None]

    def cpu(at: float) -> float:
        return next(seconds for when, seconds in spent if when >= at)

    last_ready = max(e.at for e in events if isinstance(e, InstanceChanged) and e.phase is Phase.READY)
    each = (cpu(last_ready) - cpu(waves[1])) / 490 * 1000
    held = [(when, seconds) for when, seconds in spent if stages["hold"] + 2 <= when < stages["teardown"] - 1]
    idle = (held[-1][1] - held[0][1]) / (held[-1][0] - held[0][0])
    few = [e.cost_seconds for e in events if isinstance(e, HostSampled) and waves[0] + 5 < e.at < waves[1]]
    many = [e.cost_seconds for e in events if isinstance(e, HostSampled) and e.at > stages["hold"] + 2]
    at_few, at_many = statistics.median(few) * 1000, statistics.median(many) * 1000
    say("\nthe tester itself")
    say(f"  CPU an instance: {each:.2f} ms (bar 6)")
    say(f"  CPU while 500 containers idle: {idle:.2%} of a core (bar 2 %)")
    most = max(many) * 1000
    say(f"  a host sample: {at_few:.2f} ms at 10, {at_many:.2f} ms at 500 (max {most:.2f}; bars 5 ms, x 1.5)")
    assert each < 6
    assert idle < 0.02
    assert at_many < 5
    assert at_many <= 1.5 * at_few
