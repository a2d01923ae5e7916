"""The script of `density doctor --script`, run on the files of another root and with a systemctl of ours."""

import os
import shutil
import stat
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from support.examined import BRIDGED, CONTAINERS, HOST

from density.report.doctor import Prospect, diagnose
from density.report.doctor_script import script

GOLDEN = Path(__file__).parent / "golden"
SHELLS = [shell for shell in ("sh", "dash", "bash", "busybox") if shutil.which(shell)]
BEFORE = {
    "kernel.pid_max": "32768",
    "kernel.threads-max": "192730",
    "fs.nr_open": "1048576",
    "net.ipv4.neigh.default.gc_thresh2": "512",
    "net.ipv4.neigh.default.gc_thresh3": "1024",
}
SYSTEMCTL = """#!/bin/sh
# Knows docker.service alone; properties are files.
echo "$*" >>"{root}/systemctl.log"
case $1 in
cat) [ "$2" = docker.service ] ;;
show) cat "{root}/properties/$3" ;;
esac
"""
PROPERTIES = {"LimitNOFILE": "524288", "LimitNOFILESoft": "1024", "TasksMax": "4915", "MemoryMax": "infinity"}


@dataclass(frozen=True)
class Host:
    """A root directory with kernel parameters and, on the path, a systemctl."""

    root: Path
    shell: str

    def sysctls(self) -> dict[str, str]:
        """Every parameter as it is now."""
        top = self.root / "proc/sys"
        files = [path for path in top.rglob("*") if path.is_file()]
        return {str(path.relative_to(top)).replace("/", "."): path.read_text().strip() for path in files}

    def write(self, name: str, value: str) -> None:
        """Write a parameter."""
        file = self.root / "proc/sys" / name.replace(".", "/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{value}\n")

    def run(self, text: str, *arguments: str, code: int = 0) -> str:
        """Run a script; what it said on stdout and stderr."""
        file = self.root / "raise.sh"
        file.write_text(text)
        command = [self.shell, *(["sh"] if self.shell == "busybox" else []), str(file), *arguments]
        path = f"{self.root / 'bin'}:{os.environ['PATH']}"
        environment = {"DENSITY_SYSROOT": str(self.root), "PATH": path}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        assert done.returncode == code, done.stderr
        return done.stdout + done.stderr

    def drop_in(self) -> Path:
        """What the script writes for docker.service."""
        return self.root / "etc/systemd/system/docker.service.d/90-density.conf"

    def files(self) -> set[str]:
        """Every file below /etc and /var."""
        tops = (self.root / "etc", self.root / "var")
        return {str(path.relative_to(self.root)) for top in tops for path in top.rglob("*") if path.is_file()}


@pytest.fixture(params=SHELLS)
def host(tmp_path: Path, request: pytest.FixtureRequest) -> Host:
    """With systemd, and parameters as they are on a small host."""
    made = Host(tmp_path, request.param)
    for name, value in BEFORE.items():
        made.write(name, value)
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    (tmp_path / "bin").mkdir()
    systemctl = tmp_path / "bin/systemctl"
    systemctl.write_text(SYSTEMCTL.format(root=tmp_path))
    systemctl.chmod(systemctl.stat().st_mode | stat.S_IXUSR)
    (tmp_path / "properties").mkdir()
    for name, value in PROPERTIES.items():
        (tmp_path / "properties" / name).write_text(f"{value}\n")
    return made


def limits(*lines: str) -> str:
    """A script that raises this."""
    made = script(diagnose(CONTAINERS, HOST, title="t", wanted=1))
    _, _, body = made.partition("}\n\n# Everything below")
    return "\n".join(["limits() {", *(lines or [":"]), "}", "# Everything below" + body])


def test_the_script_for_a_count() -> None:
    """Why each limit is raised and to what; what no setting does is said as a comment."""
    made = script(diagnose(BRIDGED, HOST, title="containers: web (docker)", wanted=5000))
    head, mark, _ = made.partition("# Everything below")
    assert mark
    assert head == (GOLDEN / "raise.sh").read_text(encoding="utf-8")


