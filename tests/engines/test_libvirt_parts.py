"""The libvirt engine's pure parts, and those that only need files."""

import os
import shutil
import struct
import tempfile
import threading
from dataclasses import replace
from pathlib import Path
from typing import cast

import anyio
import libvirt
import pytest

from density.engines.libvirt import containers, loop
from density.engines.libvirt.canary import candidates, describe, last_words
from density.engines.libvirt.connections import Connections, words
from density.engines.libvirt.forward import is_established, is_unanswered, parse_forward
from density.engines.libvirt.hypervisor import format_version, parse_owner, parse_setting
from density.engines.libvirt.instance import (
    Instance,
    creation_failure,
    ending_failure,
    guest_limits,
    may_be_oom,
    not_ready,
)
from density.engines.libvirt.mailbox import Mailbox
from density.engines.libvirt.networks import check_bridge, parse_network
from density.engines.libvirt.preparing import check, ready_of
from density.engines.libvirt.readiness import Waiter
from density.engines.libvirt.staging import can_read, staged, unstage
from density.errors import CannotRun, UsageError
from density.model import Failure, OwnLimit, Readiness, Workload
from density.payload.channel import Channel
from density.payload.guests import Guest
from density.payload.guests.disk import Layer

MIB = 2**20
STRANGER = (64055, 108)
"""A user and a group that are not ours."""
VM = Workload(name="vm", engine="libvirt")
CONTAINER = replace(VM, guest="none")

NAT = """<network><name>n</name><bridge name='virbr7' stp='on'/>
  <ip address='192.168.150.1' netmask='255.255.255.0'>
    <dhcp><range start='192.168.150.2' end='192.168.150.9'/><range start='192.168.150.20' end='192.168.150.20'/></dhcp>
  </ip></network>"""
BRIDGE = "<network><name>n</name><forward mode='bridge'/><bridge name='br0'/></network>"
DIRECT = "<network><name>n</name><forward mode='passthrough'><interface dev='e0'/></forward></network>"

USERNET = """Hub -1 (hostnet0):
  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ
  TCP[SYN_SENT]      20       127.0.0.1 40507       10.0.2.15    80     0     0
  TCP[ESTABLISHED]   21       127.0.0.1 40508       10.0.2.15   443     0     0
  TCP[HOST_FORWARD]  13       127.0.0.1 40507       10.0.2.15    80     0     0
"""

CAPABILITIES = """<capabilities><host>
  <secmodel><model>none</model><doi>0</doi></secmodel>
  <secmodel><model>dac</model><doi>0</doi><baselabel type='kvm'>+64055:+108</baselabel></secmodel>
</host></capabilities>"""


def test_what_containers_may_write_to_leads_nowhere_else(tmp_path: Path) -> None:
    """A link in what they share is neither written nor read through, a pipe does not block, and files are cut."""
    errors, secret = tmp_path / "errors", tmp_path / "shadow"
    errors.mkdir()
    secret.write_text("root's own")
    for name in ("a-1", "a-1.secret"):
        (errors / name).symlink_to(secret)
    os.mkfifo(errors / "a-2")
    (errors / "a-3").write_text("x" * 2 * containers.WORDS_BYTES)
    assert containers.last_words(tmp_path, "a-1") == ()
    assert containers.last_words(tmp_path, "a-2") == ()
    assert containers.last_words(tmp_path, "a-3") == ("x" * containers.WORDS_BYTES,)
    with pytest.raises(FileExistsError):
        containers.keep_secret(tmp_path, "a-1", "word")
    assert secret.read_text() == "root's own"
    containers.keep_secret(tmp_path, "a-4", "word")
    assert ((errors / "a-4.secret").read_text(), (errors / "a-4.secret").stat().st_mode & 0o777) == ("word", 0o600)


def test_a_container_that_ended_before_libvirt_looked() -> None:
    """Libvirt's own words are that it read no log in time; what the payload said is the reason."""
    late = "internal error: Timed out while reading log output:"
    said = ("c-1: cannot have 9 bytes of memory: Cannot allocate memory",)
    assert creation_failure(late, said, container=True) == Failure("no_memory", said[0], said)
    assert creation_failure(late, (), container=True) == Failure("engine", late)
    assert creation_failure(late, said, container=False) == Failure("engine", late, said)
    assert (
        creation_failure("Cannot fork child process: Resource temporarily unavailable", said, container=True).kind
        == "try_again"
    )


