"""Daemons are started where they do not run, and whoever cannot start them is told how."""

import pytest
from support.stub_host import Host

STARTS = 'echo "0 20.10 started" >"$STUBS/docker"; ls /proc/$$/fd >"$STUBS/descriptors"; ulimit -n >"$STUBS/files"'

V1 = "cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\n"


def said(stderr: str) -> list[str]:
    """What the setup said about engines."""
    return [
        line.removeprefix("density: ")
        for line in stderr.splitlines()
        if "installing" not in line and ".venv" not in line
    ]


def test_engine_that_does_not_run_is_started_in_its_own_session(root: Host) -> None:
    """Without systemd: by setsid, with no descriptor of make's or the setup's lock, and a log of its own."""
    root.install()
    (root.state / "docker").unlink()
    root.stub("dockerd", f"echo hello; {STARTS}")
    done = root.run("setup.sh", "run")
    assert said(done.stderr) == ["starting dockerd"]
    assert root.calls("setsid") == ["setsid --fork dockerd"]
    assert "9" not in (root.state / "descriptors").read_text().split()
    assert int((root.state / "files").read_text()) >= 1024
    assert (root.root / "var/log/density/dockerd.log").read_text() == "hello\n"


def test_systemd_starts_its_own_units(root: Host) -> None:
    """With systemd no daemon is started by hand."""
    root.install()
    (root.root / "run/systemd/system").mkdir(parents=True)
    for engine in ("docker", "libvirt"):
        (root.state / engine).unlink()
    root.stub(
        "systemctl",
        'case "$*" in *docker*) engine=docker ;; *) engine=libvirt ;; esac; echo "0 1.0 started" >"$STUBS/$engine"',
    )
    done = root.run("setup.sh", "run")
    assert said(done.stderr) == ["starting dockerd", "starting virtlogd and libvirtd"]
    assert root.calls("systemctl") == [
        "systemctl start docker.service",
        "systemctl start libvirtd.service virtlogd.socket",
    ]
    assert root.calls("setsid") == []


@pytest.mark.parametrize(
    ("mounts", "controllers", "started"),
    [
        ("cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n", "cpu memory", "setsid --fork libvirtd"),
        (V1 + "cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n", "memory", "setsid --fork libvirtd"),
        (V1 + "cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n", "hugetlb", "setsid --fork unshare --mount"),
    ],
)
def test_libvirt_sees_one_version_of_cgroups(root: Host, mounts: str, controllers: str, started: str) -> None:
    """Version 2 below version 1 is kept from libvirtd where it has nothing for it: its containers would not start."""
    root.install()
    root.answer("libvirt", 1, "no such socket")
    root.stub("virtlogd")
    root.stub("unshare", 'shift "$(($# - 1))"; "$1"')
    root.stub("libvirtd", 'echo "0 9.0 started" >"$STUBS/libvirt"')
    root.put("/proc/self/mounts", mounts)
    root.put("/sys/fs/cgroup/unified/cgroup.controllers", controllers)
    assert root.run("setup.sh", "run").returncode == 0
    assert root.calls("setsid")[-1].startswith(started)
    assert root.calls("libvirtd") == ["libvirtd "]


def test_engine_that_does_not_come_up_shows_its_last_words(root: Host) -> None:
    """A daemon that dies is not waited for; its log's end, which steers no terminal, and one line say so."""
    root.install()
    root.answer("docker", 1, "no such socket")
    root.stub("dockerd", "printf 'failed \\033]0;x\\007to mount overlay\\n'; exit 1")
    done = root.run("setup.sh", "run")
    assert done.returncode == 0
    assert said(done.stderr) == [
        "starting dockerd",
        "    failed ]0;xto mount overlay",
        "docker: dockerd was started and does not answer: no such socket",
    ]


