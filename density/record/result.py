"""Reading `result.json`: what others than its run want to know of it, whoever wrote it."""

from pathlib import Path

from pydantic import BaseModel, Field, FiniteFloat, NonNegativeInt, ValidationError

from density.documents import read_document
from density.errors import RecordError

MOST_BYTES = 64 * 2**20
MOST_COUNT = 2**53


class _Part(BaseModel, frozen=True):
    pass


class Count(_Part):
    """One of the three capacities; `count` is None where nothing was measured."""

    count: int | None = Field(ge=0, le=MOST_COUNT)


class Capacity(_Part):
    """The three capacities, as far as anybody asks for them."""

    hard: Count


class Verdict(_Part):
    """What stopped the ramp."""

    ceiling: str = ""


class Host(_Part):
    """How VMs booted: `kvm`, `tcg`, or empty where there were none."""

    accelerator: str = ""


class Held(_Part):
    """How much of the run its record holds; `missing` by kind of event, `lacks` in words for a person."""

    complete: bool
    last_event_at: FiniteFloat | None = None
    missing_events: int | None = Field(default=None, ge=0, le=MOST_COUNT)
    missing: dict[str, NonNegativeInt] = Field(default_factory=dict)
    lacks: tuple[str, ...] = ()


class KeptResult(_Part):
    """A result document; `started` is UNIX seconds."""

    run_id: str
    started: FiniteFloat
    profile: str
    outcome: str
    capacity: Capacity
    verdict: Verdict | None
    host: Host = Host()
    record: Held | None = None
    warnings: tuple[str, ...] = ()


def read_result(path: Path) -> KeptResult:
    """The document of a run.

    Raises:
        FileNotFoundError: there is none, as of a run that goes on or was cut off.
        RecordError: it is damaged, or cannot be read.
    """
    try:
        return KeptResult.model_validate_json(read_document(path, most_bytes=MOST_BYTES))
    except FileNotFoundError:
        raise
    except ValidationError as error:
        raise RecordError(f"{path.name} is damaged") from error
    except ValueError as error:
        raise RecordError(f"{path.name} is damaged: {error}") from error
    except OSError as error:
        raise RecordError(f"{path.name} cannot be read: {error.strerror}") from error
