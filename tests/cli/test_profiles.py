"""`density profiles`, `density schema`, and the tables they are shown in."""

import json
from pathlib import Path

import pytest

from density.cli import main
from density.cli.tables import table
from density.profile.schema import profile_schema
from density.profile.source import shipped_directory, shipped_profiles


def test_the_list_names_every_profile(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """With its engines and what it is, in 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["profiles"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["NAME", "ENGINES", "WHAT"]
    assert [line.split()[0] for line in lines[1:] if not line.startswith(" ")] == list(shipped_profiles())
    assert max(map(len, lines)) <= 80


def test_a_profile_is_printed_as_its_file_is(capsys: pytest.CaptureFixture[str]) -> None:
    """Comments and all, so that it can be copied and changed; an editor finds the schema from wherever the copy is."""
    assert main(["profiles", "quickstart"]) == 0
    first, _, rest = capsys.readouterr().out.partition("\n")
    assert rest == (shipped_directory() / "quickstart.toml").read_text(encoding="utf-8").partition("\n")[2]
    schema = Path(first.removeprefix("#:schema "))
    assert schema.is_absolute()
    assert json.loads(schema.read_text(encoding="utf-8")) == profile_schema()


def test_a_profile_that_does_not_ship(capsys: pytest.CaptureFixture[str]) -> None:
    """The message names those that do."""
    assert main(["profiles", "x"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: no shipped profile is called 'x'; there are containers, lxc, memcached, mixed, ")


def test_the_schema_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    """What is printed is the schema itself."""
    assert main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out) == profile_schema()


def test_the_last_column_wraps() -> None:
    """Under its own beginning, and nothing is cut off."""
    shown = table(("A", "B"), [("x", "one two three four five six"), ("long", "")], width=26)
    assert shown == "A     B\nx     one two three four\n      five six\nlong"
