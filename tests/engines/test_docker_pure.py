"""The Docker engine's parts that ask nobody: parsers, documents, and what is refused."""

from pathlib import Path
from typing import Any

import pytest
from docker.errors import APIError
from requests.exceptions import ConnectionError as RequestsConnectionError

from density.engines.base import EngineContext
from density.engines.docker import ending as ending_module
from density.engines.docker.answers import (
    Container,
    DockerNetwork,
    Event,
    HostSettings,
    Info,
    ListedContainer,
    Version,
)
from density.engines.docker.client import Endpoint, find_endpoint, unavailable, words
from density.engines.docker.daemon import clock_of, engine_info, find_daemons, maps_users
from density.engines.docker.ending import Ending, Known, ending_failure, ending_of, limits_of, start_failure
from density.engines.docker.feed import INSTANCE_LABEL, Heard, meaning_of
from density.engines.docker.images import parse_problem, payload_tag, payload_tar
from density.engines.docker.instance import Instance
from density.engines.docker.networks import bridge_of, usable_of
from density.engines.docker.preparing import find_problems
from density.engines.docker.removal import names_of
from density.engines.docker.spec import WORKLOAD_LABEL, container_document
from density.engines.own_limits import Limits
from density.errors import EngineUnavailable
from density.host.kernel_log import ForkDenied, MemoryKill
from density.model import LABEL, Failure, OwnLimit, Placement, Readiness, Workload
from density.payload.channel import Channel

MIB = 2**20
WEB = Workload(name="web", engine="docker")
NGINX = Workload(name="web", engine="docker", image="nginx", ready=Readiness("tcp", "80"))


def event(action: str, **attributes: str) -> dict[str, object]:
    """An event as the daemon sends it."""
    labels = {INSTANCE_LABEL: "web-00001", LABEL: "r1"}
    return {"Type": "container", "Action": action, "Actor": {"ID": "c0ffee", "Attributes": labels | attributes}}


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        (event("die", exitCode="137"), Heard("died", "web-00001", 137)),
        (event("oom"), Heard("oom", "web-00001")),
        (event("health_status: healthy"), Heard("healthy", "web-00001")),
        (event("health_status: unhealthy"), Heard("unhealthy", "web-00001")),
        (event("exec_die", exitCode="1"), None),
        ({}, None),
    ],
)
def test_event(said: dict[str, object], heard: Heard | None) -> None:
    """Of the daemon's events, an end, a want of memory and a health that changed matter, and nothing else."""
    assert meaning_of(Event.of(said)) == heard


@pytest.mark.parametrize(
    ("pool", "used", "usable"),
    [
        ({"Subnet": "172.17.0.0/16", "Gateway": "172.17.0.1"}, [], 65533),
        ({"Subnet": "10.0.0.0/28"}, ["10.0.0.2/28"], 12),
        ({"Subnet": "10.0.0.0/24", "IPRange": "10.0.0.128/28", "Gateway": "10.0.0.1"}, [], 16),
        ({"Subnet": "10.0.0.0/28", "AuxiliaryAddresses": {"router": "10.0.0.14"}}, [], 12),
        ({"Subnet": "fd00::/64"}, [], None),
        # As Docker takes them: addresses in a network for the network, a range larger than its subnet, no room at all.
        ({"Subnet": "10.77.0.1/24"}, [], 253),
        ({"Subnet": "10.81.0.0/24", "IPRange": "10.81.0.200/28"}, ["10.81.0.193/24"], 14),
        ({"Subnet": "10.82.0.0/28", "IPRange": "10.82.0.0/16"}, [], 13),
        ({"Subnet": "10.83.0.0/31"}, [], 1),
        ({"Subnet": "10.84.0.1/32"}, [], 0),
    ],
)
def test_usable_addresses(pool: dict[str, object], used: list[str], usable: int | None) -> None:
    """A network gives out its range without its own address, broadcast, gateway, reserved ones and those in use."""
    containers = {str(number): {"IPv4Address": address} for number, address in enumerate(used)}
    assert usable_of(DockerNetwork.of({"IPAM": {"Config": [pool]}, "Containers": containers})) == usable