def test_networks() -> None:
    """A network's addresses are all its DHCP ranges, both ends included; without DHCP, or a bridge, there are none."""
    assert (parse_network(NAT).bridge, parse_network(NAT).addresses) == ("virbr7", 9)
    assert (parse_network(BRIDGE).bridge, parse_network(BRIDGE).addresses) == ("br0", 0)
    assert (parse_network(DIRECT).bridge, parse_network(DIRECT).addresses) == ("", 0)


def test_bridges_that_are_not_there(tmp_path: Path) -> None:
    """A network whose bridge is missing is active all the same: it is refused before a VM is; one without is fine."""
    check_bridge(parse_network(DIRECT), "n", devices=tmp_path)
    with pytest.raises(UsageError, match="bridge br0, which this host does not have"):
        check_bridge(parse_network(BRIDGE), "n", devices=tmp_path)
    (tmp_path / "br0").mkdir()
    check_bridge(parse_network(BRIDGE), "n", devices=tmp_path)


def test_forwarding_is_read_from_the_monitor() -> None:
    """The host's port is the forwarding's own; a connection that the guest has not answered proves nothing."""
    assert parse_forward(USERNET, 80) == 40507
    assert not is_established(USERNET, 80)
    assert is_unanswered(USERNET, 80)
    assert not is_unanswered(USERNET, 443)
    assert is_established(USERNET, 443)
    with pytest.raises(OSError, match="forwards nothing to the guest's port 22"):
        parse_forward(USERNET, 22)


def test_qemu_user() -> None:
    """QEMU's user and group are libvirt's base label; unknown where libvirt names none."""
    assert parse_owner(CAPABILITIES) == (64055, 108)
    assert parse_owner("<capabilities><host/></capabilities>") is None


def test_settings() -> None:
    """A setting counts where it is set, not where it is only mentioned."""
    assert parse_setting("#max_processes = 5\n max_processes = 300  # more\n", "max_processes") == 300
    assert parse_setting("#max_processes = 5\n", "max_processes") is None


def test_versions() -> None:
    """Libvirt counts versions in millions."""
    assert format_version(9_000_000) == "9.0.0"
    assert format_version(7_002_022) == "7.2.22"


def test_words_are_one_line_without_the_time() -> None:
    """Two failures for one reason read alike, so that they can be counted together."""
    said = OSError("internal error: x:\n2026-11-24T08:10:03.712813Z qemu-system-x86_64: cannot set up guest memory")
    assert words(said) == "internal error: x: cannot set up guest memory"


def test_last_words_are_not_the_kernels() -> None:
    """Why a payload ended stands before the kernel's farewell."""
    assert last_words(["payload: no", "[    1.598298] reboot: Power down"]) == "payload: no"
    assert last_words(["[    1.598298] reboot: Power down"]) == "[    1.598298] reboot: Power down"


def test_accelerators_in_order() -> None:
    """KVM comes before emulation, the host's own CPU before an old model; nothing is tried that was not asked for."""
    assert [describe(each) for each in candidates("auto")] == [
        "KVM with the CPU host-passthrough", "KVM with the CPU kvm64", "TCG"
    ]  # fmt: skip
    assert {each.name for each in candidates("kvm")} == {"kvm"}
    assert [each.name for each in candidates("tcg")] == ["tcg"]


@pytest.mark.parametrize(
    ("workload", "message"),
    [
        (replace(VM, memory_bytes=64 * MIB), "memory is 64 MiB, and the guest payload needs 96 MiB"),
        (replace(VM, ready=Readiness("healthy")), "not by healthy"),
        (replace(VM, guest="disk", image="/x"), "not by payload"),
        (replace(VM, guest="disk", ready=Readiness("tcp", "80")), "needs network = user"),
        (replace(VM, cpus=1.5), "whole CPUs, not 1.5"),
        (replace(VM, guest="none"), "a VM boots the guest payload, null, disk, not none"),
    ],
)
def test_refused(workload: Workload, message: str) -> None:
    """What can never run is refused with the reason, before anything is asked."""
    with pytest.raises(UsageError, match=message):
        check(workload, "qemu")


def test_null_guest_is_heard_as_ready() -> None:
    """A pattern that the null guest's line matches waits for that line; another one is waited for as it is."""
    null = replace(VM, guest="null")
    assert ready_of(replace(null, ready=Readiness("console", "ready"))) == Readiness("payload")
    assert ready_of(replace(null, ready=Readiness("console", "login:"))) == Readiness("console", "login:")


