"""Whose a process is, by its command line."""

from pathlib import Path

import pytest

from density.host.processes import LONGEST_BYTES, command_lines, run_behind

RUN = "20260101-000000-0a0b"
MACHINE = f"guest=density-{RUN}-vm-00001,debug-threads=on"


@pytest.mark.parametrize(
    ("words", "run"),
    [
        (["/usr/bin/qemu-system-x86_64", "-name", MACHINE, "-S"], RUN),
        (["/usr/libexec/qemu-kvm", "-name", MACHINE], RUN),
        (["/usr/lib/libvirt/libvirt_lxc", "--name", f"density-{RUN}-lxc-00001", "--console", "21"], RUN),
        (["/payload", "--id", "web-00001", "--run", RUN, "--socket", "/run/density/channel.sock"], RUN),
        (["density-native", "--spawn", "--run", RUN], RUN),
        (["/usr/bin/qemu-system-x86_64", "-name", "guest=density-prod,debug-threads=on"], ""),
        (["/usr/bin/qemu-system-x86_64", "-name", f"guest=density-{RUN}"], ""),
        (["/usr/bin/qemu-system-x86_64", "-name", f"guest=xdensity-{RUN}-vm-00001"], ""),
        (["/usr/bin/qemu-system-x86_64", "-S"], ""),
        (["density-native", "--run"], ""),
        (["density-native", "--run", f"{RUN}0"], ""),
        (["vi", "-name", MACHINE], ""),
        (["python", "-m", "density", "clean", "--run", RUN], ""),
        ([""], ""),
    ],
)
def test_the_run_behind_a_process(words: list[str], run: str) -> None:
    """A payload, a QEMU or a container of libvirt's with a whole run id where its program has it; nothing else."""
    assert run_behind(words) == run


def test_command_lines(tmp_path: Path) -> None:
    """Of every process that has one: a kernel thread has none, and one may end while it is looked at."""
    for name, cmdline in (("1", b"init\0"), ("2", b""), ("7", b"a\0b c\0\xff\0"), ("self", b"no\0")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "cmdline").write_bytes(cmdline)
    (tmp_path / "9").mkdir()
    assert sorted(command_lines(tmp_path)) == [(1, ["init"]), (7, ["a", "b c", "\ufffd"])]


def test_command_lines_of_others_cost_little(tmp_path: Path) -> None:
    """Of one with megabytes no more is read than one of ours could have."""
    (tmp_path / "7").mkdir()
    (tmp_path / "7/cmdline").write_bytes(b"payload\0--run\0" + b"x" * 2**21 + b"\0")
    [(pid, words)] = command_lines(tmp_path)
    assert pid == 7
    assert sum(map(len, words)) < LONGEST_BYTES
