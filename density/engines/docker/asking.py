"""One question to a daemon, apart from the engine's many."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from docker.errors import APIError

from density.engines.docker import images
from density.engines.docker.client import CLIENT_ERRORS, Clients, find_endpoint, unavailable, words
from density.errors import DensityError


@asynccontextmanager
async def connected(endpoint: str) -> AsyncGenerator[Clients]:
    """Clients of the daemon at this endpoint (empty: the default one), until left.

    Raises:
        EngineUnavailable: it does not answer.
        DensityError: it said no to a call in the body.
    """
    clients = Clients(find_endpoint(endpoint), concurrency=1)
    try:
        await clients.connect()
        yield clients
    except CLIENT_ERRORS as error:
        if isinstance(error, APIError):
            raise DensityError(f"docker: {words(error)}") from error
        raise unavailable(clients.endpoint, error) from error
    finally:
        clients.close()


async def present(endpoint: str, reference: str) -> bool:
    """Whether the daemon has an image of this name; nothing is pulled.

    Raises:
        EngineUnavailable: the daemon does not answer.
        UsageError: that is no name of an image.
    """
    async with connected(endpoint) as clients:
        return await clients.call(lambda client: images.find(client, reference)) is not None
