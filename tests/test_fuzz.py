"""The short form of the fuzzing that `make torture` does for long (tests/torture/torture_fuzz.py)."""

from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.fuzzing import bodies, command_line, density, in_time, profile, put_run, read_profile, read_run, talk
from support.recorded_runs import events_of, record

from density.controller.session import RESULT
from density.events import RunStarted
from density.payload.protocol import LINE_LIMIT, Lines, clean, parse, parse_console
from density.report import recorded

RUN = "20260101-000000-0000"
seeds = st.randoms(use_true_random=False)
quick = settings(deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nobody damaged."""
    first, *rest = events_of("max")
    assert isinstance(first, RunStarted)
    return record([replace(first, run_id="whole"), *rest], tmp_path_factory.mktemp("whole") / "whole")


@pytest.fixture(scope="module")
def result(whole: Path) -> dict[str, Any]:
    """Its document."""
    return recorded.read_run(whole).result


@given(rng=seeds)
@settings(quick, max_examples=300)
def test_any_profile_is_one_or_is_sentences(rng: Random, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Never a traceback nor a hang; what is a profile is the same when it was written and read again."""
    with in_time():
        read_profile(profile(rng), tmp_path_factory.getbasetemp() / "fuzzed.toml")


@given(rng=seeds)
@settings(quick, max_examples=25)
def test_any_record_is_read_or_is_a_sentence(
    rng: Random, whole: Path, result: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """By the commands that read them: truncated, with turned bits, of a newer version, with odd names and numbers."""
    directory = tmp_path_factory.getbasetemp() / "fuzzed" / RUN
    directory.mkdir(parents=True, exist_ok=True)
    put_run(rng, directory, bodies(events_of("max")), result)
    read_run(directory, whole, only=lambda name: name in ("report json", "export", "plan", "compare json", "runs"))


@given(rng=seeds)
@settings(quick, max_examples=100)
def test_any_result_is_a_row_of_the_list(
    rng: Random, result: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """As `density runs` shows it, and without a word on standard error."""
    directory = tmp_path_factory.getbasetemp() / "results" / RUN
    directory.mkdir(parents=True, exist_ok=True)
    put_run(rng, directory, bodies(events_of("max")[:1]), result)
    assert (directory / RESULT).exists()
    assert density("runs", "--json", "--runs-dir", str(directory.parent)) == (0, "")


@given(rng=seeds)
@settings(quick, max_examples=60)
def test_any_command_line_is_one_or_is_a_sentence(
    rng: Random, whole: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Names of files that are too long, numbers of 5,000 digits, bytes that are no text, everything twice."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.getbasetemp())
        density(*command_line(rng, whole, whole))


@given(rng=seeds, size=st.integers(1, 700))
@settings(quick, max_examples=100)
def test_anything_that_payloads_say_is_lines(rng: Random, size: int) -> None:
    """However it arrives: bounded lines, and words of the protocol or none."""
    data, lines = talk(rng), Lines()
    for at in range(0, len(data), size):
        for line in lines.feed(data[at : at + size]):
            assert len(line) <= LINE_LIMIT
            text = clean(line)
            parse(text)
            parse_console(text)
        assert len(lines.rest) <= LINE_LIMIT
