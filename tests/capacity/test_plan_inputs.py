"""What a person writes about demand, hosts and how full they may get: read, or refused with what is allowed."""

import math
from fractions import Fraction

import pytest

from density.capacity.plan.demand import add_up, demand_of_csv, demand_of_tables, parse_demand
from density.capacity.plan.hosts import HostSpec, check_together, parse_host, parse_hosts
from density.capacity.plan.policy import parse_overcommit
from density.errors import UsageError


def test_demand_as_text_tables_and_lines() -> None:
    """The three ways to write it say the same; several add up."""
    wanted = {"web": 500, "db": 40}
    assert parse_demand(" web = 500, db=4_0") == wanted
    assert demand_of_tables({"demand": {"web": 500, "db": 40}}, "f.toml") == wanted
    assert demand_of_tables({"web": 500, "db": 40}, "f.toml") == wanted
    assert demand_of_csv("workload,count\nweb,500\n\n db , 40 \n", "f.csv") == wanted
    assert demand_of_csv("web,500\ndb,40", "f.csv") == wanted
    assert add_up([wanted, {"db": 2}]) == {"web": 500, "db": 42}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("web", '--demand web: "web" is not WORKLOAD=COUNT, such as web=500,db=40, nor a file that ends in .toml or'),
        ("web=5,", '"" is not WORKLOAD=COUNT'),
        ("web=5,web=6", "web is there twice"),
        ("web=0", 'web: found "0"; allowed is a whole number, 1 or more'),
        ("web=-3", 'web: found "-3"; allowed is'),
        ("web=2.5", 'web: found "2.5"; allowed is'),
        ("web=1__0", 'web: found "1__0"; allowed is'),
        ("web=99999999999", "at most 10,000,000"),
        ("web=" + "9" * 5000, "allowed is a whole number"),
    ],
)
def test_bad_demand(text: str, said: str) -> None:
    """One sentence that says what was found and what is allowed."""
    with pytest.raises(UsageError) as caught:
        parse_demand(text)
    assert said in str(caught.value)


def test_bad_files_of_demand() -> None:
    """They name the file, and the line where there are lines."""
    with pytest.raises(UsageError, match=r"^f.csv: line 2 has 3 cells; allowed is WORKLOAD,COUNT"):
        demand_of_csv("web,5\ndb,6,7", "f.csv")
    with pytest.raises(UsageError, match=r"^f.csv: line 1 has 1 cell; allowed is WORKLOAD,COUNT"):
        demand_of_csv("web", "f.csv")
    with pytest.raises(UsageError, match=r"^f.csv: nothing is in demand"):
        demand_of_csv("workload,count\n", "f.csv")
    with pytest.raises(UsageError, match=r"^f.toml: web: found 2.5; allowed is"):
        demand_of_tables({"web": 2.5}, "f.toml")
    with pytest.raises(UsageError, match=r"^f.toml: web: found true; allowed is"):
        demand_of_tables({"web": True}, "f.toml")
    with pytest.raises(UsageError, match=r"^f.toml: web is beside \[demand\]; allowed is either all in that table, or"):
        demand_of_tables({"web": 5, "demand": {"db": 1}}, "f.toml")
    with pytest.raises(UsageError, match=r"^f.toml: demand: found 3; allowed is a table"):
        demand_of_tables({"demand": 3}, "f.toml")


def test_a_host_in_a_line() -> None:
    """Friendly keys, sizes, ids of ceilings with and without a subject, exact prices."""
    spec = parse_host("big:cpus=64,memory=512GiB,pid_max=4194304,files.process.dockerd=unlimited,price=0.10", name="x")
    limits = {"cpu.busy": 64, "memory.available": 512 * 2**30, "tasks.pid_max": 4194304}
    assert spec == HostSpec("big", {**limits, "files.process.dockerd": math.inf}, Fraction(1, 10))
    assert parse_host("cpus=1.5,count=3", name="x") == HostSpec("x", {"cpu.busy": 1.5}, None, 3)


