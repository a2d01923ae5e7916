"""The JSON Schema: what editors and other programs know of profiles."""

import json
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from density.profile.load import load_profile, profile_to_toml
from density.profile.schema import profile_schema
from density.profile.source import shipped_directory, shipped_profiles

FIRST_LINE = "#:schema ./profile.schema.json"


def test_the_committed_schema_is_the_one_that_density_prints() -> None:
    """`density schema > profiles/profile.schema.json` was not forgotten."""
    committed = json.loads((shipped_directory() / "profile.schema.json").read_text(encoding="utf-8"))
    assert committed == profile_schema()


def test_it_is_a_schema_that_says_everything() -> None:
    """Valid for its draft; every key has a description, and no table takes keys that it does not name."""
    schema = profile_schema()
    Draft202012Validator.check_schema(schema)
    for place, table in _tables(schema):
        assert table["additionalProperties"] is False, place
        for key, field in table["properties"].items():
            assert "description" in field or "$ref" in field, f"{place}.{key}"
            assert "\n" not in field.get("description", "")


def _tables(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    yield "", schema
    yield from schema["$defs"].items()


@pytest.mark.parametrize("name", shipped_profiles())
def test_shipped_profiles_are_valid_and_name_it(name: str) -> None:
    """As they are in the file, and with every default."""
    validator = Draft202012Validator(profile_schema())
    text = (shipped_directory() / f"{name}.toml").read_text(encoding="utf-8")
    assert text.startswith(FIRST_LINE + "\n")
    validator.validate(tomllib.loads(text))
    validator.validate(tomllib.loads(profile_to_toml(load_profile(name))))


INVALID: list[dict[str, Any]] = [
    {},
    {"name": "x", "workloads": {}},
    {"name": "X y", "workloads": {"w": {"engine": "docker"}}},
    {"name": "x", "workloads": {"W": {"engine": "docker"}}},
    {"name": "x", "workloads": {"w": {}}},
    {"name": "x", "workloads": {"w": {"engine": "podman"}}},
    {"name": "x", "workloads": {"w": {"engine": "docker", "memroy": 1}}},
    {"name": "x", "workloads": {"w": {"engine": "docker", "memory": "64mb"}}},
    {"name": "x", "workloads": {"w": {"engine": "docker", "share": 0}}},
    {"name": "x", "workloads": {"w": {"engine": "docker", "ready": "tcp"}}},
    {"name": "x", "workloads": {"w": {"engine": "docker"}}, "ramp": {"factor": 1}},
    {"name": "x", "workloads": {"w": {"engine": "docker"}}, "ramp": {"waves": [0]}},
]


@pytest.mark.parametrize("document", INVALID, ids=repr)
def test_it_refuses_what_density_refuses(document: dict[str, Any]) -> None:
    """An editor underlines the mistakes that can be seen without knowing what other keys say."""
    assert not Draft202012Validator(profile_schema()).is_valid(document)
