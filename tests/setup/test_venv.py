"""The virtual environment is made once, and again only when something it depends on changed."""

import fcntl
import shutil
import subprocess
from pathlib import Path

import pytest
from support.stub_host import Host


def pip_calls(host: Host) -> list[str]:
    """What pip was asked to install, in order."""
    return [call.split("check ")[-1] for call in host.calls("python") if "-m pip install" in call]


def test_first_run_makes_it_and_the_next_does_nothing(host: Host) -> None:
    """A second run calls neither pip nor apt, and says nothing."""
    host.install()
    assert host.run("setup.sh", "run").returncode == 0
    assert pip_calls(host) == ["pip>=25.1", "--editable .[libvirt]"]
    host.forget_calls()
    again = host.run("setup.sh", "run")
    assert (again.returncode, again.stderr) == (0, "")
    assert pip_calls(host) == []


def test_tests_bring_more_and_run_is_content_with_it(host: Host) -> None:
    """`dev` adds the development group; a later `run` neither removes nor repeats it."""
    host.install()
    host.run("setup.sh", "run")
    host.forget_calls()
    assert host.run("setup.sh", "dev").returncode == 0
    assert pip_calls(host)[-1] == "--group dev --editable .[libvirt]"
    host.forget_calls()
    assert host.run("setup.sh", "run").returncode == 0
    assert pip_calls(host) == []


def test_changed_dependencies_are_installed(host: Host) -> None:
    """A changed pyproject.toml is installed into the environment there is, with the tests' packages if it had them."""
    host.install()
    host.run("setup.sh", "dev")
    host.forget_calls()
    (host.clone / "pyproject.toml").write_text("[project]\n")
    assert host.run("setup.sh", "run").returncode == 0
    assert pip_calls(host)[-1] == "--group dev --editable .[libvirt]"
    assert not any("-m venv" in call for call in host.calls("python3"))


def test_moved_clone_gets_a_new_one(host: Host) -> None:
    """Scripts in an environment hold its path, so a moved clone's is made anew."""
    host.install()
    host.run("setup.sh", "run")
    host.clone = host.clone.rename(host.clone.with_name("moved"))
    host.forget_calls()
    assert host.run("setup.sh", "run").returncode == 0
    assert any("-m venv --clear" in call for call in host.calls("python3"))


def test_broken_environment_of_the_users_is_not_emptied(host: Host) -> None:
    """Only an environment that the setup made is made anew."""
    host.install()
    theirs = host.clone / ".venv/precious"
    theirs.parent.mkdir()
    theirs.touch()
    done = host.run("setup.sh", "run")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("density: .venv: does not work and was not made by this setup")
    assert theirs.exists()


def test_interrupted_creation_is_taken_up_again(host: Host) -> None:
    """A half-made environment of the setup's own is no stranger's."""
    host.install()
    (host.clone / ".venv").mkdir()
    (host.clone / ".cache/setup").mkdir(parents=True)
    (host.clone / ".cache/setup/venv-begun").touch()
    assert host.run("setup.sh", "run").returncode == 0


def test_libvirt_module_that_does_not_build_is_done_without(host: Host) -> None:
    """All else is installed, one line says what is missing, and only `engines` builds again."""
    host.install()
    (host.state / "no-module").touch()
    done = host.run("setup.sh", "run")
    assert done.returncode == 0, done.stderr
    assert pip_calls(host)[1:] == ["--editable .[libvirt]", "--editable ."]
    assert [line for line in done.stderr.splitlines() if "libvirt:" in line] == [
        "density: libvirt: its Python module was not built (log: .cache/setup/pip.log); `make engines` tries again"
    ]
    host.forget_calls()
    assert "its Python module was not built" in host.run("setup.sh", "run").stderr
    assert pip_calls(host) == []
    assert host.run("setup.sh", "engines").returncode == 0
    assert "--editable .[libvirt]" in pip_calls(host)


def test_second_setup_waits_for_the_first(host: Host) -> None:
    """Two makes at once in one clone do not work on one environment together."""
    host.install()
    lock = host.clone / ".cache/setup/lock"
    lock.parent.mkdir(parents=True)
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(subprocess.TimeoutExpired) as stopped:
            host.run("setup.sh", "run", limit_seconds=1)
    assert b"waiting for another setup" in (stopped.value.stderr or b"")
    assert host.calls("python3") == []


SCRIPTS = sorted(path.name for path in (Path(__file__).parents[2] / "density/setup").glob("*.sh"))


@pytest.mark.parametrize("name", SCRIPTS)
def test_script_parses(host: Host, name: str) -> None:
    """Every script is plain sh."""
    shell = shutil.which("sh") or "/bin/sh"
    checked = subprocess.run(
        [shell, "-n", host.clone / "density/setup" / name], capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stderr) == (0, "")
