"""What holds for the parsers whatever the numbers are."""

from hypothesis import given
from hypothesis import strategies as st

from density.host.cpu import CpuTimes, shares
from density.host.hierarchies import parse_membership
from density.host.memory import parse_meminfo
from density.host.pressure import parse_pressure
from density.host.reading import parse_limit
from density.host.tasks import parse_loadavg

counts = st.integers(min_value=0, max_value=2**62)
columns = st.lists(st.integers(min_value=0, max_value=2**50), min_size=8, max_size=10)


@given(columns, columns)
def test_shares_stay_between_0_and_1(before: list[int], after: list[int]) -> None:
    """Counters that jump back, as iowait and idle do when a CPU goes, never give a share outside 0 to 1."""
    first, second = (
        CpuTimes(count=1, total=sum(each), idle=each[3], iowait=each[4], steal=each[7]) for each in (before, after)
    )
    assert all(0 <= share <= 1 for share in shares(first, second).values())


@given(columns)
def test_no_time_gives_no_shares(times: list[int]) -> None:
    """Two samples in the same tick say nothing, rather than dividing by zero."""
    same = CpuTimes(count=1, total=sum(times), idle=times[3], iowait=times[4], steal=times[7])
    assert shares(same, same) == {}


@given(counts, counts)
def test_meminfo_keeps_every_digit_that_a_float_can(total: int, available: int) -> None:
    """Values come back as they went in, in bytes."""
    values = parse_meminfo(f"Slab: {total} kB\nAnonPages:   {available} kB\n")
    assert values == {"memory.slab_bytes": float(total) * 1024, "memory.anon_bytes": float(available) * 1024}


@given(st.integers(min_value=0, max_value=10_000), counts)
def test_pressure_is_a_share(hundredths: int, total: int) -> None:
    """0.00 to 100.00 per cent becomes 0 to 1."""
    text = f"some avg10={hundredths / 100:.2f} avg60=0.00 avg300=0.00 total={total}\n"
    assert 0 <= parse_pressure(text, "p")["p.some_avg10_ratio"] <= 1


@given(counts)
def test_a_limit_is_its_number_or_none(value: int) -> None:
    """Below 2^60, as a float, a limit is what is written; above, it is v1's way of saying none."""
    assert parse_limit(f"{value}\n") == (float(value) if float(value) < 2**60 else None)


@given(st.integers(1, 10**6), st.integers(1, 10**7))
def test_tasks_by_their_place(running: int, count: int) -> None:
    """The two numbers around the slash are never mixed up."""
    values = parse_loadavg(f"1.00 2.00 3.00 {running}/{count} 5\n")
    assert (values["tasks.running"], values["tasks.count"]) == (running, count)


@given(st.dictionaries(st.sampled_from(["cpu", "memory", "pids", ""]), st.text("abc/:-", min_size=1), min_size=1))
def test_membership_comes_back(members: dict[str, str]) -> None:
    """Whatever a cgroup is called, it comes back under its controller."""
    lines = [f"{0 if not controller else 7}:{controller}:{cgroup}\n" for controller, cgroup in members.items()]
    assert parse_membership("".join(lines)) == members