def test_a_guest_that_runs_out_of_its_own_memory_has_met_its_own_limit() -> None:
    """Its kernel says so on the console; the host's memory has no part in it."""
    said = ("[    1.2] Kernel panic - not syncing: System is deadlocked on memory",)
    failure = ending_failure("crashed", said, oom_killed=False, container=False, memory_bytes=64 * MIB)
    assert failure.kind == "own_limit"
    assert failure.own_limits == (OwnLimit("memory.instance", 64 * MIB, 64 * MIB, hits=1),)
    assert guest_limits(("login: ",), 64 * MIB) == ()


@pytest.mark.anyio
async def test_not_ready_in_time() -> None:
    """What was tried, how often and what came back; and libvirt's own share of the time where that is most of it."""
    instance = Instance("vm-00001", "d", replace(VM, ready=Readiness("tcp", "80"), ready_timeout_seconds=6.0))
    assert not_ready(instance, ()).message == "not ready (tcp) within 6 s"
    instance.tried.what = "connected to its port 80"
    instance.tried.note("no answer")
    instance.tried.note("connection refused")
    failure = not_ready(instance, ("a line",))
    assert (failure.kind, failure.evidence) == ("timeout", ("a line",))
    assert failure.message == "not ready (tcp) within 6 s: " + instance.tried.words
    assert (instance.tried.times, instance.tried.answer) == (2, "connection refused")
    instance.created_seconds = 5.5
    assert "libvirt took 5.5 s to start it; connected to its port 80" in not_ready(instance, ()).message
    instance.created_seconds = 9.0
    assert not_ready(instance, ()).message == "not ready (tcp) within 6 s: libvirt took 9 s to start it"


@pytest.mark.anyio
async def test_an_agent_that_does_not_answer(tmp_path: Path) -> None:
    """Never connected is one thing; connected and without an answer is another, with libvirt's words and how often."""
    instance = Instance("vm-00001", "d", VM)

    class Refusing:
        asked = 0

        async def call(self, _: object) -> str:
            self.asked += 1
            if self.asked > 2:
                instance.launching.cancel()
            return "Guest agent is not responding"

    waiter = Waiter(cast("Connections", Refusing()), Channel(tmp_path))
    with anyio.fail_after(10), anyio.move_on_after(0.01):
        await waiter.wait(instance, Readiness("guest-agent"))
    assert "never connected" in instance.tried.what
    instance.agent.set()
    with anyio.fail_after(10), instance.launching:
        await waiter.wait(instance, Readiness("guest-agent"))
    assert instance.tried.times >= 2
    assert instance.tried.answer == "Guest agent is not responding"


