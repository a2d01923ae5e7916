"""Building an image from a Dockerfile, and building it again after its program changed."""

import io
import tarfile
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio
from docker import APIClient
from docker.errors import APIError

from density.engines.docker.answers import HistoryStep, Image, Step
from density.engines.docker.asking import connected
from density.engines.docker.client import Clients, is_missing
from density.errors import DensityError
from density.model import LABEL
from density.threads import in_thread

REPOSITORY = "density-built"
BUILD_SECONDS = 900.0
DOCKERFILE = """\
FROM scratch
COPY base /base
COPY payload /payload
ENTRYPOINT ["/payload"]
"""


@dataclass(frozen=True, slots=True)
class Built:
    """An image built twice.

    Attributes:
        seconds: the first time, with nothing to take over.
        again_seconds: with another program; the files below it are taken over.
        image_bytes: of the image.
        again_bytes: of the layers that the second build added.
    """

    seconds: float
    again_seconds: float
    image_bytes: int
    again_bytes: int


async def build_twice(endpoint: str, *, run_id: str, base: bytes, programs: tuple[bytes, bytes]) -> Built:
    """Build an image of `base` and the first program, then one with the second; both are removed.

    Raises:
        EngineUnavailable: the daemon does not answer.
        DensityError: it does not build them.
    """
    async with (
        connected(endpoint) as clients,
        _image(clients, run_id, base, programs[0], fresh=True) as (seconds, first),
        _image(clients, run_id, base, programs[1], fresh=False) as (again_seconds, second),
    ):
        steps = HistoryStep.list_of(await clients.call(lambda client: client.history(second.id)))  # type: ignore[no-untyped-call]
    added = added_bytes([step.size for step in steps], first, second)
    return Built(seconds, again_seconds, first.size, added)


def added_bytes(sizes: list[int], first: Image, second: Image) -> int:
    """Bytes of the layers that the second image does not share with the first.

    Args:
        sizes: of the second image's history, the newest step first; steps without a layer have 0.
        first, second: the images.
    """
    known = set(first.root.layers)
    newest = [size for size in sizes if size > 0]
    return sum(size for layer, size in zip(reversed(second.root.layers), newest, strict=False) if layer not in known)


@asynccontextmanager
async def _image(
    clients: Clients, run_id: str, base: bytes, program: bytes, *, fresh: bool
) -> AsyncGenerator[tuple[float, Image]]:
    tag = f"{REPOSITORY}:{run_id}-{'first' if fresh else 'again'}"
    context = await in_thread(context_tar, base, program)
    try:
        began = anyio.current_time()
        await clients.call(
            lambda client: _build(client, context, tag, {LABEL: run_id}, fresh=fresh), seconds=BUILD_SECONDS
        )
        seconds = anyio.current_time() - began
        yield seconds, Image.of(await clients.call(lambda client: client.inspect_image(tag)))  # type: ignore[no-untyped-call]
    finally:
        with anyio.CancelScope(shield=True):
            await clients.call(lambda client: _forget(client, tag))


def context_tar(base: bytes, program: bytes) -> bytes:
    """What the daemon builds from."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in (("Dockerfile", DOCKERFILE.encode()), ("base", base), ("payload", program)):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o755
            tar.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def _build(client: APIClient, context: bytes, tag: str, labels: Mapping[str, str], *, fresh: bool) -> None:
    steps = client.build(
        fileobj=io.BytesIO(context), custom_context=True, tag=tag, labels=dict(labels), nocache=fresh, rm=True,
        forcerm=True, decode=True,
    )  # fmt: skip
    for step in map(Step.of, steps):
        if step.error:
            raise DensityError(f"docker: the image was not built: {' '.join(step.error.split())}")


def _forget(client: APIClient, tag: str) -> None:
    try:
        client.remove_image(tag, force=True)
    except APIError as error:
        if not is_missing(error):
            raise
