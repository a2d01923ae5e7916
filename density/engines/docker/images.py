"""Images before any clock starts: the payload's is made here, others are found or pulled."""

import hashlib
import io
import json
import tarfile
import threading
import time
from collections.abc import Iterable
from typing import Any

from docker import APIClient
from docker.errors import APIError, ImageNotFound

from density.engines.docker.client import CLIENT_ERRORS, is_missing, words
from density.errors import UsageError
from density.model import LABELS

PAYLOAD_REPOSITORY = "density-payload"
PAYLOAD_LABEL = f"{LABELS}.image"
PAYLOAD_PATH = "/payload"
CHANNEL_MOUNT = "/run/density"
PULL_SECONDS = 900
_NO_SUCH_CALL = "page not found"
"""What a daemon says that cannot ask a registry, such as Podman's."""


def payload_tag(binary: bytes) -> str:
    """The payload image's name: it follows from the binary, so a new binary makes a new image."""
    return f"{PAYLOAD_REPOSITORY}:{hashlib.sha256(binary).hexdigest()[:12]}"


def payload_tar(binary: bytes) -> bytes:
    """The payload image's only layer: the binary and the place where its channel is mounted."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for directory in ("run", CHANNEL_MOUNT.lstrip("/")):
            entry = tarfile.TarInfo(directory)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
        entry = tarfile.TarInfo(PAYLOAD_PATH.lstrip("/"))
        entry.size, entry.mode = len(binary), 0o755
        tar.addfile(entry, io.BytesIO(binary))
    return buffer.getvalue()


def ensure_payload(client: APIClient, binary: bytes) -> str:
    """Name of the payload's image, made from nothing where it is missing. Blocks.

    Raises:
        UsageError: the daemon would not take it.
    """
    name = payload_tag(binary)
    if find(client, name) is None:
        repository, tag = name.split(":")
        changes = [f'ENTRYPOINT ["{PAYLOAD_PATH}"]', f"LABEL {PAYLOAD_LABEL}=payload"]
        try:
            client.import_image_from_data(payload_tar(binary), repository=repository, tag=tag, changes=changes)
        except APIError as error:
            raise UsageError(f"the payload's image could not be made: {words(error)}") from error
    return name


def ensure(client: APIClient, reference: str, cancelled: threading.Event) -> dict[str, Any]:
    """What the daemon knows of an image, pulled where it is missing. Blocks, for a pull up to 15 minutes.

    Raises:
        UsageError: it is not there and cannot be pulled.
    """
    found = find(client, reference)
    if found is None:
        pull(client, reference, cancelled)
        found = find(client, reference)
    if found is None:
        raise _missing(reference, "it was pulled, yet it is not there")
    return found


def find(client: APIClient, reference: str) -> dict[str, Any] | None:
    """What the daemon knows of an image; None where it has none of that name.

    Raises:
        UsageError: that is no name of an image.
    """
    try:
        found: dict[str, Any] = client.inspect_image(reference)  # type: ignore[no-untyped-call]
    except ImageNotFound:
        return None
    except APIError as error:
        raise _missing(reference, words(error)) from error
    return found


def ask_registry(client: APIClient, reference: str) -> None:
    """Find out whether an image could be pulled, and pull nothing. Blocks, for as long as the registry takes.

    Raises:
        UsageError: it could not.
    """
    try:
        client.inspect_distribution(reference)  # type: ignore[no-untyped-call]
    except CLIENT_ERRORS as error:
        if not (is_missing(error) and _NO_SUCH_CALL in words(error).lower()):
            raise _missing(reference, words(error)) from error


def pull(client: APIClient, reference: str, cancelled: threading.Event) -> None:
    """Pull an image; gives up after 15 minutes, or when told so."""
    deadline = time.monotonic() + PULL_SECONDS
    # Without a tag the API would pull every tag there is.
    name = reference if "@" in reference or ":" in reference.rpartition("/")[2] else f"{reference}:latest"
    try:
        for chunk in client.pull(name, stream=True):
            problem = parse_problem(chunk.decode(errors="replace").splitlines())
            if problem:
                raise _missing(reference, problem)
            if cancelled.is_set() or time.monotonic() > deadline:
                raise _missing(reference, f"the pull was not over in {PULL_SECONDS} s")
    except CLIENT_ERRORS as error:
        raise _missing(reference, words(error)) from error


def parse_problem(lines: Iterable[str]) -> str:
    """The error in a pull's progress, one JSON document a line; empty where there is none."""
    for line in lines:
        try:
            said = json.loads(line)
        except ValueError:
            continue
        if isinstance(said, dict) and said.get("error"):
            return " ".join(str(said["error"]).split())
    return ""


def _missing(reference: str, said: str) -> UsageError:
    return UsageError(
        f"image {reference!r} cannot be had: {said} (load it with `docker pull {reference}`, `docker load` or"
        " `docker import`)"
    )
