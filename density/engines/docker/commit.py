"""Saving a container's state: its files as an image (commit), and a container from that image."""

import io
import os
import tarfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio

from density.engines.base import EngineContext
from density.engines.docker import images, removal
from density.engines.docker.answers import ArchiveFile, Image
from density.engines.docker.asking import connected
from density.engines.docker.client import Clients
from density.engines.docker.spec import container_document
from density.errors import DensityError
from density.model import Workload, object_name
from density.payload.build import payload_binary
from density.payload.channel import ChannelClosed
from density.threads import in_thread

REPOSITORY = "density-saved"
STATE = "state"
READY_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Saved:
    """One container committed, and one run from it.

    Attributes:
        seconds: the commit.
        added_bytes: what the image has beyond the one that the container was made from.
        restore_seconds: from the request for a container of that image until its payload was ready.
    """

    seconds: float
    added_bytes: int
    restore_seconds: float


class Committer:
    """Commits containers of one daemon; whatever it makes, it removes."""

    def __init__(self, context: EngineContext, clients: Clients) -> None:
        self._context = context
        self._clients = clients

    async def save(self, workload: Workload, ids: tuple[str, str], *, state_bytes: int) -> Saved:
        """Run the payload, give it a file, commit it, remove it, and run another from the image; as `save`."""
        path = await payload_binary(self._context.cache_dir)
        binary = await in_thread(path.read_bytes)
        image = await self._clients.call(lambda client: images.ensure_payload(client, binary))
        async with self._container(workload, ids[0], image) as container:
            work = self._clients.patience.work
            await self._clients.call(
                lambda client: client.put_archive(container, "/", _state(state_bytes)), seconds=work
            )
            began = anyio.current_time()
            async with self._committed(container) as saved:
                seconds = anyio.current_time() - began
                added = await self._size(saved) - await self._size(image)
                restored = await self._restored(workload, ids[1], saved, state_bytes)
        return Saved(seconds, added, restored)

    async def _restored(self, workload: Workload, instance_id: str, image: str, state_bytes: int) -> float:
        began = anyio.current_time()
        async with self._container(workload, instance_id, image) as container:
            seconds = anyio.current_time() - began
            _, found = await self._clients.call(lambda client: client.get_archive(container, f"/{STATE}"))
        size = ArchiveFile.of(found).size
        if size != state_bytes:
            raise DensityError(f"docker: the committed image has {size} of {state_bytes} bytes")
        return seconds

    async def _size(self, image: str) -> int:
        found = await self._clients.call(lambda client: client.inspect_image(image))  # type: ignore[no-untyped-call]
        return Image.of(found).size

    @asynccontextmanager
    async def _container(self, workload: Workload, instance_id: str, image: str) -> AsyncGenerator[str]:
        """A container that is ready; its name."""
        channel, name = self._context.channel, object_name(self._context.run_id, instance_id)
        document = container_document(
            workload,
            instance_id,
            image=image,
            context=self._context,
            cgroup_driver="",
            secret=channel.expect(instance_id),
        )
        try:
            work = self._clients.patience.work
            await self._clients.call(
                lambda client: client.create_container_from_config(document, name),  # type: ignore[no-untyped-call]
                seconds=work,
                makes=True,
            )
            await self._clients.call(lambda client: client.start(name), seconds=work, makes=True)
            with anyio.fail_after(READY_SECONDS):
                await channel.hello(instance_id)
            yield name
        except (TimeoutError, ChannelClosed) as error:
            raise DensityError(f"docker: {instance_id} did not become ready") from error
        finally:
            with anyio.CancelScope(shield=True):
                channel.forget(instance_id)
                await removal.for_each([name], lambda each: removal.remove(self._clients, each), removal.Pace(1))

    @asynccontextmanager
    async def _committed(self, container: str) -> AsyncGenerator[str]:
        """The image of a container as it is now; it has the container's labels, and so the run's."""
        name = f"{REPOSITORY}:{self._context.run_id}"
        try:
            await self._clients.call(
                lambda client: client.commit(container, repository=REPOSITORY, tag=self._context.run_id),
                seconds=self._clients.patience.work,
                makes=True,
            )
            yield name
        finally:
            with anyio.CancelScope(shield=True):
                await removal.remove_image(self._clients, name)


async def save(
    endpoint: str, context: EngineContext, workload: Workload, ids: tuple[str, str], *, state_bytes: int
) -> Saved:
    """Commit one container of the payload, and run another from the image.

    Args:
        ids: of the two instances.
        state_bytes: of a file that the first one is given and the second one has to have.

    Raises:
        DensityError: one did not become ready, or the second one lacks the file, or the daemon said no.
        EngineUnavailable: the daemon does not answer.
    """
    async with connected(endpoint) as clients:
        return await Committer(context, clients).save(workload, ids, state_bytes=state_bytes)


def _state(size: int) -> bytes:
    """A tar with one file that nothing can compress."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        entry = tarfile.TarInfo(STATE)
        entry.size = size
        tar.addfile(entry, io.BytesIO(os.urandom(size)))
    return buffer.getvalue()