def test_bridge() -> None:
    """The bridge device is named by option or after the network's id; other drivers have none."""
    option = {"com.docker.network.bridge.name": "docker0"}
    assert bridge_of(DockerNetwork.of({"Driver": "bridge", "Id": "0123456789abcdef", "Options": option})) == "docker0"
    assert (
        bridge_of(DockerNetwork.of({"Driver": "bridge", "Id": "0123456789abcdef", "Options": None}))
        == "br-0123456789ab"
    )
    assert bridge_of(DockerNetwork.of({"Driver": "macvlan", "Id": "0123456789abcdef"})) == ""


def test_payload_image_follows_from_its_binary() -> None:
    """The same binary makes the same image, byte for byte; another one makes another."""
    assert payload_tag(b"one") == payload_tag(b"one") != payload_tag(b"two")
    assert payload_tar(b"one") == payload_tar(b"one") != payload_tar(b"two")


def test_problem_of_a_pull() -> None:
    """A pull fails inside a successful answer: its error is one line among the progress."""
    assert parse_problem(['{"status": "Pulling"}', "", '{"error": "manifest\\nunknown"}']) == "manifest unknown"
    assert parse_problem(['{"status": "Pulling"}', "half a li"]) == ""


def test_document_of_a_payload(tmp_path: Path) -> None:
    """A payload's container has its labels, its limits, its place in the slice and its channel, read-only."""
    context = EngineContext(
        run_id="r1",
        runtime_dir=tmp_path,
        data_dir=tmp_path,
        cache_dir=tmp_path,
        channel=Channel(tmp_path / "channel"),
        placement=Placement({"cgroupfs": "/density/r1"}, "", ()),
    )
    workload = Workload(name="web", engine="docker", memory_bytes=64 * MIB, touch_bytes=MIB, cpus=0.5, burn=0.1)
    word = "beef"
    document = container_document(
        workload, "web-00001", image="density-payload:1", context=context, cgroup_driver="cgroupfs", secret=word
    )
    assert document["Labels"] == {LABEL: "r1", INSTANCE_LABEL: "web-00001", WORKLOAD_LABEL: "web"}
    assert document["Cmd"][:4] == ["--id", "web-00001", "--run", "r1"]
    assert document["Env"] == ["DENSITY_SECRET=beef"]
    host = document["HostConfig"]
    assert host["Binds"] == [f"{tmp_path}/channel:/run/density:ro"]
    assert (host["Memory"], host["MemorySwap"], host["NanoCpus"]) == (64 * MIB, 64 * MIB, 500_000_000)
    assert host["CgroupParent"] == "/density/r1"


def document(tmp_path: Path, *, writes: bool = False, **workload: Any) -> dict[str, Any]:  # noqa: ANN401 — of any key
    """A workload's document without a slice."""
    context = EngineContext(
        run_id="r1",
        runtime_dir=tmp_path,
        data_dir=tmp_path,
        cache_dir=tmp_path,
        channel=Channel(tmp_path),
        payload_writes=writes,
    )
    made = Workload(name="web", engine="docker", **workload)
    return container_document(made, "web-00001", image="i", context=context, cgroup_driver="")["HostConfig"]  # type: ignore[no-any-return]


def test_a_payload_has_nothing_that_it_does_not_need(tmp_path: Path) -> None:
    """No capability, none to be had, no file to write, no network, few processes; the seccomp filter is Docker's."""
    host = document(tmp_path)
    assert (host["CapDrop"], host["SecurityOpt"]) == (["ALL"], ["no-new-privileges"])
    assert (host["ReadonlyRootfs"], host["NetworkMode"], host["PidsLimit"]) == (True, "none", 128)
    assert document(tmp_path, writes=True) == {**host, "ReadonlyRootfs": False}


def test_another_image_has_what_docker_gives(tmp_path: Path) -> None:
    """There are programs that need each capability, to write, and many threads; yet nothing is added either."""
    host = document(tmp_path, image="redis")
    assert not host.keys() & {"CapDrop", "CapAdd", "SecurityOpt", "ReadonlyRootfs", "PidsLimit", "Privileged"}
    assert (host["Binds"], host["NetworkMode"]) == ([], "none")


def test_daemons_that_map_users() -> None:
    """Root in a container is another user outside of it where the daemon maps users, or is not run by root."""
    assert maps_users(Info.of({"SecurityOptions": ["name=seccomp,profile=default", "name=userns"]}))
    assert maps_users(Info.of({"SecurityOptions": ["name=rootless"]}))
    assert not maps_users(Info.of({"SecurityOptions": ["name=seccomp,profile=builtin"]}))
    assert not maps_users(Info.of({"SecurityOptions": None}))


