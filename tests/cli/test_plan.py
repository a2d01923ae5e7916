"""`density plan`: what a person types, and what comes back."""

import json
import shlex
from pathlib import Path

import pytest
from support.planning import quickstart
from support.recorded_runs import record, recorded

from density.cli import main
from density.events import Stopped

LARGE = "cpus=64,memory=512GiB,pid_max=4194304"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of runs: a real one, and a simulated one that was started before it."""
    directory = tmp_path_factory.mktemp("runs")
    recorded("ceiling", directory).rename(directory / "20251231-000000-0000")
    record(quickstart(), directory / "20260101-000000-0000")
    return directory


@pytest.fixture(autouse=True)
def _here(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DENSITY_RUNS_DIR", str(runs))
    monkeypatch.setenv("COLUMNS", "100")


def plan(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit code, stdout, stderr."""
    code = main(["plan", *arguments])
    out, err = capsys.readouterr()
    return code, out, err


def test_the_latest_run_and_hosts_like_the_measured_one(capsys: pytest.CaptureFixture[str]) -> None:
    """Are what is taken where nothing is said; the answer comes first, what it rests on last."""
    code, out, err = plan(capsys, "--demand", "web=2000,vm=150")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "2,000 web and 150 vm need 4 hosts"
    assert lines[1].split() == ["hosts", "4", "×", "measured"]
    text = " ".join(out.split())
    assert "6 at the upper ends of the footprints' 95% intervals, 3 at the lower ends" in text
    assert "no fewer hosts hold it: proved" in text
    assert "4 × measured memory.available binds, at 98% of its room" in text
    assert "without it 1 host would do, and then tasks.pid_max binds; give instances less memory" in text
    assert "538 instances on a host are 7.3 times as many as ran at once (74)" in text
    assert "vm ran emulated (tcg)" in text
    assert "on 2 CPUs and 23.5 GiB" in text
    assert all(len(line.rstrip()) <= 100 for line in lines)


