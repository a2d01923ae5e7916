"""Images before any clock starts: the payload's is made here, others are found or pulled."""

import hashlib
import io
import shlex
import tarfile
from collections.abc import Iterable
from contextlib import suppress

from docker import APIClient
from docker.errors import APIError, NotFound

from density.engines.docker.answers import Image, MalformedAnswerError, Step, parse_json
from density.engines.docker.client import CLIENT_ERRORS, is_at_fault, is_missing, words
from density.errors import UsageError
from density.model import LABELS

PAYLOAD_REPOSITORY = "density-payload"
PAYLOAD_LABEL = f"{LABELS}.image"
PAYLOAD_PATH = "/payload"
CHANNEL_MOUNT = "/run/density"
PULL_SECONDS = 900.0
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


def ensure(client: APIClient, reference: str) -> Image:
    """What the daemon knows of an image, pulled where it is missing. Blocks, for as long as a pull takes.

    Raises:
        UsageError: it is not there and cannot be pulled.
    """
    found = find(client, reference)
    if found is None:
        pull(client, reference)
        found = find(client, reference)
    if found is None:
        raise missing(reference, "it was pulled, yet it is not there")
    return found


def find(client: APIClient, reference: str) -> Image | None:
    """What the daemon knows of an image; None where it has none of that name.

    Raises:
        UsageError: that is no name of an image.
    """
    try:
        return Image.of(client.inspect_image(reference))  # type: ignore[no-untyped-call]
    except NotFound:
        return None
    except APIError as error:
        if is_at_fault(error):
            raise
        raise missing(reference, words(error)) from error


def ask_registry(client: APIClient, reference: str) -> None:
    """Find out whether an image could be pulled, and pull nothing. Blocks, for as long as the registry takes.

    Raises:
        UsageError: it could not.
    """
    try:
        client.inspect_distribution(reference)  # type: ignore[no-untyped-call]
    except CLIENT_ERRORS as error:
        if not (is_missing(error) and _NO_SUCH_CALL in words(error).lower()):
            raise missing(reference, words(error)) from error


def pull(client: APIClient, reference: str) -> None:
    """Pull an image. Blocks, for as long as that takes.

    Raises:
        UsageError: it could not be pulled.
    """
    # Without a tag the API would pull every tag there is.
    name = reference if "@" in reference or ":" in reference.rpartition("/")[2] else f"{reference}:latest"
    try:
        for chunk in client.pull(name, stream=True):
            if problem := parse_problem(chunk.decode(errors="replace").splitlines()):
                raise missing(reference, problem)
    except CLIENT_ERRORS as error:
        raise missing(reference, words(error)) from error


def parse_problem(lines: Iterable[str]) -> str:
    """The error in a pull's progress, one JSON document a line; empty where there is none."""
    for line in lines:
        with suppress(MalformedAnswerError):  # half a line
            if said := Step.of(parse_json(line)).error:
                return " ".join(said.split())
    return ""


def missing(reference: str, said: str) -> UsageError:
    """The error for an image that is not there and cannot be got, with the daemon's or the registry's words."""
    pull = f"docker pull {shlex.quote(reference)}"
    return UsageError(
        f"image {reference!r} cannot be had: {said} (load it with `{pull}`, `docker load` or `docker import`)"
    )
