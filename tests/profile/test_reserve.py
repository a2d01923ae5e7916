"""What a host keeps of its memory."""

from dataclasses import replace
from pathlib import Path

import pytest

from density.ceilings.catalog import readings
from density.ceilings.reading import Bounds
from density.controller.equip import with_reserve
from density.model import Workload
from density.profile.load import load_profile, profile_to_toml
from density.profile.spec import LEAST_RESERVE_BYTES, Profile, Reserve, SimulatedHost

GIB = 2**30
MIB = 2**20


@pytest.mark.parametrize(
    ("total", "kept"),
    [(GIB, 256 * MIB), (2 * GIB, 256 * MIB), (4 * GIB, 512 * MIB), (16 * GIB, 2 * GIB), (1024 * GIB, 2 * GIB)],
)
def test_small_hosts_keep_an_eighth(total: int, kept: int) -> None:
    """At most 2 GiB, and never less than teardown needs."""
    assert Reserve().memory_of(total) == kept
    assert Reserve().memory_of(total) >= LEAST_RESERVE_BYTES


def test_what_was_asked_for_is_kept_on_any_host() -> None:
    """A reserve of the profile is the person's own, also where it leaves nothing."""
    assert Reserve(memory_bytes=4 * GIB).memory_of(GIB) == 4 * GIB


def test_each_ceiling_of_memory_keeps_the_same() -> None:
    """Available and committed memory are lethal both, and the same bytes stay free of them."""
    values = {
        "memory.total_bytes": 4.0 * GIB,
        "memory.available_bytes": 3.0 * GIB,
        "memory.overcommit_mode": 2.0,
        "memory.committed_bytes": 1.0 * GIB,
        "memory.commit_limit_bytes": 2.0 * GIB,
    }
    kept = {reading.ceiling: reading.reserve for reading in readings(values, Bounds())}
    assert kept == {"memory.available": 512 * MIB, "memory.commit": 512 * MIB}


def test_a_run_records_what_it_keeps() -> None:
    """The number is in the profile before the run starts, so the record and `profile.toml` have it."""
    profile = Profile(
        name="small",
        workloads=(Workload(name="web", engine="simulated"),),
        simulated=SimulatedHost(memory_bytes=4 * GIB, used_memory_bytes=GIB),
    )
    assert with_reserve(profile).reserve.memory_bytes == 512 * MIB
    asked = replace(profile, reserve=Reserve(memory_bytes=GIB))
    assert with_reserve(asked) == asked
    real = with_reserve(replace(profile, workloads=(Workload(name="web", engine="native"),)))
    assert real.reserve.memory_bytes is not None
    assert LEAST_RESERVE_BYTES <= real.reserve.memory_bytes <= 2 * GIB


def test_a_default_stays_one_when_written(tmp_path: Path) -> None:
    """A profile that says nothing of memory says nothing of it afterwards."""
    profile = Profile(name="x", workloads=(Workload(name="web", engine="native"),))
    path = tmp_path / "x.toml"
    path.write_text(profile_to_toml(profile))
    assert load_profile(path).reserve.memory_bytes is None
