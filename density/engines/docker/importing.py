"""An image of one layer, taken from an archive."""

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from docker import APIClient
from docker.errors import APIError

from density.engines.docker import images
from density.engines.docker.asking import connected

IMPORT_SECONDS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """What an image is made of.

    Attributes:
        archive: a tar with its files.
        tag: NAME:TAG that the image gets.
        entry_point: what its containers run.
        user: as whom, USER:GROUP.
    """

    archive: Path
    tag: str
    entry_point: Sequence[str]
    user: str

    def changes(self) -> list[str]:
        """What the archive cannot say, as lines of a Dockerfile."""
        repository = self.tag.partition(":")[0]
        return [
            f"ENTRYPOINT {json.dumps(list(self.entry_point))}",
            f"USER {self.user}",
            f"LABEL {images.PAYLOAD_LABEL}={repository}",
        ]


async def import_layer(endpoint: str, layer: Layer) -> int:
    """Make the image, in place of one of the same name that density made; its size in bytes.

    Args:
        endpoint: the daemon's; empty: the default one.

    Raises:
        EngineUnavailable: the daemon does not answer.
        DensityError: it would not take it.
    """
    async with connected(endpoint) as clients:
        return await clients.call(lambda client: _imported(client, layer), seconds=IMPORT_SECONDS)


def _imported(client: APIClient, layer: Layer) -> int:
    before = images.find(client, layer.tag)
    repository, _, tag = layer.tag.partition(":")
    client.import_image_from_file(str(layer.archive), repository=repository, tag=tag, changes=layer.changes())
    made = images.find(client, layer.tag)
    if before and made and before.id != made.id and images.PAYLOAD_LABEL in before.config.labels:
        # It has no name any more; one that a container still uses stays until that is gone.
        with suppress(APIError):
            client.remove_image(before.id)
    return made.size if made else 0
