"""Every alert fires when it should, by Prometheus' own test runner, and says what is so and what to do."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

CASES = Path(__file__).parent / "alerts.yml"
RULES = Path(__file__).parents[2] / "grafana/alerts.yml"


def rules() -> list[dict[str, Any]]:
    """Every rule."""
    return [rule for group in yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"] for rule in group["rules"]]


@pytest.mark.tools("promtool")
def test_each_fires_when_it_should() -> None:
    """The cases of `alerts.yml` beside this file: series that bring an alert about, and moments before."""
    done = subprocess.run(["promtool", "test", "rules", CASES], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_has_a_case() -> None:
    """An alert that nobody brings about is not known to work."""
    cases = CASES.read_text(encoding="utf-8")
    assert [rule["alert"] for rule in rules() if rule["alert"] not in cases] == []


def test_each_says_what_and_what_to_do() -> None:
    """A summary with the case's own words in it, a description, and how bad it is."""
    for rule in rules():
        assert rule["alert"].startswith("Density")
        assert "{{" in rule["annotations"]["summary"] or rule["alert"] == "DensityRunStuck"
        assert rule["annotations"]["description"].strip().endswith(".")
        assert rule["labels"]["severity"] in {"warning", "critical"}
