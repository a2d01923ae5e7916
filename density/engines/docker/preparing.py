"""What has to be true of a workload before any clock starts."""

import shlex
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TypeVar

import anyio
from docker import APIClient
from docker.errors import APIError, NotFound
from requests.exceptions import Timeout

from density.engines.base import EngineContext
from density.engines.docker import images, networks
from density.engines.docker.answers import DockerNetwork, Image
from density.engines.docker.client import Clients, is_at_fault, words
from density.engines.docker.health import healthcheck_of
from density.engines.docker.netns import may_enter
from density.engines.docker.owners import may_look
from density.engines.docker.readiness import HOST_NETWORK
from density.engines.docker.spec import is_payload
from density.errors import UsageError
from density.model import Prepared, Workload
from density.payload.build import payload_binary
from density.threads import in_thread
from density.units import format_bytes, format_seconds

MEMORY_BYTES_AT_LEAST = 6 * 2**20
"""Docker refuses less (moby's linuxMinMemory)."""
REGISTRY_SECONDS = 30.0
"""For a registry to say whether it has an image."""
PORTS = frozenset({"tcp", "http"})
READY_WAYS = frozenset({"payload", "running", "healthy", "log", "tcp", "http"})

Result = TypeVar("Result")


class Preparer:
    """Finds or makes images, and looks at networks."""

    def __init__(self, clients: Clients, context: EngineContext, *, cpus: float) -> None:
        """`cpus`: how many the daemon's host has."""
        self._clients = clients
        self._context = context
        self._cpus = cpus
        self._lock = anyio.Lock()
        self._payload_image = ""

    async def prepare(self, workload: Workload) -> tuple[str, Prepared]:
        """The image to run, and what was found out.

        Raises:
            UsageError: it cannot run here.
        """
        found = await self.check(workload)
        image, warnings = await self._image(workload)
        return image, replace(found, warnings=(*found.warnings, *warnings))

    async def check(self, workload: Workload) -> Prepared:
        """The networks that it plugs into, with their addresses; makes and pulls nothing.

        Raises:
            UsageError: it cannot run here.
        """
        problems = "; ".join(find_problems(workload, cpus=self._cpus))
        if problems:
            raise UsageError(f"workload {workload.name!r}: {problems}")
        if workload.ready.by == "http" and not await in_thread(may_enter):
            raise UsageError(
                f"workload {workload.name!r}: ready = http:… needs root, to ask inside the container's own network"
                " (use tcp:PORT, log:REGEX or healthy)"
            )
        if workload.ready.by in PORTS and workload.network == HOST_NETWORK and not await in_thread(may_look):
            raise UsageError(
                f'workload {workload.name!r}: ready = {workload.ready.by}:… with network = "host" needs root, to see'
                " whether it is the instance itself that listens (use log:REGEX or healthy)"
            )
        if not is_payload(workload):
            await self._check_image(workload)
        return await self._networks(workload)

    async def _image(self, workload: Workload) -> tuple[str, tuple[str, ...]]:
        """The image to run, and what the person should know of it."""
        if is_payload(workload):
            async with self._lock:
                if not self._payload_image:
                    path = await payload_binary(self._context.cache_dir)
                    binary = await in_thread(path.read_bytes)
                    self._payload_image = await self._clients.call(
                        lambda client: images.ensure_payload(client, binary), seconds=self._clients.patience.work
                    )
            return self._payload_image, ()
        found = await self._find_or_pull(workload.image)
        self._refuse_health(workload, found)
        return workload.image, tuple(unheard_health(workload, found, watched_seconds=self._context.watched_seconds))

    async def _check_image(self, workload: Workload) -> None:
        """Look at the image, which is not pulled: where the daemon has none, whether a registry does."""
        if found := await self._clients.call(lambda client: images.find(client, workload.image)):
            self._refuse_health(workload, found)
        else:
            await self._ask_registry(workload.image, images.ask_registry, REGISTRY_SECONDS)

    def _refuse_health(self, workload: Workload, image: Image) -> None:
        """Refuse an instance that can only ever wait for its health check in vain."""
        if workload.ready.by != "healthy":
            return
        check = healthcheck_of(image)
        if check is None:
            raise UsageError(
                f"workload {workload.name!r}: ready = healthy, but image {workload.image!r} has no HEALTHCHECK"
            )
        first = check.first_seconds(self._clients.api_version)
        if first >= workload.ready_timeout_seconds:
            raise UsageError(
                f"workload {workload.name!r}: ready = healthy, but the first HEALTHCHECK of image {workload.image!r}"
                f" comes after {format_seconds(first)}, and ready_timeout is"
                f" {format_seconds(workload.ready_timeout_seconds)} (set ready_timeout above it)"
            )

    async def _find_or_pull(self, reference: str) -> Image:
        return await self._ask_registry(reference, images.ensure, images.PULL_SECONDS)

    async def _ask_registry(self, reference: str, ask: Callable[[APIClient, str], Result], seconds: float) -> Result:
        """Where the answer depends on a registry, the daemon is not to blame for a late one."""
        try:
            return await self._clients.call(lambda client: ask(client, reference), seconds=seconds)
        except Timeout as error:
            raise images.missing(reference, words(error)) from error

    async def _networks(self, workload: Workload) -> Prepared:
        if workload.network in networks.SHARED:
            return Prepared()
        try:
            found = DockerNetwork.of(await self._clients.call(lambda client: client.inspect_network(workload.network)))
        except NotFound:
            known = DockerNetwork.list_of(await self._clients.call(lambda client: client.networks()))
            names = ", ".join(sorted(network.name for network in known))
            raise UsageError(
                f"workload {workload.name!r}: Docker has no network {workload.network!r}; there are {names}"
                f" (make it with `docker network create {shlex.quote(workload.network)}`)"
            ) from None
        except APIError as error:
            if is_at_fault(error):
                raise
            raise UsageError(f"workload {workload.name!r}: network {workload.network!r}: {words(error)}") from error
        usable = networks.usable_of(found)
        if usable == 0:
            raise UsageError(f"workload {workload.name!r}: network {workload.network!r} has no free address left")
        if bridge := networks.bridge_of(found):
            # Whoever has an address here has a port of the bridge, and the ports are what is counted.
            return Prepared(networks={bridge: usable + networks.used_of(found) if usable else 0})
        return Prepared(pools={workload.network: usable} if usable else {})