def test_document_of_another_image(tmp_path: Path) -> None:
    """Another image keeps its own command unless one is given, and gets no channel."""
    context = EngineContext(
        run_id="r1", runtime_dir=tmp_path, data_dir=tmp_path, cache_dir=tmp_path, channel=Channel(tmp_path)
    )
    document = container_document(NGINX, "web-00001", image="nginx", context=context, cgroup_driver="systemd")
    assert "Cmd" not in document
    assert document["Env"] == []
    assert document["HostConfig"]["Binds"] == []


@pytest.mark.parametrize(
    ("workload", "said"),
    [
        (Workload(name="w", engine="docker", memory_bytes=4 * MIB), "below what Docker allows, 6 MiB"),
        (Workload(name="w", engine="docker", memory_bytes=8 * MIB, touch_bytes=8 * MIB), "touches 8 MiB"),
        (Workload(name="w", engine="docker", cpus=3), "0.01 to 2"),
        (Workload(name="w", engine="docker", cpus=0.001), "0.01 to 2"),
        (Workload(name="w", engine="docker", image="nginx"), "needs image = payload"),
        (Workload(name="w", engine="docker", ready=Readiness("guest-agent")), "not for containers"),
    ],
)
def test_impossible_workloads(workload: Workload, said: str) -> None:
    """What Docker cannot run is refused, with what would be allowed."""
    [problem] = find_problems(workload, cpus=2)
    assert said in problem


def test_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    """The profile's endpoint goes before DOCKER_HOST, and that before Docker's default."""
    monkeypatch.delenv("DOCKER_TLS_VERIFY", raising=False)
    monkeypatch.delenv("DOCKER_CERT_PATH", raising=False)
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:2375")
    assert find_endpoint("unix:///x.sock") == Endpoint("unix:///x.sock")
    assert find_endpoint("") == Endpoint("tcp://127.0.0.1:2375")
    assert not find_endpoint("").is_local
    monkeypatch.delenv("DOCKER_HOST")
    assert find_endpoint("").socket_path == "/var/run/docker.sock"


