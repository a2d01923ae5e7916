"""Events survive the way through JSON."""

import json
import math
import sqlite3
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType, UnionType
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from density.events import CeilingForecast, Event, Forecasted, HostFound, HostSampled, InstanceChanged, ProbeMeasured
from density.model import Failure, OwnLimit, Phase
from density.record.codec import decode, encode


def _dictionary(kind: type) -> st.SearchStrategy[dict[object, object]]:
    key, value = get_args(kind)
    return st.dictionaries(_any(key), _any(value), max_size=5)


def _any(kind: type | UnionType) -> st.SearchStrategy[object]:
    return st.from_type(kind)  # type: ignore[arg-type]  # a union is a type to hypothesis


# The record gives mappings back as dictionaries, which is all that events are made of.
st.register_type_strategy(Mapping, _dictionary)
EVENTS: st.SearchStrategy[Event] = st.from_type(Event)  # type: ignore[arg-type]


def _readable(event: Event) -> bool:
    """The one known loss: a host fact that is NaN comes back as the text."""
    facts = event.facts.values() if isinstance(event, HostFound) else ()
    return not any(isinstance(fact, float) and math.isnan(fact) for fact in facts)


@given(EVENTS.filter(_readable))
def test_any_event_comes_back_the_same(event: Event) -> None:
    """Decoding gives the very event that was encoded: types, order, infinities, NaN and minus zero included."""
    assert repr(decode(encode(event))) == repr(event)


@given(EVENTS)
def test_any_body_is_json_that_sqlite_accepts(event: Event) -> None:
    """SQL can look into every body, whatever numbers are in it."""
    body = encode(event)
    with sqlite3.connect(":memory:") as connection:
        assert connection.execute("SELECT json_valid(?)", (body,)).fetchone() == (1,)
    connection.close()
    json.loads(body, parse_constant=pytest.fail)


def test_infinity_is_a_number_for_sql() -> None:
    """SQL compares an infinite forecast as a number."""
    event = Forecasted(1.0, (CeilingForecast("a", "", 1.0, 2.0, 0.0, math.inf, -math.inf, math.inf),))
    with sqlite3.connect(":memory:") as connection:
        row = connection.execute(
            "SELECT json_extract(:body, '$.ceilings[0].count') > 1e300,"
            " json_extract(:body, '$.ceilings[0].low') < -1e300",
            {"body": encode(event)},
        ).fetchone()
    connection.close()
    assert row == (1, 1)


def test_words_that_look_like_constants_stay_words() -> None:
    """A message that says Infinity or NaN, in quotes or not, is left alone."""
    event = ProbeMeasured(math.inf, 'Infinity "NaN" \\', "-Infinity", math.nan)
    assert repr(decode(encode(event))) == repr(event)


def test_read_only_mappings_are_taken() -> None:
    """Any mapping will do for an event, and comes back as a dictionary."""
    assert decode(encode(HostSampled(1.0, MappingProxyType({"a": 1.0}), 0.0))) == HostSampled(1.0, {"a": 1.0}, 0.0)


def test_lone_surrogates_become_question_marks() -> None:
    """Bytes that an engine printed and nobody could decode do not cost the event."""
    event = InstanceChanged(math.inf, "a", "w", Phase.FAILED, Failure("engine", "a\udcffb NaN"), MappingProxyType({}))
    assert decode(encode(event)) == replace(event, failure=Failure("engine", "a?b NaN"), details={})


def test_what_is_no_event_is_a_value_error() -> None:
    """A body of an unknown kind is refused, not guessed."""
    with pytest.raises(ValueError, match="Input tag 'unknown' found using 'kind' does not match"):
        decode('{"at": 1.0, "kind": "unknown"}')


def test_a_failure_of_an_older_record_is_read() -> None:
    """A failure that was recorded before exit codes and own limits were has neither of them."""
    body = (
        '{"at": 1.0, "instance_id": "a", "workload": "w", "phase": "lost", "kind": "instance_changed",'
        ' "failure": {"kind": "exited", "message": "gone", "evidence": ["x"]}, "details": {}}'
    )
    event = decode(body)
    assert isinstance(event, InstanceChanged)
    assert event.failure == Failure("exited", "gone", ("x",), exit_code=None, signal="", own_limits=())


def test_own_limits_come_back() -> None:
    """What is recorded of an instance's own limits is read again with its types."""
    own = OwnLimit("memory.instance", 67108864.0, 67108864.0, 12)
    failure = Failure("oom_killed", "gone", (), 137, "SIGKILL", (own,))
    event = InstanceChanged(1.0, "a", "w", Phase.LOST, failure)
    assert decode(encode(event)) == event