@pytest.mark.parametrize("wanted", [1, 5000, 10**7])
def test_it_is_a_script_for_any_shell(wanted: int) -> None:
    """Whatever is in it."""
    made = script(diagnose(BRIDGED, HOST, title="a\ntitle", wanted=wanted))
    for shell in SHELLS:
        command = [shell, *(["sh"] if shell == "busybox" else []), "-n"]
        subprocess.run(command, input=made, text=True, check=True)


@pytest.mark.tools("shellcheck")
@pytest.mark.parametrize("wanted", [1, 5000, 10**7])
def test_shellcheck_has_nothing_to_say(wanted: int) -> None:
    """Every check, also the informational ones."""
    made = script(diagnose(BRIDGED, HOST, title="t", wanted=wanted))
    done = subprocess.run(["shellcheck", "-"], input=made, text=True, capture_output=True, check=False)
    assert done.stdout == ""


def test_it_raises_and_undo_puts_everything_back(host: Host) -> None:
    """A whole script: parameters, what is set at boot, a drop-in, and nothing is left of any of it."""
    made = script(diagnose(BRIDGED, HOST, title="t", wanted=5000))
    host.run(made)
    assert host.sysctls()["kernel.pid_max"] == "73500"
    assert (host.root / "etc/sysctl.d/90-density.conf").read_text() == "# was 32768\nkernel.pid_max = 73500\n"
    assert host.drop_in().read_text() == "[Service]\nLimitNOFILE=44300:524288\n"
    assert "daemon-reload" in (host.root / "systemctl.log").read_text()
    host.run(made, "undo")
    assert host.sysctls() == BEFORE
    assert host.files() == set()
    assert not host.drop_in().parent.exists()


def test_it_can_be_run_again(host: Host) -> None:
    """The second time all is high enough, and undo still knows what there was first."""
    text = limits("raise_sysctl kernel.pid_max 40000", "raise_unit docker.service TasksMax 6000")
    host.run(text)
    (host.root / "properties/TasksMax").write_text("6000\n")
    before = host.files()
    said = host.run(text)
    assert said == "kernel.pid_max: 40000 is enough\ndocker.service: TasksMax 6000 is enough\n"
    assert host.files() == before
    host.run(text, "undo")
    assert host.sysctls() == BEFORE


def test_a_later_script_may_go_further(host: Host) -> None:
    """Undo of either goes back to what was found first."""
    host.run(limits("raise_sysctl kernel.pid_max 40000"))
    host.run(limits("raise_sysctl kernel.pid_max 50000", "raise_sysctl kernel.threads-max 200000"))
    assert host.sysctls()["kernel.pid_max"] == "50000"
    host.run(limits("raise_sysctl kernel.pid_max 40000"), "undo")
    assert host.sysctls() == BEFORE


@pytest.mark.parametrize("value", ["40000", "4194304", "9223372036854775807", "18446744073709551615"])
def test_nothing_is_lowered(value: str, host: Host) -> None:
    """Nor is a number that the shell cannot count up to."""
    host.write("kernel.pid_max", value)
    assert host.run(limits("raise_sysctl kernel.pid_max 40000")) == f"kernel.pid_max: {value} is enough\n"
    assert host.sysctls()["kernel.pid_max"] == value
    assert host.files() == set()


@pytest.mark.parametrize("directive", ["TasksMax", "MemoryMax"])
def test_a_unit_without_a_limit_is_left_alone(directive: str, host: Host) -> None:
    """`infinity` is above every number."""
    (host.root / "properties" / directive).write_text("infinity\n")
    assert host.run(limits(f"raise_unit docker.service {directive} 9000")).endswith("infinity is enough\n")
    assert not host.drop_in().exists()


def test_a_hard_limit_of_files_is_never_lowered(host: Host) -> None:
    """The soft limit is what binds; the hard one stays where it is higher."""
    said = host.run(limits("raise_unit docker.service LimitNOFILE 30000"))
    assert host.drop_in().read_text() == "[Service]\nLimitNOFILE=30000:524288\n"
    assert said.endswith("which stops what runs there: systemctl restart docker.service\n")