def test_hosts_in_a_file() -> None:
    """A table each; a dotted key is nested tables to TOML."""
    tables = {"big": {"cpus": 64, "memory": "512GiB", "files": {"process": {"dockerd": 5000}}, "price": 899.9}}
    (spec,) = parse_hosts(tables, "hosts.toml")
    assert spec == parse_host("big:cpus=64,memory=512GiB,files.process.dockerd=5000,price=899.9", name="x")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("cpu=64", "--host cpu=64: unknown key cpu; did you mean cpus?"),
        ("tasks.pidmax=3", "unknown key tasks.pidmax; did you mean tasks.pid_max?"),
        ("zzz=3", "unknown key zzz; allowed are cpus, memory, disk,"),
        ("slo.ready=3", "unknown key slo.ready"),
        ("cpus", '"cpus" is not KEY=VALUE, such as cpus=64,memory=512GiB'),
        ("cpus=64,", '"" is not KEY=VALUE'),
        ("cpus=0", 'cpus: found "0"; allowed is a number above 0, such as 64, or "unlimited"'),
        ("cpus=many", 'cpus: found "many"; allowed is'),
        ("cpus=1,cpus=2", "cpus is there twice"),
        ("pid_max=1,tasks.pid_max=2", "tasks.pid_max is there twice"),
        ("price=1,price=2", "price is there twice"),
        ("cpus=4,count=1,count=1", "count is there twice"),
        ("instances=0.5", 'instances: found "0.5"; allowed is a whole number, 1 or more, or "unlimited"'),
        ("instances=many", 'instances: found "many"; allowed is a whole number, 1 or more'),
        ("memory.cgroup=3GiB", "memory.cgroup is a limit of the run itself (its slice), which a planned host has not"),
        ("tasks.cgroup=300", "tasks.cgroup is a limit of the run itself (its slice)"),
        ("disk.space.runs=3GiB", "disk.space.runs is a limit of the run itself (the disk of its record)"),
        ("memory=512gib", 'memory: found "512gib"; allowed is a size such as "64MiB"'),
        ("memory=512gib", 'did you mean "512GiB"?'),
        ("memory=0", "above 0"),
        ("price=-1", 'price: found "-1"; allowed is a number such as 899.90, 0 or more'),
        ("count=0", 'count: found "0"; allowed is a whole number, 1 or more'),
        ("Big:cpus=1", '"Big" is no name; allowed is a lower-case letter'),
        (":cpus=1", '"" is no name'),
    ],
)
def test_bad_hosts(text: str, said: str) -> None:
    """One sentence that says what was found and what is allowed, with the nearest key."""
    with pytest.raises(UsageError) as caught:
        parse_host(text, name="host")
    assert said in str(caught.value)


def test_every_problem_at_once() -> None:
    """A line for each."""
    with pytest.raises(UsageError) as caught:
        parse_hosts({"big": {"cpu": 64, "memory": True, "price": "x"}}, "hosts.toml")
    lines = str(caught.value).splitlines()
    assert [line.split(": ")[1] for line in lines] == ["big"] * 3
    assert lines[1] == 'hosts.toml: big: memory: found true; allowed is a size such as "64MiB", "1.5GiB" or "500MB"'


def test_bad_files_of_hosts() -> None:
    """What is no table, or nothing."""
    with pytest.raises(UsageError, match=r"^hosts.toml: cpus: found 64; allowed is a table, such as \[cpus\]"):
        parse_hosts({"cpus": 64}, "hosts.toml")
    with pytest.raises(UsageError, match=r"^hosts.toml: no host"):
        parse_hosts({}, "hosts.toml")


def test_hosts_go_together() -> None:
    """Names differ, and a price is of all or of none: else nothing could be cheapest."""
    a, b = HostSpec("a", price=Fraction(1)), HostSpec("b", price=Fraction(0))
    check_together([a, b])
    with pytest.raises(UsageError, match="two hosts are called a; give them names"):
        check_together([a, a])
    with pytest.raises(UsageError, match="no price for c, while other hosts have one"):
        check_together([a, b, HostSpec("c")])


def test_overcommit() -> None:
    """Factors of CPUs and memory."""
    for texts in (["cpus=4, memory=1.5"], ["cpus=4", "memory=1.5"]):
        assert parse_overcommit(texts) == {"cpus": 4.0, "memory": 1.5}
    assert parse_overcommit([]) == {}
    with pytest.raises(UsageError, match=r"^--overcommit cpus=5: cpus is there twice"):
        parse_overcommit(["cpus=4", "cpus=5"])
    for text, said in (
        ("cpu=4", "unknown key cpu; did you mean cpus?"),
        ("cpus", '"cpus" is not KEY=NUMBER, such as cpus=4,memory=1.5'),
        ("cpus=0", 'cpus: found "0"; allowed is a number above 0'),
        ("cpus=nan", 'cpus: found "nan"; allowed is a number above 0'),
        ("cpus=1,cpus=1", "cpus is there twice"),
    ):
        with pytest.raises(UsageError) as caught:
            parse_overcommit([text])
        assert said in str(caught.value)