@pytest.mark.parametrize(
    "url", ["ssh://host", "foo", "tcp://127.0.0.1:99999", "tcp://x:y", "tcp://host", "unix://", "npipe:////./x"]
)
def test_what_is_no_endpoint_is_said(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With where it came from and what is allowed, before anything is asked."""
    monkeypatch.setenv("DOCKER_HOST", url)
    allowed = "is no endpoint that density can ask; allowed is unix:///PATH or tcp://HOST:PORT, of this host"
    with pytest.raises(EngineUnavailable) as caught:
        find_endpoint("")
    assert str(caught.value) == f"docker: {url!r}, from DOCKER_HOST, {allowed}"


def test_refused_by_permissions() -> None:
    """A socket that may not be opened is told apart from a daemon that does not run."""
    denied = RequestsConnectionError("('Connection aborted.', PermissionError(13, 'Permission denied'))")
    assert "group `docker`" in str(unavailable(Endpoint("unix:///x.sock"), denied))
    assert "docker.io" in str(unavailable(Endpoint("unix:///x.sock"), RequestsConnectionError("no")))


def test_words_are_the_daemons_in_one_line() -> None:
    """A failure carries what the daemon said, not what the library made of it."""
    assert words(APIError("500 Server Error for http+docker://…", explanation="no\n  space")) == "no space"


def failed(kind: str, message: str, lines: tuple[str, ...] = (), *, code: int | None) -> Failure:
    """A failure with this exit code."""
    return Failure(kind, message, lines, exit_code=code, signal="SIGKILL" if code == 137 else "")


@pytest.mark.parametrize(
    ("ending", "code", "oom", "failure"),
    [
        (Ending(), 0, False, failed("exited", "ended with exit code 0", code=0)),
        (Ending(), 137, False, failed("exited", "ended with exit code 137 (SIGKILL)", code=137)),
        (Ending(), 137, True, failed("oom_killed", "ended with exit code 137 (SIGKILL), out of memory", code=137)),
        (Ending(), 1, True, failed("exited", "ended with exit code 1", code=1)),
        (Ending(), None, False, failed("exited", "ended with an unknown exit code", code=None)),
        (
            Ending(lines=("x: cannot allocate memory",)),
            71,
            False,
            failed(
                "no_memory",
                "ended with exit code 71: x: cannot allocate memory",
                ("x: cannot allocate memory",),
                code=71,
            ),
        ),
        (
            Ending(lines=("gone",)),
            69,
            False,
            failed("refused", "ended with exit code 69: gone", ("gone",), code=69),
        ),
    ],
)
def test_ending(ending: Ending, code: int | None, oom: bool, failure: Failure) -> None:  # noqa: FBT001 — a parameter of the table
    """An end is told in words; memory is to blame only for one that was killed, a payload's last line for the rest."""
    instance = Instance("web-00001", WEB, exit_code=code, out_of_memory=oom)
    assert ending_failure(ending, instance) == failure


def test_other_programs_logs_are_evidence_only() -> None:
    """What another image logs is not taken for the reason of its end."""
    lines = ("address already in use",)
    instance = Instance("web-00001", NGINX, exit_code=1)
    assert ending_failure(Ending(lines=lines), instance) == failed("exited", "ended with exit code 1", lines, code=1)


OWN = MemoryKill(77, "/density1.partition/c0ffee", "/density1.partition/c0ffee", 64 * MIB, 64 * MIB, 9)
OF_THE_SLICE = MemoryKill(77, "/density1.partition/c0ffee", "/density1.partition", 200 * MIB, 200 * MIB, 9)
LIMITED = Ending(limits=Limits(memory_bytes=64 * MIB), out_of_memory=True)


def ended_like(known: Known, *, code: int, ending: Ending = LIMITED) -> Failure:
    """The failure of a container with a memory limit of 64 MiB, whose daemon said that its memory ran out."""
    instance = Instance("web-00001", NGINX, container_id="c0ffee", exit_code=code, out_of_memory=True)
    return ending_failure(ending, instance, known)


def test_a_kill_at_the_containers_own_limit_is_told_from_one_at_the_slices() -> None:
    """On cgroup v1 the daemon says the same of both; the kernel's log names the cgroup whose limit it was."""
    own = ended_like(Known(readable=True, logged=[OWN]), code=137)
    assert (own.kind, own.signal) == ("own_limit", "SIGKILL")
    assert own.own_limits == (OwnLimit("memory.instance", 64 * MIB, 64 * MIB, hits=1),)
    slices = ended_like(Known(readable=True, logged=[OF_THE_SLICE]), code=137)
    assert (slices.kind, slices.own_limits) == ("oom_killed", ())


def test_a_fork_refused_in_a_full_slice_is_not_put_down_to_the_container() -> None:
    """The kernel's line is the same for the container's own limit and the slice's, unless the slice has room."""
    ending = Ending(lines=("fork: Resource temporarily unavailable",), limits=Limits(tasks=64))
    denied = [ForkDenied("/density1.partition/c0ffee")]
    own = ended_like(Known(readable=True, logged=denied), code=1, ending=ending)
    assert [each.ceiling for each in own.own_limits] == ["tasks.instance"]
    slices = ended_like(Known(readable=True, logged=denied, slice_tasks_full=True), code=1, ending=ending)
    assert slices.own_limits == ()


def test_a_worker_that_is_killed_at_the_containers_own_limit_is_the_reason_too() -> None:
    """A first process that gives up after that exits by itself, with a code of its own."""
    failure = ended_like(Known(readable=True, logged=[OWN]), code=1)
    assert (failure.kind, failure.exit_code, failure.signal) == ("own_limit", 1, "")


def test_without_the_kernels_log_a_full_slice_leaves_open_whose_limit_it_was() -> None:
    """Where the slice has never been full, only the container's own limit is left."""
    assert ended_like(Known(), code=137).kind == "own_limit"
    full = ended_like(Known(slice_was_full=True), code=137)
    assert (full.kind, full.own_limits) == ("oom_killed", ())


@pytest.mark.parametrize(
    ("seen", "given", "daemons", "limit"), [(64, 512, 1024, 64), (0, 512, 1024, 512), (0, 0, 1024, 1024)]
)
def test_files_of_the_container_are_a_candidate_only(seen: int, given: int, daemons: int, limit: int) -> None:
    """No counter tells whether too many open files are its own limit or the host's inotify instances.

    The limit is what another of the workload has in truth, else what the container was given, else its daemon's.
    """
    ending = Ending(lines=("accept4: Too many open files",), limits=Limits(files=given))
    known = Known(readable=True, files_limit=seen, daemon_files_limit=daemons)
    failure = ended_like(known, code=1, ending=ending)
    assert failure.own_limits == (OwnLimit("files.instance", None, limit, hits=0),)


def test_a_port_that_every_instance_wants_is_told_from_one_that_another_program_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two in the host's network cannot both have it; alone, or in networks of their own, they do not clash."""
    lines = ("bind() to 0.0.0.0:18080 failed (98: Address already in use)",)
    host = Workload(name="web", engine="docker", image="nginx", network="host")
    monkeypatch.setattr(ending_module, "is_held_by", lambda ids, port: "c0ffee" in ids and port == 18080)

    def failed_beside(workload: Workload, *siblings: str) -> Failure:
        instance = Instance("web-00001", workload, exit_code=1)
        return ending_failure(Ending(lines=lines), instance, Known(siblings=siblings))

    clash = failed_beside(host, "c0ffee")
    assert [own.ceiling for own in clash.own_limits] == ["ports.fixed"]
    assert "every instance of web wants port 18080" in clash.message
    assert failed_beside(host, "decade").own_limits == ()
    assert failed_beside(host).own_limits == ()
    assert failed_beside(NGINX, "c0ffee").own_limits == ()


def test_a_start_that_its_own_limit_prevents_is_told_as_that() -> None:
    """Runc needs a few MiB in the container's own cgroup; the daemon only says that the limit may be too low."""
    workload = Workload(name="web", engine="docker", image="nginx", memory_bytes=64 * MIB)
    instance = Instance("web-00001", workload, container_id="c0ffee")
    said = "container init was OOM-killed (memory limit too low?)"
    assert start_failure("oom_killed", said, instance, [OWN]).own_limits[0].ceiling == "memory.instance"
    assert start_failure("oom_killed", said, instance, [OF_THE_SLICE]) == Failure("oom_killed", said)


def test_limits_of_a_container() -> None:
    """Zero, minus one and nothing at all mean that there is no limit."""
    settings = {"Memory": 64 * MIB, "PidsLimit": 100, "Ulimits": [{"Name": "nofile", "Soft": 64, "Hard": 128}]}
    assert limits_of(HostSettings.of(settings)) == Limits(memory_bytes=64 * MIB, tasks=100, files=64)
    assert limits_of(HostSettings.of({"Memory": 0, "PidsLimit": -1, "Ulimits": None})) == Limits()
    assert limits_of(HostSettings.of({"PidsLimit": None})) == Limits()


def test_ending_as_described() -> None:
    """A container that runs again has no exit code."""
    assert ending_of(Container.of({"State": {"Running": True, "ExitCode": 0}}), ()).exit_code is None
    state = {"Running": False, "ExitCode": 137, "OOMKilled": True, "Error": "a\nb"}
    assert ending_of(Container.of({"State": state}), ("x",)) == Ending(
        137, out_of_memory=True, error="a b", lines=("x",)
    )


def test_names() -> None:
    """Containers go by their names, or by their ids while they have none."""
    listed = ListedContainer.list_of([{"Id": "a", "Names": ["/one"]}, {"Id": "b", "Names": None}])
    assert names_of(listed) == {"a": "one", "b": "b"}


def test_daemons_without_a_socket(tmp_path: Path) -> None:
    """Where the socket does not tell its listener, the oldest dockerd counts, with the containerd that is its child."""
    for pid, name, parent in ((10, "dockerd", 1), (11, "containerd", 1), (12, "containerd", 10), (13, "dockerd", 1)):
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "comm").write_text(f"{name}\n")
        (tmp_path / str(pid) / "stat").write_text(f"{pid} ({name}) S {parent} 0\n")
    assert find_daemons(Endpoint("unix:///nowhere.sock"), tmp_path) == {"dockerd": 10, "containerd": 12}


def test_info() -> None:
    """Facts are what the daemon said, and what it did not say is left out."""
    said = {
        "CgroupDriver": "systemd",
        "DockerRootDir": "/var/lib/docker",
        "NCPU": 4,
        "SystemTime": "2026-11-24T08:00:00.123456789Z",
    }
    info = engine_info(
        Info.of(said), Version.of({"Version": "27.0", "ApiVersion": "1.46"}), Endpoint("tcp://127.0.0.1:2375")
    )
    said_here = {name: fact for name, fact in info.facts.items() if "state_dir" not in name}
    assert said_here == {
        "cgroup_driver": "systemd",
        "cgroup_version": "1",
        "root_dir": "/var/lib/docker",
        "api_version": "1.46",
    }
    assert clock_of(Info.of(said)) == 1795507200
    assert clock_of(Info()) == 0
