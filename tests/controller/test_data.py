"""Where a run keeps what grows: on a disk, for its own eyes, and found again by the clean-up wherever it was."""

import os
import stat
from pathlib import Path
from typing import NamedTuple

import anyio
import pytest
from support.leftovers import FakeEngine, site

from density.controller.clean import clean
from density.controller.data import data_base, data_directory, data_path
from density.controller.intent import declare, intent_of
from density.controller.paths import RunLock
from density.errors import UsageError
from density.host.disk import kept_in_memory
from density.host.reader import HostReader
from density.model import Workload
from density.profile.spec import Profile

RUN = "20260101-000000-0a01"
PROFILE = Profile(name="t", workloads=(Workload(name="vm", engine="libvirt"),))


@pytest.fixture(autouse=True)
def own_places(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """State and runtime directories of the test's own."""
    for module in ("data", "intent"):
        monkeypatch.setattr(f"density.controller.{module}.state_dir", lambda: tmp_path / "state")
    monkeypatch.setattr("density.controller.paths.runtime_base", lambda: tmp_path / "base")


def test_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Root's data is in /var/lib, another user's where XDG keeps state; a profile may name another place."""
    monkeypatch.undo()
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert data_path("r") == Path("/var/lib/density/data/r")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert data_path("r") == Path.home() / ".local/state/density/data/r"
    monkeypatch.setenv("XDG_STATE_HOME", "/s")
    assert data_path("r") == Path("/s/density/data/r")
    assert data_path("r", "/big") == Path("/big/density-r")


def test_others_pass_through_and_see_no_names() -> None:
    """QEMU's user reaches its disk in it, whatever the umask; only an empty one goes by itself."""
    before = os.umask(0o077)
    try:
        with data_directory(data_path(RUN)) as path:
            for each in (path, *path.parents[:2]):
                assert stat.S_IMODE(each.stat().st_mode) == 0o711
    finally:
        os.umask(before)
    assert not path.exists()
    with data_directory(data_path(RUN)) as path:
        (path / "disk").touch()
    assert path.is_dir()


def test_one_that_is_there_already_is_not_used() -> None:
    """Whatever is in it is someone else's."""
    data_path(RUN).mkdir(parents=True)
    with pytest.raises(UsageError, match="File exists"), data_directory(data_path(RUN)):
        pytest.fail("it was there before")


def test_a_place_that_others_write_to_is_refused(tmp_path: Path) -> None:
    """They could put a directory of theirs in the place of ours; not where the directory is sticky, as /tmp is."""
    place = tmp_path / "big"
    place.mkdir()
    place.chmod(0o777)
    with pytest.raises(UsageError, match=r"chmod \+t"), data_directory(data_path(RUN, str(place))):
        pytest.fail("it is open to all")
    place.chmod(0o1777)
    with data_directory(data_path(RUN, str(place))) as path:
        assert path == place / f"density-{RUN}"


def test_the_clean_up_finds_it_where_the_profile_put_it(tmp_path: Path) -> None:
    """By the run's intent, which names the directory; it follows no link out of it, and touches nothing beside it."""
    big, precious = tmp_path / "big", tmp_path / "precious"
    for directory in (big, precious):
        directory.mkdir()
        (directory / "theirs").touch()
    kept = data_path(RUN, str(big))
    declare(intent_of(PROFILE, run_id=RUN, run_dir=tmp_path, directories=[kept, precious]))
    with data_directory(kept):
        (kept / "disk").touch()
        (kept / "link").symlink_to(precious)
    report = anyio.run(_clean, tmp_path)
    assert str(kept) in {name for part in report for name in part}
    assert not kept.exists()
    assert [(each / "theirs").exists() for each in (big, precious)] == [True, True]


def test_data_without_a_runtime_directory_is_a_dead_runs(tmp_path: Path) -> None:
    """As after a restart of the host, also while another run is alive, whose data stays."""
    alive = "20260101-000000-0a02"
    for run_id in (RUN, alive):
        (data_base() / run_id / "disks").mkdir(parents=True)
    with RunLock(alive, base=tmp_path / "base"):
        anyio.run(_clean, tmp_path)
        assert [path.name for path in data_base().iterdir()] == [alive]
    anyio.run(_clean, tmp_path)
    assert list(data_base().iterdir()) == []


async def _clean(directory: Path) -> list[tuple[str, ...]]:
    report = await clean(site=site(directory, FakeEngine({})))
    assert report.left == ()
    return [part.removed for part in report.parts]


def test_the_disk_of_it_is_watched_by_a_name_of_its_own() -> None:
    """So that it is a ceiling with a forecast, also where results are on the same disk."""
    path = Path("/var")
    reader = HostReader(disks={"data": path, "runs": path, "runtime": path})
    values = reader.read(thorough=True)
    assert values["disk.data.total_bytes"] > 0
    assert "disk.runs.total_bytes" not in values


class Mount(NamedTuple):
    """As psutil lists one."""

    mountpoint: str
    fstype: str
    opts: str


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/lib/x", ""),
        ("/run/density", "tmpfs"),
        ("/run/disk/x", ""),
        ("/shadowed/x", "ramfs"),
        ("/live/x", "tmpfs"),
        ("/image/x", ""),
    ],
)
def test_file_systems_in_memory(monkeypatch: pytest.MonkeyPatch, path: str, kind: str) -> None:
    """The nearest mount above decides, of two at one place the later; an overlay is where its upper directory is."""
    found = [
        ("/", "ext4", "rw"),
        ("/run", "tmpfs", "rw"),
        ("/run/disk", "xfs", "rw"),
        ("/shadowed", "ext4", "rw"),
        ("/shadowed", "ramfs", "rw"),
        ("/live", "overlay", "rw,lowerdir=/l,upperdir=/run/live/rw,workdir=/run/live/work"),
        ("/image", "overlay", "rw,lowerdir=/l,upperdir=/image/up,workdir=/w"),
    ]
    monkeypatch.setattr("psutil.disk_partitions", lambda **_: [Mount(*each) for each in found])
    assert kept_in_memory(Path(path)) == kind
