"""Small files that the kernel counts in: keys, neighbours, connections, backlog, cgroups, terminals, sockets."""

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from density.host.kernel import PtySensor, memcg_sensor, parse_cgroup_stat, parse_cgroups
from density.host.keys import parse_key_users
from density.host.limits import limits_sensor
from density.host.network_tables import parse_conntrack, parse_counters, parse_neighbours, parse_softnet
from density.host.reading import Unavailable
from density.host.sockets import messages, parse_port_range, parse_queue, parse_unix

counts = st.integers(min_value=0, max_value=2**31)


def test_keys_are_those_that_the_quota_counts() -> None:
    """The last two pairs count against the quota; the first two are all keys. Other users are not ours."""
    text = "    0:   109 108/108 43/1000000 2840/25000000\n 1000:     2 2/2 2/200 13/20000\n"
    assert parse_key_users(text, frozenset({0})) == {
        "keys.uid0.count": 43,
        "keys.uid0.limit": 1_000_000,
        "keys.uid0.used_bytes": 2840,
        "keys.uid0.limit_bytes": 25_000_000,
    }


@given(st.dictionaries(st.integers(0, 2**32 - 1), st.tuples(counts, counts, counts, counts), min_size=1))
def test_every_asked_user_comes_back(users: dict[int, tuple[int, int, int, int]]) -> None:
    """Uids of any length, with the kernel's padding, are told apart."""
    lines = [f"{uid:5}: {n:5} {n}/{n} {n}/{top} {size}/{most}\n" for uid, (n, top, size, most) in users.items()]
    values = parse_key_users("".join(lines), frozenset(users))
    assert all(
        (values[f"keys.uid{uid}.count"], values[f"keys.uid{uid}.limit_bytes"]) == (n, most)
        for uid, (n, _, _, most) in users.items()
    )


def test_neighbours_are_counted_once_and_overflows_on_every_cpu() -> None:
    """Entries are the same number in every row, in hexadecimal; overflows are each CPU's own."""
    text = "entries  allocs   table_fulls\n00000010 00000012 00000003\n00000010 00000014 0000000a\n"
    assert parse_neighbours(text, "v4") == {
        "network.neighbours.v4.entries_count": 16,
        "network.neighbours.v4.table_fulls_count": 13,
    }


def test_old_kernels_do_not_count_overflows() -> None:
    """Without the column there is no such value, rather than a 0 that would say that all is well."""
    assert parse_neighbours("entries  allocs\n00000010 00000012\n", "v6") == {"network.neighbours.v6.entries_count": 16}


def test_columns_that_a_row_lacks_are_left_out() -> None:
    """A row shorter than the head does not shift what follows."""
    assert parse_counters("a b c\n1 2\n3 4 5\n") == {"a": [1, 3], "b": [2, 4], "c": [5]}


def test_dropped_connections() -> None:
    """Packets for which no entry could be made, and entries that had to make room."""
    text = "entries  found drop early_drop\n00000002 00000000 00000001 00000002\n00000002 00000000 00000004 00000000\n"
    assert parse_conntrack(text) == {"network.conntrack.dropped_count": 7}


def test_dropped_of_the_backlog() -> None:
    """The second column of each CPU."""
    text = "00000971 00000000 00000000\n00009f95 0000011f 00000000\n"
    assert parse_softnet(text) == {"network.backlog.dropped_count": 287}


def test_memory_cgroups_of_v1() -> None:
    """The third column of the line `memory`."""
    assert parse_cgroups("#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpu\t1\t9\t1\nmemory\t4\t141\t1\n") == {
        "cgroups.memory_count": 141
    }
    with pytest.raises(Unavailable):
        parse_cgroups("#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpu\t1\t9\t1\n")


def test_memory_cgroups_of_v2() -> None:
    """Newer kernels count those with memory; for older ones every cgroup counts, the dying too."""
    old = "nr_descendants 87\nnr_dying_descendants 3\n"
    assert parse_cgroup_stat(old) == {"cgroups.memory_count": 90, "cgroups.dying_count": 3}
    new = old + "nr_subsys_cpu 50\nnr_subsys_memory 60\nnr_dying_subsys_memory 3\n"
    assert parse_cgroup_stat(new) == {"cgroups.memory_count": 60, "cgroups.dying_count": 3}


def test_no_cgroups_is_unavailable(tmp_path: Path) -> None:
    """A host whose cgroups cannot be seen says so."""
    with pytest.raises(Unavailable, match="no cgroup hierarchy"):
        memcg_sensor(tmp_path)


def test_terminals_of_containers_end_before_the_reserve(tmp_path: Path) -> None:
    """4,096 less a reserve of 1,024 are for others than the host."""
    directory = tmp_path / "proc/sys/kernel/pty"
    directory.mkdir(parents=True)
    for name, number in {"max": 4096, "nr": 7, "reserve": 1024}.items():
        (directory / name).write_text(f"{number}\n")
    assert PtySensor(tmp_path).read() == {"ptys.count": 7, "ptys.limit": 3072}


def test_limits_that_a_kernel_lacks_are_left_out(tmp_path: Path) -> None:
    """One that is there is read without the others."""
    (tmp_path / "proc/sys/fs").mkdir(parents=True)
    (tmp_path / "proc/sys/fs/mount-max").write_text("100000\n")
    assert limits_sensor(tmp_path).read() == {"mounts.limit": 100_000}


def test_both_ends_of_the_port_range_are_given_out() -> None:
    """As many as the kernel says: 28,232 by default."""
    assert len(parse_port_range("32768\t60999\n")) == 28_232


def test_only_listening_sockets_are_looked_for() -> None:
    """A socket that accepts connections has the flag __SO_ACCEPTCON."""
    text = (
        "Num       RefCount Protocol Flags    Type St Inode Path\n"
        "0000000000000000: 00000002 00000000 00010000 0001 01  7046 /run/docker.sock\n"
        "0000000000000000: 00000003 00000000 00000000 0001 03  7047 /run/docker.sock\n"
        "0000000000000000: 00000002 00000000 00000000 0002 01  7048\n"
    )
    assert parse_unix(text) == {7046}


def attribute(kind: int, payload: bytes) -> bytes:
    """A netlink attribute, padded to four bytes."""
    return struct.pack("=HH", 4 + len(payload), kind) + payload + bytes(-len(payload) % 4)


@given(counts, counts, st.lists(st.tuples(st.integers(5, 9), st.binary(max_size=9)), max_size=4))
def test_the_queue_is_found_among_other_attributes(waiting: int, limit: int, others: list[tuple[int, bytes]]) -> None:
    """Whatever else the kernel tells, of whatever length."""
    answer = (
        bytes(16) + b"".join(attribute(*other) for other in others) + attribute(4, struct.pack("=II", waiting, limit))
    )
    assert parse_queue(answer) == (waiting, limit)


def test_an_answer_without_a_queue_is_refused() -> None:
    """Rather than told as an empty queue."""
    with pytest.raises(ValueError, match="without a queue"):
        parse_queue(bytes(16))


@given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 2**32 - 1), st.binary(max_size=20)), max_size=5))
def test_messages_come_back(sent: list[tuple[int, int, bytes]]) -> None:
    """Each with its type and the number of its question, the padding to four bytes aside."""
    data = b"".join(
        struct.pack("=IHHII", 16 + len(payload), kind, 0, number, 0) + payload + bytes(-len(payload) % 4)
        for kind, number, payload in sent
    )
    assert list(messages(data)) == sent
