"""The corpus of error texts: every text that engines and applications are known to print has its kind."""

import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest

from density.ceilings.catalog import CATALOG
from density.ceilings.errors import EXHAUSTION, OTHER_KINDS, classify, heard

CORPUS: Mapping[str, list[dict[str, list[list[str]]]]] = tomllib.loads(
    Path(__file__).with_name("corpus.toml").read_text(encoding="utf-8")
)
ENGINE = [(text, kind) for group in CORPUS["engine"] for text, kind in group["texts"]]
APPLICATION = [(text, kind) for group in CORPUS["application"] for text, kind in group["texts"]]
ORDINARY: list[str] = tomllib.loads(Path(__file__).with_name("ordinary.toml").read_text(encoding="utf-8"))["texts"]
WITHOUT_A_CEILING = {"file_locks", "locked_memory", "message_queues"}
"""Kinds that are recognised, of what no sensor and no row of the catalogue has."""


@pytest.mark.parametrize(("text", "kind"), ENGINE)
def test_an_engines_words_have_their_kind(text: str, kind: str) -> None:
    """One kind each, whatever else the sentence mentions."""
    assert classify(text) == kind


@pytest.mark.parametrize(("text", "kind"), APPLICATION)
def test_an_applications_last_words_have_their_kind(text: str, kind: str) -> None:
    """Amid lines that say nothing; what is the program's own affair has none."""
    found = heard(["starting", text, "bye"])
    assert (found.kind if found else "") == kind
    assert found is None or found.line == text


def test_the_corpus_is_large_and_knows_no_kind_that_nothing_gives() -> None:
    """At least 150 texts, each once; every kind that means exhaustion is met, and is some ceiling's."""
    texts = [text for text, _ in ENGINE + APPLICATION]
    kinds = {kind for _, kind in ENGINE + APPLICATION} - {""}
    caused = {kind for ceiling in CATALOG for kind in ceiling.errors}
    assert len(texts) == len(set(texts)) >= 150
    assert kinds <= EXHAUSTION | OTHER_KINDS
    assert kinds >= EXHAUSTION
    assert EXHAUSTION - caused == WITHOUT_A_CEILING


def test_the_last_line_that_names_something_is_taken() -> None:
    """A program may go on after a first error, and print more that names nothing."""
    lines = ["Too many open files", "retrying", "write: No space left on device", "", "giving up"]
    found = heard(lines)
    assert found is not None
    assert (found.kind, found.line) == ("no_space", "write: No space left on device")


@pytest.mark.parametrize("text", ORDINARY)
def test_a_line_of_an_ordinary_log_is_no_reason(text: str) -> None:
    """It may name what can run out, count failures that did not happen, or say what the program would do."""
    assert heard([text]) is None


def test_the_ordinary_lines_are_many() -> None:
    """At least 50, each once."""
    assert len(ORDINARY) == len(set(ORDINARY)) >= 50