def test_stopped_engines_without_root_name_the_command(host: Host) -> None:
    """An ordinary user learns how the daemon is started."""
    host.install()
    host.answer("docker", 1, "no such socket")
    host.answer("libvirt", 1, "no such socket")
    done = host.run("setup.sh", "run")
    assert done.returncode == 0
    assert said(done.stderr) == [
        "docker: dockerd is installed and does not run; as root: systemctl start docker, or dockerd",
        (
            "libvirt: libvirtd is installed and does not run; "
            "as root: systemctl start libvirtd, or virtlogd -d; libvirtd -d"
        ),
    ]


def test_engine_that_refuses_a_user_names_the_group(host: Host) -> None:
    """A running engine is not started once more; the group that opens it is named."""
    host.install()
    host.answer("docker", 3, "permission denied")
    host.answer("libvirt", 3, "permission denied")
    assert said(host.run("setup.sh", "run").stderr) == [
        "docker: the engine refuses this user; as root: usermod -aG docker somebody, then log in again",
        "libvirt: the daemon refuses this user; as root: usermod -aG libvirt somebody, then log in again",
    ]


def test_sudo_lends_root_to_the_run_where_engines_want_it(host: Host) -> None:
    """With sudo the command is run as root where the engines answer nobody else; DENSITY_SUDO=no keeps it from that."""
    host.install()
    host.answer("docker", 3, "permission denied")
    host.stub("sudo", 'shift; STUB_ROOT=yes exec "$@"')
    host.stub("density")
    assert said(host.run("setup.sh", "run").stderr) == []
    done = host.run("exec.sh", "density", "run", "quickstart", CI="true")
    assert said(done.stderr) == [
        "running as root by sudo, for the engines answer nobody else (DENSITY_SUDO=no prevents it)"
    ]
    assert host.calls("sudo")[-1] == "sudo -n env CI=true DENSITY_REQUIRE_ENGINES=0 density run quickstart"
    assert host.calls("density") == ["density run quickstart"]
    assert len(said(host.run("setup.sh", "run", DENSITY_SUDO="no").stderr)) == 1


def test_own_access_needs_no_sudo(host: Host) -> None:
    """A user whom the engines answer runs density as himself."""
    host.install()
    host.stub("sudo", 'shift; exec "$@"')
    host.stub("density")
    assert host.run("setup.sh", "run").returncode == 0
    assert host.run("exec.sh", "density", "run").stderr == ""
    assert host.calls("sudo") == []


def test_engine_named_by_the_user_is_never_started_here(root: Host) -> None:
    """Where DOCKER_HOST's engine does not answer, no other one is started in its place."""
    root.install()
    root.answer("docker", 1, "connection refused")
    done = root.run("setup.sh", "run", DOCKER_HOST="tcp://elsewhere:2375")
    assert said(done.stderr) == ["docker: DOCKER_HOST names an engine that does not answer: connection refused"]
    assert root.calls("setsid") == []


def test_kvm_node_is_opened_to_its_group_where_no_udev_does_it(root: Host) -> None:
    """Root's own /dev/kvm goes to the group kvm, once, and only where there is no udev."""
    root.install()
    for name, body in {"stat": "echo 0:600", "getent": "", "chgrp": "", "chmod": ""}.items():
        root.stub(name, body)
    assert "gave /dev/kvm to the group kvm" in root.run("setup.sh", "run").stderr
    assert root.calls("chgrp") == [f"chgrp kvm {root.root}/dev/kvm"]
    (root.root / "run/udev").mkdir(parents=True)
    assert said(root.run("setup.sh", "run").stderr) == []


def test_missing_kvm_is_one_line_and_no_failure(root: Host) -> None:
    """Virtual machines are emulated then, which is slower, not impossible."""
    root.install()
    (root.root / "dev/kvm").unlink()
    done = root.run("setup.sh", "run", DENSITY_REQUIRE_ENGINES="1")
    assert done.returncode == 0
    assert [line.split(",")[0] for line in said(done.stderr)] == ["kvm: no /dev/kvm"]