def test_libvirts_events_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """A round of events that fails does not end the thread that every engine hears by."""
    rounds: list[int] = []

    def one_round() -> None:
        rounds.append(len(rounds))
        if len(rounds) == 1:
            raise libvirt.libvirtError("a fault")
        raise KeyboardInterrupt

    monkeypatch.setattr(loop, "_PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(libvirt, "virEventRunDefaultImpl", one_round)
    with pytest.raises(KeyboardInterrupt):
        loop._run()
    assert len(rounds) == 2


def test_endings() -> None:
    """A guest's own trouble is `exited`, with its console; the host's want of memory is not."""
    said = ("Out of memory: Killed process 1",)
    failure = ending_failure("shut down", said, oom_killed=False, container=False)
    assert (failure.kind, failure.evidence) == ("exited", said)
    killed = ending_failure("failed", (), oom_killed=True, container=False)
    assert (killed.kind, killed.signal) == ("oom_killed", "SIGKILL")
    assert [may_be_oom(how, (), container=False) for how in ("failed", "shut down")] == [True, False]


def test_endings_of_containers() -> None:
    """A container's payload speaks of the host; where it says nothing, the kernel may have killed it."""
    said = ("c-1: cannot have 1024 bytes of memory: Cannot allocate memory",)
    failure = ending_failure("shut down", said, oom_killed=False, container=True)
    assert (failure.kind, failure.message, failure.evidence) == ("no_memory", said[0], said)
    assert not may_be_oom("shut down", said, container=True)
    assert may_be_oom("shut down", (), container=True)
    silent = ending_failure("shut down", (), oom_killed=False, container=True)
    assert (silent.kind, silent.message) == ("exited", "the payload ended without a word")


@pytest.mark.parametrize(
    ("workload", "message"),
    [
        (VM, "has the guest none, not payload"),
        (replace(CONTAINER, ready=Readiness("console", "x")), "is ready by payload or running, not by console"),
        (replace(CONTAINER, accelerator="kvm"), "has no accelerator, such as kvm"),
        (replace(CONTAINER, network="user"), "has the network none or one of libvirt's, not user"),
    ],
)
def test_refused_of_containers(workload: Workload, message: str) -> None:
    """What a container of libvirt's cannot be is refused, and it may have less memory than a VM."""
    check(replace(CONTAINER, memory_bytes=MIB), "lxc")
    with pytest.raises(UsageError, match=message):
        check(workload, "lxc")


def test_unreadable_files_are_staged(tmp_path: Path, runtime_dir: Path) -> None:
    """What QEMU's user cannot read is copied to where it can, and only that; the copies go when they are not needed."""
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    kernel, initramfs = private / "kernel", private / "initramfs"
    for path in (kernel, initramfs):
        path.write_bytes(b"data")
    guest = Guest(name="payload", memory_bytes=0, kernel=kernel, initramfs=initramfs)
    copied = staged(guest, runtime_dir, STRANGER)
    assert [path.read_bytes() for path in copied.files] == [b"data", b"data"]
    assert all(path.parent == runtime_dir / "guests" for path in copied.files)
    assert staged(guest, runtime_dir, None) is guest
    unstage(runtime_dir)
    assert not (runtime_dir / "guests").exists()
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(CannotRun, match=r"cannot enter .*/closed: the key data of \[engines\]"):
        staged(guest, closed, STRANGER)


def test_unreadable_disk_is_refused(tmp_path: Path) -> None:
    """A disk image is too large to be copied in silence."""
    image = tmp_path / "disk.img"
    image.touch(mode=0o600)
    assert not can_read(image, STRANGER)
    guest = Guest(name="disk", memory_bytes=0, disk=image, overlay=True)
    with pytest.raises(UsageError, match=r"QEMU's user.* cannot read"):
        staged(guest, tmp_path / "run", STRANGER)


@pytest.mark.root
def test_each_layer_has_to_be_readable(tmp_path: Path) -> None:
    """One image below that is closed to QEMU's user is enough, and is named with what to do; an access list counts."""
    open_to_all = Path(tempfile.mkdtemp(dir="/tmp"))
    try:
        open_to_all.chmod(0o755)
        top, below = open_to_all / "top.qcow2", open_to_all / "below.raw"
        top.touch(mode=0o644)
        below.touch(mode=0o600)
        guest = Guest(name="disk", memory_bytes=0, disk=top, overlay=True, below=(Layer(below, "raw"),))
        with pytest.raises(UsageError, match=rf"cannot read {below}, an image below {top}: chmod o\+r {below}"):
            staged(guest, tmp_path, STRANGER)
        os.setxattr(below, "system.posix_acl_access", access_list(STRANGER[0]))
        assert staged(guest, tmp_path, STRANGER) is guest
        open_to_all.chmod(0o700)
        with pytest.raises(UsageError, match=rf"cannot read {top}: chmod o\+x {open_to_all}"):
            staged(guest, tmp_path, STRANGER)
    finally:
        shutil.rmtree(open_to_all)


def access_list(user: int) -> bytes:
    """What `setfacl -m u:USER:r` sets on a file of mode 0600: tag, permissions and id of each entry (acl(5))."""
    nobody = 0xFFFFFFFF
    entries = ((0x01, 6, nobody), (0x02, 4, user), (0x04, 0, nobody), (0x10, 4, nobody), (0x20, 0, nobody))
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


@pytest.mark.anyio
async def test_mailbox_keeps_order_across_threads() -> None:
    """What other threads put comes out complete and in each thread's order, and wakes the reader."""
    mailbox: Mailbox[tuple[int, int]] = Mailbox()
    count, threads = 2000, 3

    def put(thread: int) -> None:
        for number in range(count):
            mailbox.put((thread, number))

    workers = [threading.Thread(target=put, args=(thread,)) for thread in range(threads)]
    for worker in workers:
        worker.start()
    seen: list[tuple[int, int]] = []
    with anyio.fail_after(30):
        async for item in mailbox.read():
            seen.append(item)
            if len(seen) == count * threads:
                break
    for worker in workers:
        worker.join()
    mailbox.close()
    mailbox.put((0, 0))
    for thread in range(threads):
        assert [number for owner, number in seen if owner == thread] == list(range(count))
