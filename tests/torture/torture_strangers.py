"""Another user of the host beside a run: tries to imitate, stop and read instances, and to lay traps for density."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from signal import SIGKILL

import pytest
from engines.contract import short_directory
from support.addresses import free_address
from support.host_state import instances_on_the_host, settled_leftovers
from support.killing import ALONE
from support.running import Finished, run_directory, started
from support.tally import Tally
from support.users import NOBODY, as_user
from support.whole_record import flaws

pytestmark = pytest.mark.root
TIMES = 5
RUNTIME = Path("/run/density")
SOCKETS = ("channel.sock", *(f"s{number}" for number in range(1, 30)))
"""Names that a stranger can guess, for it cannot list the directory."""
PROFILES = {
    "processes": """
[workloads.process]
engine = "native"
touch = "1MiB"
""",
    "containers and VMs": """
[engines]
missing = "skip"
[workloads.container]
engine = "docker"
[workloads.vm]
engine = "libvirt"
guest = "null"
""",
    "libvirt's containers": """
[engines]
libvirt = "lxc:///system"
missing = "skip"
[workloads.process]
engine = "native"
[workloads.lxc]
engine = "libvirt"
guest = "none"
""",
}
RAMP = """
name = "beside"
[ramp]
shape = "linear"
start = 6
step = 6
max = 18
settle = "1s"
hold = "2s"
calibrate = 1
"""


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A directory that everybody may enter, as pytest's own is not: what is closed is closed by density."""
    with short_directory(0o755) as path:
        yield path


def _imitate(run_id: str, ids: set[str], done: Counter[str]) -> None:
    """Connect wherever a payload or QEMU would, also before they do, and say what they would."""
    for name in SOCKETS:
        with suppress(OSError), socket.socket(socket.AF_UNIX) as stream:
            stream.settimeout(1)
            stream.connect(str(RUNTIME / run_id / "channel" / name))
            done["imitate"] += 1
            for instance_id in ids or {"process-00001", "vm-00001"}:
                stream.sendall(f"density ready {instance_id} kernel=x uptime_us=1 pid=1\n".encode())


