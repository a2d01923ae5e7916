"""Which limits of its own an instance had reached."""

from dataclasses import replace
from pathlib import Path

import pytest

from density.engines.own_limits import (
    ANY_PORT,
    KernelBook,
    Limits,
    SliceUse,
    candidates,
    reached,
    reached_alive,
    wanted_port,
)
from density.host.kernel_log import ForkDenied, KernelLog, Logged, MemoryKill
from density.host.leaf import Leaf
from density.model import OwnLimit, Placement, Readiness

MIB = 2**20


class Told(KernelLog):
    """A log with these entries, told once."""

    def __init__(self, *entries: Logged) -> None:
        super().__init__(Path("/nowhere"))
        self.entries = list(entries)

    def read(self) -> list[Logged]:
        told, self.entries = self.entries, []
        return told


def test_what_was_logged_of_one_instance_is_told_once() -> None:
    """By the name of its cgroup or by the pid; what concerns another one waits for that."""
    mine, other = ForkDenied("/run/c0ffee"), MemoryKill(9, "/run/decade", "")
    book = KernelBook(Told(mine, other))
    assert book.take(mark="c0ffee") == [mine]
    assert book.take(mark="c0ffee") == []
    assert book.take(pid=9) == [other]


def test_tasks_are_its_own_only_where_it_has_a_limit_and_the_slice_was_not_full() -> None:
    """A refused fork of a container without a limit, or in a slice that is full, was refused by what it is in."""
    denied = [ForkDenied("/run/c0ffee")]
    own = (OwnLimit("tasks.instance", 40, 40, 1),)
    assert reached(Limits(tasks=40), denied, mark="c0ffee", slice_full=False) == own
    assert reached(Limits(tasks=40), denied, mark="c0ffee", slice_full=True) == ()
    assert reached(Limits(), denied, mark="c0ffee", slice_full=False) == ()


FULL = Leaf(63 * MIB, 64 * MIB, 41, 39, 40, 3, 0.5, 90, 100, files=64, files_limit=64)


@pytest.mark.parametrize(
    ("leaf", "ceilings"),
    [
        (FULL, ["memory.instance", "tasks.instance", "files.instance", "cpu.instance"]),
        (Leaf(), []),
        (replace(FULL, memory_refused=0, tasks_denied=0, files=9, throttled=9), []),
        (replace(FULL, memory_bytes=20 * MIB, tasks_denied=0, files=9, throttled=0), []),
    ],
)
def test_a_living_instance_is_held_back_where_its_counters_say_so(leaf: Leaf, ceilings: list[str]) -> None:
    """At the limit and refused there; a quota that was used up in most of its time; else nothing holds it back."""
    assert [own.ceiling for own in reached_alive(leaf, slice_full=False)] == ceilings


@pytest.mark.parametrize(("tasks", "ceilings"), [(40, ["tasks.instance"]), (39, [])])
def test_a_full_slice_leaves_an_instance_what_its_own_counter_says(tasks: int, ceilings: list[str]) -> None:
    """Refused forks are its own where it came to its limit; older kernels count the slice's there too."""
    leaf = Leaf(tasks=tasks, tasks_limit=40, tasks_denied=3)
    assert [own.ceiling for own in reached_alive(leaf, slice_full=True)] == ceilings


def test_words_make_candidates() -> None:
    """Where the kernel's log is read, tasks that were refused are in it, and words alone make no candidate."""
    limits = Limits(tasks=40, files=64)
    assert candidates(limits, "too_many_files", counted=True) == (OwnLimit("files.instance", None, 64),)
    assert candidates(limits, "try_again", counted=False) == (OwnLimit("tasks.instance", None, 40),)
    assert candidates(limits, "try_again", counted=True) == ()
    assert candidates(Limits(), "too_many_files", counted=False) == ()


@pytest.mark.parametrize(
    ("line", "ready", "port"),
    [
        (
            "30/11 04:01:22 [emerg] bind() to 0.0.0.0:80 failed (98: Address already in use)",
            Readiness("running"),
            80,
        ),
        ("listen tcp :18080: bind: address already in use", Readiness("running"), 18080),
        ("Error: listen EADDRINUSE: address already in use :::3000", Readiness("running"), 3000),
        ("could not bind to [::]:6379: Address already in use", Readiness("running"), 6379),
        ("bind: [::1]:9000: Address already in use", Readiness("running"), 9000),
        ("bind() to 127.0.0.1:0 failed (98: Address already in use)", Readiness("tcp", "80"), ANY_PORT),
        ("Address already in use", Readiness("http", "8080/health"), 8080),
        ("[Errno 98] Address already in use", Readiness("running"), 0),
    ],
)
def test_the_port_that_was_taken(line: str, ready: Readiness, port: int) -> None:
    """As the program said it, else the one that its readiness waits for; an error's number is none."""
    assert wanted_port(line, ready) == port


@pytest.mark.parametrize(("peak", "full"), [("100", True), ("98", False)])
def test_a_slice_that_was_full_once(tmp_path: Path, peak: str, *, full: bool) -> None:
    """Its peak says so afterwards too; a slice without a limit never is."""
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/mountinfo").write_text("30 23 0:26 / /cg rw - cgroup2 cgroup2 rw\n")
    slice_ = tmp_path / "cg/density1.partition"
    slice_.mkdir(parents=True)
    (tmp_path / "cg/cgroup.controllers").write_text("memory pids\n")
    for name, text in {"memory.max": "100", "memory.peak": peak, "pids.max": "max", "pids.peak": "70"}.items():
        (slice_ / name).write_text(text)
    files = (str(slice_ / "processes/cgroup.procs"),)
    use = SliceUse(Placement(docker_parents={}, libvirt_partition="", procs_files=files), root=tmp_path)
    assert use.was_full("memory") is full
    assert not use.was_full("tasks")
    assert not SliceUse(None).was_full("memory")
