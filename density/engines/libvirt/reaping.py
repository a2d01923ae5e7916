"""Finding and removing our domains by the mark in their metadata."""

from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from pathlib import Path

import anyio
import libvirt

from density.engines.libvirt.connections import Connections
from density.engines.libvirt.domain import NAMESPACE, Mark, parse_mark
from density.engines.libvirt.lifecycle import destroy, remove_files
from density.errors import EngineUnavailable
from density.threads import in_thread

ATTEMPTS = 3
_PREFIX = "density-"


def names(connection: libvirt.virConnect) -> set[str]:
    """The names of all domains that run. Blocks."""
    return {domain.name() for domain in connection.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE)}


def find(connection: libvirt.virConnect, run_id: str | None) -> dict[str, Mark]:
    """Our domains of this run (None: of any): name -> whose. Blocks.

    The name only spares a question; it is the mark that makes a domain ours.

    Raises:
        libvirt.libvirtError: libvirt does not say.
    """
    found = {}
    for domain in connection.listAllDomains():
        name = domain.name()
        if not name.startswith(_PREFIX):
            continue
        try:
            mark = parse_mark(domain.metadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, NAMESPACE))
        except libvirt.libvirtError as error:
            # Gone since it was listed, or without a mark, so none of ours.
            if error.get_error_code() not in {libvirt.VIR_ERR_NO_DOMAIN, libvirt.VIR_ERR_NO_DOMAIN_METADATA}:
                raise
            continue
        if mark and run_id in {None, mark.run_id}:
            found[name] = mark
    return found


def remove_logs(logs: Path, run_id: str | None, kept: Collection[str]) -> None:
    """Remove a daemon's logs of domains of this run (None: of any) that ended with nobody there; not of those kept."""
    with suppress(OSError):
        for path in logs.glob(f"{_PREFIX}{run_id}-*.log" if run_id else f"{_PREFIX}*.log"):
            if path.stem not in kept:
                path.unlink(missing_ok=True)


async def destroy_all(connections: Connections, found: Mapping[str, Mark], data_of: Callable[[str], Path]) -> None:
    """Destroy these domains, and remove their files; what does not go is for the caller to find.

    Args:
        data_of: where a run keeps what grows.
    """
    async with anyio.create_task_group() as group:
        for name, mark in found.items():
            group.start_soon(_destroy, connections, name, data_of(mark.run_id), mark.instance_id)


async def _destroy(connections: Connections, name: str, data_dir: Path, instance_id: str) -> None:
    with suppress(libvirt.libvirtError, EngineUnavailable):
        await connections.call(lambda connection: destroy(connection, name))
        await in_thread(remove_files, data_dir, name, instance_id)