def _read_and_stop(run_id: str, results: Path, ids: set[str], done: Counter[str]) -> None:
    """Find the run's processes as anybody may, kill them, and read what they were given, printed and left."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            command = (process / "cmdline").read_bytes().decode(errors="replace")
            if run_id not in command:
                continue
            ids |= set(re.findall(r"--id\0([^\0]+)", command))
            done["read"] += "secret=" in command or "DENSITY_SECRET" in command
            tries: dict[str, Callable[[], object]] = {
                "read": (process / "environ").read_bytes,
                "stop": partial(os.kill, int(process.name), SIGKILL),
            }
            for how, attempt in tries.items():
                with suppress(OSError):
                    attempt()
                    done[how] += 1
    places = (RUNTIME / run_id, RUNTIME / run_id / "channel", Path("/var/lib/density/intents"), results,
              Path("/var/lib/density/data", run_id), Path("/var/lib/density/data", run_id, "errors"))  # fmt: skip
    for place in places:
        with suppress(OSError):
            done["read"] += len(os.listdir(place)) > 0  # noqa: PTH208 — as short as can be
    for name in ("run.sqlite", "profile.toml", "density.log", "result.json"):
        with suppress(OSError):
            (results / name).read_bytes()
            done["read"] += 1


def _beside(run_id: str, results: Path) -> str:
    """All of that again and again while the run has its directory; how often what succeeded."""
    done: Counter[str] = Counter(imitate=0, stop=0, read=0, tried=0)
    ids: set[str] = set()
    while os.path.exists(RUNTIME / run_id):  # noqa: PTH110 — says no where it may not look, too
        _imitate(run_id, ids, done)
        _read_and_stop(run_id, results, ids, done)
        done["tried"] += 1
    return json.dumps(done)


@pytest.mark.parametrize("kind", PROFILES)
@pytest.mark.parametrize("number", range(TIMES))
def test_a_stranger_beside_a_run(kind: str, number: int, tally: Tally, tmp_path: Path) -> None:
    """As `nobody`, as fast as it can, from before the first instance to the end: the run is as without it."""
    profile = tmp_path / "beside.toml"
    profile.write_text(RAMP + PROFILES[kind])
    with started(profile, tmp_path / "runs", within=ALONE) as process:
        run_dir = run_directory(tmp_path / "runs")
        assert run_dir, process.communicate()
        said: list[str] = []
        thread = threading.Thread(target=lambda: said.append(as_user(NOBODY, lambda: _beside(run_dir.name, run_dir))))
        thread.start()
        out, _ = process.communicate(timeout=300)
        thread.join(60)
    done = json.loads(said[0])
    assert done["tried"] > 0
    finished = Finished(json.loads(out) if out else {}, process.returncode, "")
    workloads = finished.document.get("workloads", {}).values()
    as_without = finished.exit_code == 0 and all(each["lost"] == each["failed"] == 0 for each in workloads)
    left = settled_leftovers(run_dir.name, seconds=10)
    lost = len(flaws(run_dir, seen=instances_on_the_host(run_dir.name)))
    for what in ("imitate", "stop", "read"):
        tally.add(f"another user tries to {what}: {kind}", as_without and done[what] == 0, left, lost)


@pytest.mark.parametrize("trap", ["directory", "link"])
def test_a_trap_in_tmp(trap: str, tally: Tally, tmp_path: Path) -> None:
    """Where a user without a runtime directory would have one, another user was first: refused, and nothing changed."""
    user, base, ours = 54399, Path("/tmp/density-54399"), tmp_path / "ours"
    ours.mkdir(mode=0o700)
    os.chown(ours, user, user)
    as_user(NOBODY, base.mkdir if trap == "directory" else lambda: base.symlink_to(ours))
    try:
        home = Path("/tmp/density-trap-home")
        home.mkdir(mode=0o700)
        os.chown(home, user, user)
        command = [sys.executable, "-m", "density", "run", "native", "--max", "2", "--runs-dir", str(home / "runs")]
        done = subprocess.run(
            [*ALONE, "setpriv", "--reuid", str(user), "--regid", str(user), "--clear-groups", *command],
            env={"PATH": os.environ["PATH"], "PYTHONPATH": os.environ.get("PYTHONPATH", ""), "HOME": str(home)},
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        unchanged = ours.stat().st_mode & 0o777 == 0o700 and not list(ours.iterdir())
        tally.add(f"a {trap} of another user in /tmp", done.returncode == 2 and unchanged, [], 0)
    finally:
        base.unlink() if trap == "link" else base.rmdir()
        shutil.rmtree(home, ignore_errors=True)


def test_clients_of_the_metrics(tally: Tally, tmp_path: Path) -> None:
    """A hundred that drip, and as many scrapes as can be, throughout a run: it is as without them."""
    address, over = free_address(), threading.Event()
    host, port = address.split(":")

    def drip() -> None:
        clients: list[socket.socket] = []
        while not over.wait(0.05):
            with suppress(OSError):
                clients.append(socket.create_connection((host, int(port)), timeout=1))
            for client in clients[-100:]:
                with suppress(OSError):
                    client.sendall(b"X")
        for client in clients:
            client.close()

    thread = threading.Thread(target=drip)
    thread.start()
    quick = [f"--set=ramp.{word}" for word in ("max=40", "calibrate=0", "settle=1s", "hold=5s")]
    with started("simulated", tmp_path / "runs", options=[*quick, "--metrics", address]) as process:
        time.sleep(2)
        files = len(os.listdir(f"/proc/{process.pid}/fd"))  # noqa: PTH208 — as short as can be
        process.communicate(timeout=300)
    over.set()
    thread.join()
    run_dir = run_directory(tmp_path / "runs")
    assert run_dir
    tally.add("slow clients of the metrics", process.returncode == 0 and files < 100, [], len(flaws(run_dir)))
