"""What the Docker engine decides by itself: health checks, whose machine a daemon is on, contexts, failures."""

import json
import math
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

import pytest
from engines.contract import context_in, short_directory
from requests.exceptions import ConnectionError as RequestsConnectionError

from density.controller.equip import engine_disks
from density.engines.docker import DockerEngine, removal
from density.engines.docker.answers import Container, Image, Info, ListedContainer
from density.engines.docker.client import Clients, Endpoint, unavailable
from density.engines.docker.context import Context, active_context
from density.engines.docker.feed import INSTANCE_LABEL, Heard, parse_status
from density.engines.docker.health import Health, HealthCheck, health_of, healthcheck_of
from density.engines.docker.instance import Instance
from density.engines.docker.machine import Machine, daemons_machine, is_elsewhere, this_machine
from density.engines.docker.not_ready import Found, not_ready, unhealthy
from density.engines.docker.preparing import Preparer, unheard_health
from density.engines.docker.state_dirs import state_dirs
from density.model import EngineInfo, Phase, Readiness, Workload

HERE = Machine("here", "6.1.0", 16 * 2**30)
SOCKET, NETWORK = Endpoint("unix:///var/run/docker.sock"), Endpoint("tcp://127.0.0.1:2375")
WEB = Workload(name="web", engine="docker", image="nginx", ready=Readiness("http", "80/"), ready_timeout_seconds=6.0)
SECOND = 1_000_000_000


def image(**check: object) -> dict[str, object]:
    """An image with this health check, as the daemon describes it."""
    return {"Config": {"Healthcheck": check}}


@pytest.mark.parametrize(
    ("described", "check"),
    [
        ({}, None),
        ({"Config": {"Healthcheck": None}}, None),
        (image(Test=["NONE"]), None),
        (image(Test=["CMD", "true"]), HealthCheck()),
        (image(Test=["CMD", "true"], Interval=90 * SECOND), HealthCheck(90.0)),
        (
            image(Test=["CMD", "true"], Interval=90 * SECOND, StartPeriod=SECOND, StartInterval=2 * SECOND),
            HealthCheck(90.0, 1.0, 2.0),
        ),
        (image(Test=["CMD", "true"], Retries=7), HealthCheck(retries=7)),
    ],
)
def test_healthcheck(described: dict[str, Any], check: HealthCheck | None) -> None:
    """`HEALTHCHECK NONE` is none, and what an image leaves open is Docker's own."""
    assert healthcheck_of(Image.of({"Id": "x", **described})) == check


def test_first_check() -> None:
    """The first check comes after one interval, and sooner while a container starts where the daemon knows of that."""
    check = HealthCheck(90.0, 10.0, 2.0)
    assert (check.first_seconds("1.41"), check.first_seconds("1.44")) == (90.0, 2.0)
    assert replace(check, start_period_seconds=0.0).first_seconds("1.50") == 90.0


@pytest.mark.parametrize(
    ("check", "watched", "seconds"),
    [
        ({}, 12.0, ["90 s", "12 s"]),  # Docker's own: 30 s, three times
        ({}, 90.0, []),
        ({"Interval": SECOND, "Retries": 5, "StartPeriod": 10 * SECOND}, 14.0, ["15 s", "14 s"]),
        ({"Interval": SECOND, "Retries": 5, "StartPeriod": 10 * SECOND}, 15.0, []),
    ],
)
def test_a_health_check_that_speaks_after_the_run_is_told_of(
    check: dict[str, Any], watched: float, seconds: list[str]
) -> None:
    """Where nobody waits for it: by start period, interval and retries, against what the last instances are watched."""
    found = Image.of({"Id": "x", **image(Test=["CMD", "true"], **check)})
    warnings = list(unheard_health(WEB, found, watched_seconds=watched))
    assert [each in warning for warning in warnings for each in seconds] == [True] * len(seconds)
    assert len(warnings) == bool(seconds)
    healthy = replace(WEB, ready=Readiness("healthy"))
    assert not list(unheard_health(healthy, found, watched_seconds=watched))
    assert not list(unheard_health(WEB, Image.of({"Id": "x"}), watched_seconds=watched))


class OneImage:
    """A daemon that has this image, whatever it is asked."""

    api_version = "1.43"

    def __init__(self, found: Image) -> None:
        self._found = found

    async def call(self, _: object, **__: object) -> Image:
        return self._found


