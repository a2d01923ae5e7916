"""Rubbish by the hundred thousand for everything that density reads, and a fuzzer that looks at what is covered."""

import gc
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from random import Random

import anyio
import psutil
import pytest
from support.fuzzing import Hung, bodies, command_line, density, in_time, profile, put_run, read_profile, read_run, talk
from support.recorded_runs import events_of, record
from support.tally import Tally

from density.events import RunStarted
from density.payload.channel import Channel, ChannelClosed
from density.report import recorded

PROFILES = 100_000
RECORDS = 1_000
PAGES = 40
"""Records of which pages with charts are made; each takes two seconds."""
LINES = 3_000
CONVERSATIONS = 100_000
GUIDED_SECONDS = 120
GROWTH = 64 * 2**20
"""Bytes that a process may hold more of after all than after the first tenth."""
MIB = 2**20


def rss() -> int:
    """Memory of this process, once what is garbage is gone."""
    gc.collect()
    found: int = psutil.Process().memory_info().rss
    return found


def told(work: Callable[[Random], object], rng: Random) -> str:
    """What went wrong, in short; empty where nothing did."""
    try:
        with in_time():
            work(rng)
    except (Exception, Hung) as error:  # noqa: BLE001 — each is one in a row of the table
        return f"{type(error).__name__}: {error}"[-2000:]
    return ""


def fuzz(tally: Tally, fault: str, count: int, work: Callable[[Random], object]) -> None:
    """Do it with so many seeds; what the first tenth takes of memory for good is no growth."""
    before = 0
    for seed in range(count):
        if seed == count // 10:
            before = rss()
        wrong = told(work, Random(seed))
        if wrong:
            print(f"{fault}, seed {seed}: {wrong}")
        tally.add(fault, not wrong, [], 0)
    grown = rss() - before
    print(f"{fault}: {grown / MIB:.0f} MiB more after {count:,}")
    tally.add(f"{fault}: no growth of memory", grown < GROWTH, [], 0)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nobody damaged."""
    first, *rest = events_of("max")
    assert isinstance(first, RunStarted)
    return record([replace(first, run_id="whole"), *rest], tmp_path_factory.mktemp("whole") / "whole")


def test_profiles(tally: Tally, tmp_path: Path) -> None:
    """A hundred thousand: each is a profile or sentences, at once."""
    fuzz(tally, "fuzz: profiles", PROFILES, lambda rng: read_profile(profile(rng), tmp_path / "p.toml"))


@pytest.mark.parametrize(("name", "count", "slow"), [("records", RECORDS, False), ("pages", PAGES, True)])
def test_records_and_results(name: str, count: int, slow: bool, tally: Tally, whole: Path, tmp_path: Path) -> None:  # noqa: FBT001
    """Every command that reads them; those that draw charts on fewer."""
    result = recorded.read_run(whole).result
    kept = {each: bodies(events_of(each)) for each in ("max", "interrupted", "objective", "error", "hostile")}
    directory = tmp_path / "runs" / "20260101-000000-0000"
    directory.mkdir(parents=True)

    def work(rng: Random) -> None:
        put_run(rng, directory, kept[rng.choice(list(kept))], result)
        read_run(directory, whole, only=lambda each: each.startswith("report html") is slow)
        if slow:
            density("report", str(directory), "--charts", str(tmp_path / "charts"), "-o", "-")
        shutil.rmtree(directory / "csv", ignore_errors=True)

    fuzz(tally, f"fuzz: {name}", count, work)


def test_command_lines(tally: Tally, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of every command that starts nothing."""
    monkeypatch.chdir(tmp_path)
    fuzz(tally, "fuzz: command lines", LINES, lambda rng: density(*command_line(rng, whole, whole)))


def test_the_channel(tally: Tally, tmp_path: Path) -> None:
    """Strangers, and instances that know their secrets and have lost their minds: the others go on, nothing grows."""
    found = anyio.run(_conversations, tmp_path)
    tally.add("fuzz: the channel", found == "", [], 0)
    assert found == ""


async def _conversations(directory: Path) -> str:
    async with Channel(directory / "c") as channel:
        secret = channel.expect("sane-00001")
        descriptors, before = 0, 0
        async with await anyio.connect_unix(channel.socket_path) as sane:
            await sane.send(f"density ready sane-00001 secret={secret}\n".encode())
            await channel.hello("sane-00001")
            async with anyio.create_task_group() as group:
                group.start_soon(_answer, sane)
                for number in range(CONVERSATIONS):
                    await _converse(channel, Random(number))
                    if number % 500 == 0:
                        with anyio.fail_after(30):
                            await channel.ping("sane-00001")
                    if number == CONVERSATIONS // 10:
                        descriptors, before = len(os.listdir("/proc/self/fd")), rss()  # noqa: PTH208
                await anyio.sleep(1)
                more = len(os.listdir("/proc/self/fd")) - descriptors  # noqa: PTH208
                grown = rss() - before
                group.cancel_scope.cancel()
    return "" if more < 100 and grown < GROWTH else f"{more} descriptors and {grown / MIB:.0f} MiB more"


async def _converse(channel: Channel, rng: Random) -> None:
    """One instance is expected, and somebody says something; then it is forgotten."""
    instance_id = f"a-{rng.randrange(1, 3):05d}"
    secret = channel.expect(instance_id)
    with suppress(OSError, anyio.BrokenResourceError, anyio.ClosedResourceError):
        async with await anyio.connect_unix(channel.socket_path) as stream:
            if rng.randrange(2):
                await stream.send(f"density ready {instance_id} secret={secret}\n".encode())
            await stream.send(talk(rng, [secret, "0"]))
            if rng.randrange(4) == 0:
                with anyio.move_on_after(0.01), suppress(ChannelClosed):
                    await channel.ping(instance_id)
    channel.forget(instance_id)


async def _answer(stream: anyio.abc.ByteStream) -> None:
    """As a payload does."""
    async for data in stream:
        for line in data.decode().splitlines():
            if line.startswith("ping"):
                await stream.send(f"density pong {line.split()[1]}\n".encode())


@pytest.mark.parametrize("target", ["profile", "record", "result", "channel"])
def test_guided_by_coverage(target: str, tally: Tally, tmp_path: Path) -> None:
    """Atheris looks for inputs that reach new code; bounded in time, with the seeds of recorded runs."""
    pytest.importorskip("atheris", reason="no atheris for this Python: pip install --group torture")
    program = Path(__file__).parents[1] / "support" / "guided.py"
    command = [sys.executable, str(program), target, str(tmp_path), f"-max_total_time={GUIDED_SECONDS}"]
    command += ["-rss_limit_mb=2048", "-timeout=30", f"-artifact_prefix={tmp_path}/"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    runs = [line for line in done.stderr.splitlines() if line.startswith(("Done", "stat::"))]
    print(json.dumps({"target": target, "code": done.returncode, "said": runs}))
    if done.returncode:
        print(done.stderr[-4000:] + done.stdout[-2000:])
    tally.add(f"fuzz guided by coverage: {target}", done.returncode == 0, [], 0)
