"""Files that somebody else may have written: none blocks, fills the memory, or ends in a traceback."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from support.fuzzing import DIGITS, density

from density.documents import MOST_BYTES, parse_json, read_document
from density.profile.load import load_profile, profile_to_toml

DEEP = "[" * 100_000


def test_text_comes_without_its_mark(tmp_path: Path) -> None:
    """A byte order mark, as some editors write it, is none of the text."""
    path = tmp_path / "x"
    path.write_bytes(b"\xef\xbb\xbfa = 1")
    assert read_document(path) == "a = 1"


def test_what_is_no_such_file_is_said(tmp_path: Path) -> None:
    """A pipe, a device, bytes that are no text, and more than anyone writes."""
    pipe, binary, huge = tmp_path / "pipe", tmp_path / "binary", tmp_path / "huge"
    os.mkfifo(pipe)
    binary.write_bytes(b"ab\xff")
    huge.write_bytes(bytes(MOST_BYTES + 1))
    for path, said in {
        pipe: "not a file but a pipe",
        Path("/dev/zero"): "not a file but a pipe",
        binary: "byte 3 is 0xff",
        huge: "larger than 1 MiB",
    }.items():
        with pytest.raises(ValueError, match=said):
            read_document(path)
    with pytest.raises(IsADirectoryError):
        read_document(tmp_path)


def test_a_pipe_is_read_to_its_end_but_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where pipes do: all that is written into it, nothing where nobody writes, an error where nothing comes."""
    monkeypatch.setattr("density.documents.PIPE_SECONDS", 0.2)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert read_document(pipe, pipes=True) == ""
    with pytest.raises(ValueError, match="larger than 1 MiB"):
        read_document(Path("/dev/zero"), pipes=True)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    writer = os.open(pipe, os.O_WRONLY)
    os.close(reader)
    with pytest.raises(ValueError, match="not everything came"):
        read_document(pipe, pipes=True)
    monkeypatch.setattr("density.documents.PIPE_SECONDS", 30.0)

    def write() -> None:
        os.write(writer, b"a = 1")
        os.close(writer)

    threading.Timer(0.05, write).start()
    assert read_document(pipe, pipes=True) == "a = 1"


@pytest.mark.parametrize("text", [DEEP, DIGITS, f'{{"a": {DIGITS}}}', "", "nonsense"])
def test_json_that_is_none_is_a_value_error(text: str) -> None:
    """Too deep and too long a number as well."""
    with pytest.raises(ValueError, match=r"\w"):
        parse_json(text)


@pytest.mark.parametrize("result", [DEEP, '{"a":' * 50_000, f'{{"started": {DIGITS}}}', "[]", "null"])
def test_a_hostile_result_is_one_row_of_the_list(result: str, tmp_path: Path) -> None:
    """`runs` lists the others, and says of this one that it is damaged."""
    for name, text in (("bad", result), ("cut", "")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "density.log").touch()
        if text:
            (tmp_path / name / "result.json").write_text(text)
    assert density("runs", "--runs-dir", str(tmp_path))[0] == 0


HOSTILE = {
    "a pipe": [],
    "600 dotted keys": [f"--set={'a.' * 600}a=1"],
    "5,000 digits": [f"--set=ramp.max={DIGITS}"],
    "5,000 hexadecimal digits": [f"--set=ramp.max=0x{DIGITS}"],
    "bytes that are no text": ["--set=workloads.web.image=\udcff"],
    "a key of such bytes": ["--set=\udcff=1"],
    "a regular expression that is too deep": [f"--set=workloads.web.ready=log:{'(' * 3000}"],
    "nobody's home": ["--set=workloads.web.image=~nobody-of-this-name/x", "--set=workloads.web.guest=disk",
                      "--set=workloads.web.engine=libvirt"],
    "a deep list": [f"--set=ramp.waves={'[' * 500}"],
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_profile_is_one_sentence_each(case: str, tmp_path: Path) -> None:
    """Exit code 2, at once, and nothing but sentences."""
    profile = tmp_path / "p.toml"
    if case == "a pipe":
        os.mkfifo(profile)
    else:
        profile.write_text('name = "p"\n[workloads.web]\nengine = "docker"\nimage = "redis"\nready = "running"\n')
    command = [sys.executable, "-m", "density", "run", "--dry-run", str(profile), *HOSTILE[case]]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert all(line.startswith("error: ") for line in done.stderr.splitlines())


def test_an_odd_regular_expression_is_no_line_on_the_terminal(recwarn: pytest.WarningsRecorder) -> None:
    """What Python warns its programmers of is nothing for who writes a profile."""
    loaded = load_profile("redis", overrides=["workloads.redis.ready=log:[[a]"])
    assert loaded.workloads[0].ready.argument == "[[a]"
    assert not recwarn.list


def test_minus_zero_is_zero(tmp_path: Path) -> None:
    """What is kept of the profile can be read again."""
    keys = ["ramp.settle=-0.0", "objectives.cpu_busy=-0.0", "simulated.noise=-0.0"]
    loaded = load_profile("simulated", overrides=keys)
    (tmp_path / "p.toml").write_text(profile_to_toml(loaded))
    assert load_profile(tmp_path / "p.toml") == loaded


@pytest.mark.parametrize(("name", "text"), [("d.toml", f"web = {DIGITS}"), ("d.toml", "a." * 600 + "a = 1"),
                                            ("d.csv", f"web,{DIGITS}"), ("d.csv", "web," + "x" * 200_000)])  # fmt: skip
def test_a_hostile_demand_is_one_sentence(name: str, text: str, tmp_path: Path) -> None:
    """Of a file that somebody exported; of hosts and prices likewise."""
    (tmp_path / name).write_text(text)
    assert density("plan", "--demand", str(tmp_path / name))[0] == 2
    hosts = ("--hosts", str(tmp_path / name)) if name.endswith("toml") else ("--host", text)
    assert density("plan", "--demand", "web=1", *hosts)[0] == 2


def test_a_host_file_with_a_pipe_does_not_block(tmp_path: Path) -> None:
    """Nor does a demand."""
    os.mkfifo(tmp_path / "d.csv")
    assert density("plan", "--demand", str(tmp_path / "d.csv"))[0] == 2