@pytest.mark.anyio
@pytest.mark.parametrize(("watched", "warnings"), [(12.0, 1), (math.inf, 0)])
async def test_a_run_is_warned_when_the_image_is_prepared(tmp_path: Path, watched: float, warnings: int) -> None:
    """By how long its context says that instances are watched; where nobody says so, there is nothing to warn of."""
    clients = cast("Clients", OneImage(Image.of({"Id": "x", **image(Test=["CMD", "true"])})))
    async with context_in(tmp_path) as context:
        preparer = Preparer(clients, replace(context, watched_seconds=watched), cpus=1.0)
        _, prepared = await preparer.prepare(replace(WEB, ready=Readiness("running")))
    assert len(prepared.warnings) == warnings


def test_health() -> None:
    """The last check's exit code and output, and how many failed in a row."""
    log = [{"ExitCode": 0, "Output": "fine"}, {"ExitCode": 1, "Output": "no\n\n database \n"}]
    state = {"State": {"Health": {"FailingStreak": 3, "Log": log}}}
    assert health_of(Container.of(state)) == Health(3, 1, ("no", "database"))
    assert health_of(Container.of({"State": {}})) == Health()


@pytest.mark.parametrize(
    ("status", "health"),
    [("Up 5 seconds (unhealthy)", "unhealthy"), ("Up 2 days (healthy)", "healthy"), ("Up 1 second", ""),
     ("Up 5 seconds (health: starting)", ""), ("Exited (1) 5 seconds ago", "")],
)  # fmt: skip
def test_health_in_the_list(status: str, health: str) -> None:
    """The daemon's list tells health as well, for what changed while nobody listened."""
    assert parse_status(status) == health


def test_not_ready_says_what_was_tried() -> None:
    """How it was asked, how often, and what came back last; a health check speaks for itself."""
    instance = Instance("web-00001", WEB)
    instance.tried.what = "GET http://127.0.0.1:80/"
    for answer in ("connection refused", "404 Not Found"):
        instance.tried.note(answer)
    failure = not_ready(instance, Found(("one",) * 30, Health(), None))
    assert failure.kind == "timeout"
    for said in ("within 6 s", "GET http://127.0.0.1:80/", "2 times", "404 Not Found"):
        assert said in failure.message
    assert len(failure.evidence) == 20
    instance.unhealthy = True
    sick = not_ready(instance, Found(("up",), Health(4, 1, ("no database",)), None))
    assert "4 times" in sick.message
    assert sick.evidence == ("no database", "up")
    instance.paused = True
    assert not_ready(instance, Found((), Health(), None)).kind == "paused"


def test_unhealthy_is_a_failure_of_its_own() -> None:
    """With how often the check failed, its exit code and what it printed."""
    failure = unhealthy(Found(("up",), Health(3, 7, ("no", "database")), None))
    assert failure.kind == "unhealthy"
    assert "exit code 7" in failure.message
    assert failure.evidence == ("no", "database", "up")


def test_a_line_that_was_missed_is_found() -> None:
    """The last lines of the log are searched as the follower does."""
    assert Found(("x", "READY"), Health(), None).has_line("^READY$")
    assert not Found(("x", "NOT READY"), Health(), None).has_line("^READY$")


@pytest.mark.parametrize(
    ("endpoint", "there", "elsewhere"),
    [
        (SOCKET, HERE, False),
        (SOCKET, replace(HERE, name="container"), False),
        (SOCKET, replace(HERE, kernel="6.10.14-linuxkit"), True),
        (SOCKET, replace(HERE, memory_bytes=8 * 2**30), True),
        (NETWORK, HERE, False),
        (NETWORK, replace(HERE, name="twin"), True),
        (Endpoint("tcp://10.0.0.5:2376"), replace(HERE, name="there", kernel="5.15.0"), True),
    ],
)
def test_which_machine(endpoint: Endpoint, there: Machine, elsewhere: bool) -> None:  # noqa: FBT001 — of the table
    """Another kernel or memory is another machine, also behind a socket; over the network another name is, too."""
    assert is_elsewhere(endpoint, there, HERE) is elsewhere


def test_this_machine_is_what_a_daemon_here_says() -> None:
    """Both ways to describe a machine agree on what they have in common."""
    this = this_machine()
    said = {"Name": this.name, "KernelVersion": this.kernel, "MemTotal": this.memory_bytes}
    assert daemons_machine(Info.of(said)) == this


def make_context(home: Path, name: str, host: str) -> None:
    """Make a context of the CLI the active one."""
    metadata = home / ".docker/contexts/meta" / sha256(name.encode()).hexdigest()
    metadata.mkdir(parents=True)
    (metadata / "meta.json").write_text(json.dumps({"Name": name, "Endpoints": {"docker": {"Host": host}}}))
    (home / ".docker/config.json").write_text(json.dumps({"currentContext": name}))


