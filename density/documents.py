"""Files that somebody else may have written, read so that none can block, fill the memory or surprise the reader."""

import json
import os
import select
import stat
import time
from pathlib import Path
from typing import Any

MOST_BYTES = 2**20
"""Of what a person writes; no profile, demand or price list comes near it."""
PIPE_SECONDS = 5.0
"""How long a pipe may take to deliver everything."""
_CHUNK = 2**16


def read_document(path: Path, *, most_bytes: int = MOST_BYTES, pipes: bool = False) -> str:
    """The text of a file in UTF-8, without a byte order mark.

    Args:
        path: of a file.
        most_bytes: a larger one is refused before it fills the memory.
        pipes: whether it may be a pipe or a terminal as well, such as /dev/stdin; then what comes in PIPE_SECONDS.

    Raises:
        OSError: it cannot be opened or read.
        ValueError: it is no such file; the message goes on after its name: `not a text file in UTF-8: ...`.
    """
    file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    try:
        mode = os.fstat(file).st_mode
        if stat.S_ISDIR(mode):
            os.read(file, 1)  # raises what the system says
        if not stat.S_ISREG(mode) and not pipes:
            raise ValueError("not a file but a pipe, socket or device")
        raw = _read(file, most_bytes + 1)
    finally:
        os.close(file)
    if len(raw) > most_bytes:
        raise ValueError(f"larger than {most_bytes // 2**20} MiB")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        found = error.object[error.start]
        raise ValueError(f"not a text file in UTF-8: byte {error.start + 1} is {found:#04x}") from error


def _read(file: int, most: int) -> bytes:
    data = bytearray()
    deadline = time.monotonic() + PIPE_SECONDS
    while len(data) < most:
        try:
            chunk = os.read(file, min(_CHUNK, most - len(data)))
        except BlockingIOError:  # a pipe whose writer goes on
            if not select.select([file], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise ValueError(f"a pipe from which not everything came within {PIPE_SECONDS:g} s") from None
            continue
        if not chunk:
            break
        data += chunk
    return bytes(data)


def parse_json(text: str) -> Any:  # noqa: ANN401 — any JSON
    """The value of a JSON text.

    Raises:
        ValueError: it is none, is nested too deeply, or has a number that is too long.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