def test_a_person_who_changed_it_since_has_the_last_word(host: Host) -> None:
    """Undo takes back only what the script did."""
    text = limits("raise_sysctl kernel.pid_max 40000", "raise_sysctl kernel.threads-max 200000")
    host.run(text)
    host.write("kernel.pid_max", "123456")
    assert "kernel.pid_max: left at 123456" in host.run(text, "undo")
    assert host.sysctls() == BEFORE | {"kernel.pid_max": "123456"}


def test_a_parameter_or_unit_that_is_not_here_is_said(host: Host) -> None:
    """It is no failure: other kernels, other engines."""
    said = host.run(limits("raise_sysctl kernel.keys.maxkeys 9", "raise_unit libvirtd.service LimitNOFILE 9000"))
    assert "kernel.keys.maxkeys: this kernel has none\n" in said
    assert "libvirtd.service: not a unit here" in said
    assert host.files() == set()


def test_without_systemd_the_units_are_said(host: Host) -> None:
    """There, daemons get their limits from whoever starts them."""
    (host.root / "run/systemd/system").rmdir()
    said = host.run(limits("raise_unit docker.service LimitNOFILE 30000"))
    assert said == "docker.service: not a unit here; start its daemon with LimitNOFILE 30000, such as by ulimit\n"
    assert not (host.root / "systemctl.log").exists()


def test_who_may_not_is_told(host: Host) -> None:
    """Before anything was changed."""
    (host.root / "var").touch()
    assert host.run(limits("raise_sysctl kernel.pid_max 40000"), code=1).endswith("this has to be run as root\n")
    assert host.sysctls() == BEFORE


def test_undo_without_anything_to_undo(host: Host) -> None:
    """Is no failure."""
    assert host.run(limits(), "undo") == "nothing was raised\n"


def test_another_word_is_refused(host: Host) -> None:
    """And nothing is done."""
    assert host.run(limits("raise_sysctl kernel.pid_max 40000"), "redo", code=2).startswith("usage: sh ")
    assert host.sysctls() == BEFORE


@pytest.mark.root
def test_this_kernel_takes_it_and_takes_it_back(tmp_path: Path) -> None:
    """The real /proc/sys, with the records elsewhere; raising this one harms no one."""
    file = Path("/proc/sys/fs/aio-max-nr")
    before = file.read_text()
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/sys").symlink_to("/proc/sys")
    host = Host(tmp_path, "sh")
    text = limits(f"raise_sysctl fs.aio-max-nr {int(before) + 1}")
    try:
        host.run(text)
        assert int(file.read_text()) == int(before) + 1
        host.run(text, "undo")
        assert file.read_text() == before
    finally:
        file.write_text(before)
    assert host.files() == set()


EVIL = (
    "$(touch pwned)",
    "`touch pwned`",
    "; touch pwned #",
    "a\ntouch pwned\nb",
    "' touch pwned '",
    "\r\x1b[2J\x85touch pwned",
)


@pytest.mark.parametrize("word", EVIL)
def test_no_name_of_others_is_a_command(host: Host, word: str) -> None:
    """What a profile or a limit is called may be anything: in the script it is one word, or a part of a comment."""
    found = diagnose(CONTAINERS, HOST, title=word, wanted=5000)

    def renamed(prospect: Prospect) -> Prospect:
        return replace(prospect, reading=replace(prospect.reading, subject=word))

    namespaces = replace(found.prospects[0].reading, ceiling="namespaces.user")
    prospects = (replace(found.prospects[0], reading=namespaces), *found.prospects)
    text = script(replace(found, prospects=tuple(map(renamed, prospects))))
    assert "touch pwned" in text
    host.run(text)
    host.run(text, "undo")
    assert not list(host.root.rglob("pwned"))
    assert not Path("pwned").exists()
    assert not {letter for letter in text if not letter.isprintable()} - {"\n", "\t"}