def test_active_context(tmp_path: Path) -> None:
    """The one of the CLI's file, the variable's before that; the default one, and no file at all, are none."""
    assert active_context({}, tmp_path) is None
    make_context(tmp_path, "desktop", "unix:///home/u/.docker/desktop/docker.sock")
    assert active_context({}, tmp_path) == Context("desktop", "unix:///home/u/.docker/desktop/docker.sock")
    assert active_context({"DOCKER_CONTEXT": "default"}, tmp_path) is None
    assert active_context({"DOCKER_CONTEXT": "other"}, tmp_path) == Context("other", "")
    assert active_context({"DOCKER_CONFIG": str(tmp_path / "nowhere")}, tmp_path) is None
    (tmp_path / ".docker/config.json").write_text("[not json")
    assert active_context({}, tmp_path) is None


def test_a_dead_default_socket_names_the_context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only where nobody asked for an endpoint, for then the context may be what was meant."""
    host = "unix:///home/u/.docker/desktop/docker.sock"
    make_context(tmp_path, "desktop", host)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / ".docker"))
    monkeypatch.delenv("DOCKER_CONTEXT", raising=False)
    dead = RequestsConnectionError("no")
    remedy = unavailable(replace(SOCKET, is_default=True), dead).remedy
    assert "'desktop'" in remedy
    assert f"DOCKER_HOST={host}" in remedy
    assert "desktop" not in unavailable(SOCKET, dead).remedy


@pytest.mark.anyio
async def test_what_started_while_the_list_was_fetched_is_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a reconnect only what ran before the daemon was asked can be missing on its list."""
    heard: list[Heard] = []
    with short_directory() as directory:
        async with context_in(directory) as context:
            engine = DockerEngine(context, endpoint=SOCKET.url)
            engine._instances = {
                "gone": Instance("gone", WEB, Phase.READY),
                "sick": Instance("sick", WEB, Phase.READY),
                "stopped": Instance("stopped", WEB, Phase.READY),
            }

            async def listed(clients: Clients, run_id: str | None) -> tuple[ListedContainer, ...]:
                engine._instances["new"] = Instance("new", WEB, Phase.STARTED)
                engine._instances["stopped"].phase = Phase.STOPPING
                labels = {INSTANCE_LABEL: "sick"}
                status = "Up 9 seconds (unhealthy)"
                return (ListedContainer.of({"Id": "x", "Labels": labels, "State": "running", "Status": status}),)

            monkeypatch.setattr(removal, "list_labelled", listed)
            monkeypatch.setattr(engine, "_hear", heard.append)
            await engine._look_for_missed()
    assert heard == [Heard("died", "gone"), Heard("unhealthy", "sick")]


def test_state_directories(tmp_path: Path) -> None:
    """Command lines go before configurations, those before the defaults; absent ones are none."""
    for name in ("given", "named", "state"):
        (tmp_path / name).mkdir()
    (tmp_path / "daemon.json").write_text(json.dumps({"exec-root": str(tmp_path / "named")}))
    (tmp_path / "config.toml").write_text(f'state = "{tmp_path}/state"\n')
    commands = {
        1: ["dockerd", f"--exec-root={tmp_path}/given"],
        2: ["dockerd", "--config-file", f"{tmp_path}/daemon.json"],
        3: ["containerd", "-c", f"{tmp_path}/config.toml"],
        4: ["containerd", "--state", f"{tmp_path}/nowhere"],
    }
    for pid, words in commands.items():
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "cmdline").write_text("\0".join(words) + "\0")
    assert state_dirs({"dockerd": 1, "containerd": 3}, tmp_path) == {
        "state_dir": f"{tmp_path}/given",
        "containerd_state_dir": f"{tmp_path}/state",
    }
    assert state_dirs({"dockerd": 2, "containerd": 4}, tmp_path) == {"state_dir": f"{tmp_path}/named"}
    assert state_dirs({}, tmp_path) == {}


def test_disks_of_an_engine() -> None:
    """Where its files and the state of what runs are, each under a name of its own."""
    facts = {"root_dir": "/var/lib/docker", "state_dir": "/run/docker", "containerd_state_dir": "/run/containerd"}
    assert engine_disks(EngineInfo(name="docker", version="", endpoint="", facts=facts)) == {
        "docker": Path("/var/lib/docker"),
        "docker-state": Path("/run/docker"),
        "containerd-state": Path("/run/containerd"),
    }
