"""Which system packages the setup wants, how it gets them, and what it says where it cannot."""

from support.stub_host import Host


def lines(stderr: str, beginning: str) -> list[str]:
    """The lines of density's that begin so."""
    return [line for line in stderr.splitlines() if line.startswith(f"density: {beginning}")]


def test_user_without_root_is_told_each_missing_thing_in_one_line(host: Host) -> None:
    """Without root nothing is installed, each missing thing has one line with the command that gets it."""
    done = host.run("setup.sh", "run")
    assert done.returncode == 0, done.stderr
    assert host.calls("apt-get") == []
    (docker,) = lines(done.stderr, "docker:")
    assert docker.endswith("no engine, so no containers; as root: apt-get install docker.io")
    (libvirt,) = lines(done.stderr, "libvirt:")
    assert "qemu-system-x86" in libvirt
    assert libvirt.endswith("pkg-config libvirt-dev")
    (compiler,) = lines(done.stderr, "compiler:")
    assert compiler.endswith("apt-get install gcc libc6-dev")
    assert any("--editable .[compiler]" in call for call in host.calls("python"))


def test_root_gets_what_is_missing_by_one_apt_call(root: Host) -> None:
    """Root's missing packages are named with their reason, and installed at once without removing anything."""
    root.stub(
        "apt-get",
        'case "$*" in *docker.io*) for name in dockerd docker; do cp "$0" "${0%/*}/$name"; done;'
        'echo "0 20.10 somewhere" >"$STUBS/docker" ;; esac',
    )
    done = root.run("setup.sh", "run")
    assert done.returncode == 0, done.stderr
    assert lines(done.stderr, "  docker.io ") == [
        "density:   docker.io                   the engine that runs containers"
    ]
    update, install, *_ = root.calls("apt-get")
    assert update.startswith("apt-get update")
    assert "--no-remove" in install
    assert {"gcc", "docker.io", "libvirt-daemon-system", "pkg-config"} <= set(install.split())
    assert "python3" not in install.split()
    assert lines(done.stderr, "docker:") == []


def test_only_the_tests_get_a_browser_prometheus_and_checkers(root: Host) -> None:
    """Whoever runs density is spared what its tests look at reports, metrics and scripts with."""
    tools = {"prometheus", "chromium", "chromium-driver", "shellcheck", "docker-compose"}
    root.run("setup.sh", "run")
    assert not any(tool in call for call in root.calls("apt-get") for tool in tools)
    root.forget_calls()
    root.run("setup.sh", "dev")
    (install, *_) = [call for call in root.calls("apt-get") if " install " in call]
    assert tools <= set(install.split())


def test_what_apt_refused_is_tried_by_group_and_not_again_by_run(root: Host) -> None:
    """One group that apt refuses takes no other with it; `run` does not ask again, `engines` does."""
    root.stub("apt-get", '[ "$1" = update ] || { echo "E: held broken packages"; exit 100; }')
    done = root.run("setup.sh", "run")
    assert done.returncode == 0, done.stderr
    installs = [call.split("force-confold ")[1] for call in root.calls("apt-get") if " install " in call]
    assert installs[1:3] == ["gcc libc6-dev", "docker.io"]
    assert "held broken packages" in done.stderr
    (docker,) = lines(done.stderr, "docker:")
    assert "`make engines` tries again" in docker
    root.forget_calls()
    assert root.run("setup.sh", "run").returncode == 0
    assert root.calls("apt-get") == []
    root.run("setup.sh", "engines")
    assert root.calls("apt-get") != []


def test_without_apt_it_says_which_packages(root: Host) -> None:
    """Another distribution's user learns what Debian calls the packages."""
    (root.bin / "apt-get").unlink()
    done = root.run("setup.sh", "run")
    assert done.returncode == 0, done.stderr
    (docker,) = lines(done.stderr, "docker:")
    assert "no apt here, install what Debian calls docker.io" in docker


def test_no_python_ends_it_clearly(host: Host) -> None:
    """Without Python nothing can be done: one sentence, status 1, no virtual environment."""
    (host.bin / "python3").unlink()
    done = host.run("setup.sh", "run")
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "density: python: none here is 3.11 or newer and has venv; as root: apt-get install python3 python3-venv"
    ]
    assert not (host.clone / ".venv").exists()


def test_old_python_gets_a_newer_one_beside_it(root: Host) -> None:
    """A release whose python3 is too old may have a newer one, which is asked for by its own name."""
    root.install()
    root.stub("apt-cache", '[ "$2" = python3.12 ]')
    done = root.run("setup.sh", "run", STUB_PYTHON_VERSION="3.9")
    assert done.returncode == 1
    assert any("python3.12 python3.12-venv" in call for call in root.calls("apt-get"))


def test_other_vendors_engine_is_left_alone(root: Host) -> None:
    """A dockerd of whatever package, or an engine that DOCKER_HOST names, is used and never replaced."""
    root.install()
    assert root.run("setup.sh", "run").returncode == 0
    (root.bin / "dockerd").unlink()
    assert root.run("setup.sh", "run", DOCKER_HOST="tcp://elsewhere:2375").returncode == 0
    assert root.calls("apt-get") == []


def test_engine_that_refuses_the_user_is_joined_by_no_other(host: Host) -> None:
    """An engine whose program is not to be seen, but whose socket is, is not joined by Debian's."""
    host.install()
    (host.bin / "dockerd").unlink()
    host.answer("docker", 3, "permission denied")
    host.stub("sudo", 'shift; STUB_ROOT=yes exec "$@"')
    assert host.run("setup.sh", "run").returncode == 0
    assert host.calls("apt-get") == []


def test_missing_package_lists_are_fetched_for_the_guest_kernel(root: Host) -> None:
    """Container images come without package lists, and `apt-get download` of a kernel needs them."""
    root.install()
    (root.root / "var/lib/apt/lists/debian_Packages").unlink()
    assert root.run("setup.sh", "run").returncode == 0
    assert [call.split(" -")[0] for call in root.calls("apt-get")] == ["apt-get update"]


def test_other_processors_have_no_virtual_machines(host: Host) -> None:
    """The guests are made for x86_64; elsewhere one line says so, and no VM package is wanted."""
    host.install(libvirt=False)
    host.stub("uname", "echo aarch64")
    done = host.run("setup.sh", "run")
    assert done.returncode == 0, done.stderr
    assert lines(done.stderr, "libvirt:") == [
        "density: libvirt: not used: density's virtual machines are x86_64, this host is aarch64"
    ]


def test_missing_engine_fails_where_engines_are_required(host: Host) -> None:
    """The switch of continuous integration turns a missing engine into a failure."""
    host.install(docker=False)
    done = host.run("setup.sh", "dev", DENSITY_REQUIRE_ENGINES="1")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "density: an engine is missing, and DENSITY_REQUIRE_ENGINES=1"
