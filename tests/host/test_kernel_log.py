"""What the kernel logs of memory kills and refused forks."""

import os
from pathlib import Path

from density.host.kernel_log import ForkDenied, KernelLog, MemoryKill, parse_kernel_log

OWN = """\
grower invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0
memory: usage 65536kB, limit 65536kB, failcnt 41
swap: usage 0kB, limit 9007199254740988kB, failcnt 0
Memory cgroup stats for /density1.partition/c0ffee:
oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=c0ffee,mems_allowed=0,oom_memcg=/density1.partition/c0ffee,\
task_memcg=/density1.partition/c0ffee,task=grower,pid=8319,uid=0
Memory cgroup out of memory: Killed process 8319 (grower) total-vm:217268kB
""".splitlines()
SLICE = """\
memory: usage 122880kB, limit 122880kB, failcnt 3
oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=c0ffee,mems_allowed=0,oom_memcg=/density1.partition,\
task_memcg=/density1.partition/c0ffee,task=a,b (odd),pid=77,uid=1000
""".splitlines()
HOST = """\
oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=c0ffee,mems_allowed=0,global_oom,\
task_memcg=/density1.partition/c0ffee,task=grower,pid=78,uid=0
""".splitlines()


def test_a_kill_names_the_cgroup_whose_limit_was_reached() -> None:
    """Own limit, slice and host are told apart, each with what the kernel said of its use."""
    assert list(parse_kernel_log([*OWN, *SLICE, *HOST])) == [
        MemoryKill(8319, "/density1.partition/c0ffee", "/density1.partition/c0ffee", 2**26, 2**26, 41),
        MemoryKill(77, "/density1.partition/c0ffee", "/density1.partition", 122880 * 1024, 122880 * 1024, 3),
        MemoryKill(78, "/density1.partition/c0ffee", ""),
    ]


def test_a_refused_fork_names_the_cgroup_that_wanted_it() -> None:
    """The kernel logs the first refusal of each cgroup."""
    message = "cgroup: fork rejected by pids controller in /density1.partition/c0ffee"
    assert list(parse_kernel_log([message, "eth0: link up"])) == [ForkDenied("/density1.partition/c0ffee")]


def test_a_log_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    """Without the right to read it nothing is known, which is not the same as nothing having happened."""
    log = KernelLog(tmp_path / "none")
    assert not log.readable
    assert log.read() == []


def test_only_what_was_logged_since_is_read(tmp_path: Path) -> None:
    """What was logged before does not explain the failures of this run, and nothing is read twice."""
    fifo = tmp_path / "kmsg"
    os.mkfifo(fifo)
    log = KernelLog(fifo)
    writer = os.open(fifo, os.O_WRONLY)
    try:
        os.write(writer, b"6,1,2,-;cgroup: fork rejected by pids controller in /a\n SUBSYSTEM=x\n")
        assert [ForkDenied("/a")] == log.read()
        assert log.read() == []
    finally:
        os.close(writer)