def unheard_health(workload: Workload, image: Image, *, watched_seconds: float) -> Iterator[str]:
    """That a health check says nothing before a run is over, where readiness does not wait for it.

    Args:
        workload: whose instances are made of the image.
        image: as the daemon describes it.
        watched_seconds: how long the last instances are watched once they are ready.
    """
    check = healthcheck_of(image)
    if check is None or workload.ready.by == "healthy" or check.unhealthy_seconds <= watched_seconds:
        return
    yield (
        f"{workload.name}: the HEALTHCHECK of image {workload.image!r} calls an instance unhealthy"
        f" {format_seconds(check.unhealthy_seconds)} after its start, and the last ones are watched for"
        f" {format_seconds(watched_seconds)} (ramp.settle + ramp.hold): that they are sick may not be seen"
        ' (longer ones, or ready = "healthy")'
    )


def find_problems(workload: Workload, *, cpus: float) -> Iterator[str]:
    """Why Docker cannot run this workload, each the end of a sentence.

    Args:
        workload: what is asked for.
        cpus: how many the daemon's host has.
    """
    ready, payload = workload.ready.by, is_payload(workload)
    if ready not in READY_WAYS:
        yield f"ready = {ready} is not for containers; allowed are {', '.join(sorted(READY_WAYS))}"
    elif ready == "payload" and not payload:
        yield "ready = payload needs image = payload; other images can do running, healthy, log, tcp and http"
    if 0 < workload.memory_bytes < MEMORY_BYTES_AT_LEAST:
        least = format_bytes(MEMORY_BYTES_AT_LEAST)
        yield f"memory {format_bytes(workload.memory_bytes)} is below what Docker allows, {least}"
    if 0 < workload.memory_bytes <= workload.touch_bytes:
        touched, given = format_bytes(workload.touch_bytes), format_bytes(workload.memory_bytes)
        yield f"it touches {touched} of memory, but is given {given}"
    if not (workload.cpus == 0 or 0.01 <= workload.cpus <= cpus):
        yield f"cpus = {workload.cpus:g} is outside what this host can give a container, 0.01 to {cpus:g}"