def test_the_documented_example_is_what_comes_out(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """docs/plan.md shows a real run's plan; its command gives the same to the letter."""
    page = (Path(__file__).parents[2] / "docs" / "plan.md").read_text(encoding="utf-8")
    typed, shown = page.split("```\n")[1].replace("\\\n", "").split("\n", 1)
    monkeypatch.setenv("COLUMNS", "96")
    assert main(shlex.split(typed)[2:]) == 0
    assert [line.rstrip() for line in capsys.readouterr().out.splitlines()] == shown.splitlines()


def test_one_to_spare(capsys: pytest.CaptureFixture[str]) -> None:
    """Shown with all hosts up and with one lost; memory that was never measured is said."""
    code, out, _ = plan(capsys, "--demand", "web=2000,vm=150", "--host", LARGE, "--spare", "1")
    assert code == 0
    text = " ".join(out.split())
    assert text.startswith("2,000 web and 150 vm need 2 hosts, 1 of them spare")
    assert "all up 1 lost limit reserve of the room" in text
    assert "web 1,000 2,000" in text
    assert "files.process dockerd binds, at 61% of its room, with the limit of the measured host" in text
    assert "512 GiB of memory are 22 times the memory of the measured host (23.5 GiB)" in text


def test_the_cheapest_of_several_types(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """On the command line or in a file; demand from files is added up."""
    (tmp_path / "hosts.toml").write_text(
        '[big]\ncpus = 64\nmemory = "512GiB"\nprice = 1400\n[small]\ncpus = 16\nmemory = "64GiB"\nprice = 189.90\n'
    )
    (tmp_path / "demand.csv").write_text("workload,count\nweb,1500\n")
    (tmp_path / "demand.toml").write_text("[demand]\nweb = 500\nvm = 150\n")
    demand = [f"--demand={tmp_path / 'demand.csv'}", f"--demand={tmp_path / 'demand.toml'}"]
    code, from_files, _ = plan(capsys, *demand, "--hosts", str(tmp_path / "hosts.toml"), "--spare", "1", "--json")
    assert code == 0
    big, small = "--host=big:cpus=64,memory=512GiB,price=1400", "--host=small:cpus=16,memory=64GiB,price=189.90"
    _, typed, _ = plan(capsys, "--demand=web=2000,vm=150", big, small, "--spare=1", "--json")
    assert json.loads(typed) == json.loads(from_files)
    (tmp_path / "big.toml").write_text('[big]\ncpus = 64\nmemory = "512GiB"\nprice = 1400\n')
    (tmp_path / "small.toml").write_text('[small]\ncpus = 16\nmemory = "64GiB"\nprice = 189.90\n')
    files = [f"--hosts={tmp_path / name}.toml" for name in ("big", "small")]
    _, from_two, _ = plan(capsys, *demand, *files, "--spare=1", "--json")
    assert json.loads(from_two) == json.loads(typed)
    code, _, err = plan(capsys, *demand, *files, files[0])
    assert (code, "two hosts are called big" in err) == (2, True)
    found = json.loads(typed)
    assert found["answer"] == "2,000 web and 150 vm need 3 hosts, 1 of them spare, for 569.70"
    assert found["hosts"]["best"] == {"count": 3, "per_type": {"small": 3}, "price": 569.7, "gap": 0.0}


def test_json_adds_up(capsys: pytest.CaptureFixture[str]) -> None:
    """All instances are placed, with all hosts up; uses are the footprints' sums; stdout is the document alone."""
    code, out, err = plan(capsys, "--demand=web=2000,vm=150", "--host=cpus=16,memory=64GiB", "--spare=1", "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    (group,) = found["types"]
    placed = {name: sum(g["hosts"] * g["instances"][name] for g in group["all_up"]) for name in ("web", "vm")}
    assert placed == found["demand"] == {"web": 2000, "vm": 150}
    assert sum(each["hosts"] for each in group["all_up"]) == group["count"] == found["hosts"]["best"]["count"]
    for each in group["resources"]:
        key = f"{each['ceiling']}[{each['subject']}]" if each["subject"] else each["ceiling"]
        costs = {name: found["footprints"][name].get(key, {"value": 0.0})["value"] for name in placed}
        fullest = max(sum(costs[name] * g["instances"][name] for name in placed) for g in group["after_loss"])
        assert each["used_after_loss"] == pytest.approx(each["base"] + fullest)
        assert each["used_after_loss"] <= each["limit"] - each["reserve"]


@pytest.mark.parametrize("key", ["cpus", "memory", "disk", "pid_max", "instances"])
def test_hosts_without_a_limit(capsys: pytest.CaptureFixture[str], key: str) -> None:
    """JSON has no infinities, and text has none either."""
    arguments = ("--demand=web=2000,vm=150", f"--host={key}=unlimited", "--overcommit=cpus=4,memory=4")
    code, out, _ = plan(capsys, *arguments, "--json")
    assert code == 0
    assert json.loads(out)["types"]
    code, out, _ = plan(capsys, *arguments)
    assert (code, " inf" in out) == (0, False)


def test_two_runs_that_never_ran_together(capsys: pytest.CaptureFixture[str]) -> None:
    """Each gives its own workloads; that they never met is said."""
    code, out, _ = plan(
        capsys, "20251231-000000-0000", "latest", "--demand=db=10,vm=10", "--host=memory=64GiB", "--json"
    )
    assert code == 0
    found = json.loads(out)
    assert set(found["runs"]) == {"db", "vm"}
    assert len(set(found["runs"].values())) == 2
    assert any("never ran together" in sentence for sentence in found["beyond"])
    assert any("simulated host" in sentence for sentence in found["beyond"])


def test_a_run_that_was_killed(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Can be planned with as far as it came, and that is said."""
    record([event for event in quickstart() if not isinstance(event, Stopped)], tmp_path / "killed")
    code, out, _ = plan(capsys, str(tmp_path / "killed"), "--demand=web=100", "--json")
    assert code == 0
    assert any("has no end: it was cut off or still goes on" in sentence for sentence in json.loads(out)["rests_on"])


def test_markdown_in_a_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """By the file's ending; as text where it says nothing."""
    code, out, _ = plan(capsys, "--demand=web=100", "-o", str(tmp_path / "plan.md"))
    assert (code, out) == (0, "")
    page = (tmp_path / "plan.md").read_text()
    assert page.startswith("# 100 web need 1 host\n")
    assert "| on the fullest host | used | limit | reserve | of the room |\n| --- | ---: |" in page
    assert "\n## What it rests on\n" in page
    assert plan(capsys, "--demand=web=100", "-o", str(tmp_path / "plan.txt"))[0] == 0
    assert (tmp_path / "plan.txt").read_text().startswith("100 web need 1 host\n")
    code, _, err = plan(capsys, "--demand=web=100", "-o", str(tmp_path / "none" / "plan.md"))
    assert (code, "cannot be written" in err) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ((), 2, "missing option '--demand'"),
        (("nope", "--demand=web=1"), 2, "there is no run nope"),
        (("--demand=wbe=1",), 2, "no workload 'wbe' was measured; did you mean web?"),
        (("--demand=none.csv",), 2, "none.csv cannot be read: No such file or directory"),
        (("--demand=web=1", "--host=ram=1GiB"), 2, "unknown key ram; "),
        (("--demand=web=1", "--host=cpus=4", "--host=host-1:cpus=4"), 2, "two hosts are called host-1"),
        (("--demand=web=1", "--hosts=none.toml"), 2, "none.toml cannot be read"),
        (("--demand=web=1", "--spare=-1"), 2, "'--spare': -1 is not in the range"),
        (("--demand=web=1", "--cpu-busy=0"), 2, "--cpu-busy: found '0'; allowed is a share above 0, such as 80%"),
        (("--demand=web=1", "--cpu-busy=x"), 2, "--cpu-busy: 'x' is not a share"),
        (("--demand=web=1", "--time-limit=x"), 2, "--time-limit: 'x' is not a duration"),
        (("--demand=web=1", "--overcommit=x"), 2, '--overcommit x: "x" is not KEY=NUMBER'),
        (("--demand=web=1", "--overcommit=cpus=2", "--overcommit=cpus=3"), 2, "cpus=3: cpus is there twice"),
        (("--demand=web=1", "--json", "--format=text"), 2, "--json and --format text exclude each other"),
        (("--demand=vm=1", "--host=memory=3100MiB"), 3, "no host holds one vm: on host it takes"),
        (("--demand=web=5000", "--host=count=2"), 3, "at most 2 × host are on offer, and they do not hold 5,000 web"),
    ],
)
def test_what_cannot_be(arguments: tuple[str, ...], code: int, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One sentence: exit code 2 for what was typed, 3 for a demand that no hosts on offer hold."""
    got, out, err = plan(capsys, *arguments)
    assert (got, out) == (code, "")
    assert err.startswith("error: ")
    assert said in err


def test_bad_files(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Named with what is wrong in them, and where."""
    (tmp_path / "bad.toml").write_text("web = five\n")
    (tmp_path / "bad.csv").write_bytes(b"web,\xff\n")
    code, _, err = plan(capsys, "--demand", str(tmp_path / "bad.toml"))
    assert (code, "bad.toml: line 1, column" in err) == (2, True)
    code, _, err = plan(capsys, "--demand", str(tmp_path / "bad.csv"))
    assert (code, "bad.csv: not a text file in UTF-8: byte 5" in err) == (2, True)
    code, _, err = plan(capsys, "--demand=web=1", "--hosts", str(tmp_path / "bad.toml"))
    assert (code, "bad.toml: line 1" in err) == (2, True)


def test_a_run_that_never_came_to_rest(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Has measured nothing."""
    run = recorded("error", tmp_path)
    code, _, err = plan(capsys, str(run), "--demand=web=1")
    assert (code, "nothing came to rest in this run" in err) == (2, True)
