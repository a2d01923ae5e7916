"""Finding and removing our domains by the mark in their metadata."""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import anyio
import libvirt

from density.engines.libvirt.connections import Connections, NoAnswer
from density.engines.libvirt.domain import NAMESPACE, Mark, parse_mark
from density.engines.libvirt.lifecycle import destroy, remove_files
from density.errors import EngineUnavailable
from density.host import processes, traces
from density.host.removing import remove_all
from density.model import RUN_ID, Labelled
from density.threads import in_thread

ATTEMPTS = 3
END_SECONDS = 5.0
"""For a process to go that was killed."""
_PREFIX = "density-"


def standing(connection: libvirt.virConnect) -> tuple[set[str], set[str]]:
    """The names of all domains that there are, and of those among them that are paused. Blocks.

    Raises:
        libvirt.libvirtError: libvirt does not say.
    """
    kinds = libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE, libvirt.VIR_CONNECT_LIST_DOMAINS_PAUSED
    active, paused = ({domain.name() for domain in connection.listAllDomains(kind)} for kind in kinds)
    return active, paused


def find(connection: libvirt.virConnect, run_id: str) -> dict[str, Mark]:
    """Our domains of this run: name -> whose. Blocks.

    Raises:
        libvirt.libvirtError: libvirt does not say.
    """
    return {name: mark for name, mark, _ in _marked(connection) if mark.run_id == run_id}


def labelled(connection: libvirt.virConnect) -> tuple[Labelled, ...]:
    """Our domains of every run with a whole run id. Blocks.

    Raises:
        libvirt.libvirtError: libvirt does not say.
    """
    found = _marked(connection)
    return tuple(Labelled(name, mark.run_id, running) for name, mark, running in found if RUN_ID.fullmatch(mark.run_id))


def _marked(connection: libvirt.virConnect) -> Iterator[tuple[str, Mark, bool]]:
    """Name, mark and whether it runs. The name only spares a question; it is the mark that makes a domain ours."""
    for domain in connection.listAllDomains():
        name = domain.name()
        if not name.startswith(_PREFIX):
            continue
        try:
            mark = parse_mark(domain.metadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, NAMESPACE))
            running = bool(domain.isActive())
        except libvirt.libvirtError as error:
            # Gone since it was listed, or without a mark, so none of ours.
            if error.get_error_code() not in {libvirt.VIR_ERR_NO_DOMAIN, libvirt.VIR_ERR_NO_DOMAIN_METADATA}:
                raise
            continue
        if mark:
            yield name, mark, running


def remove_traces(run_id: str, kept: Collection[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Remove what libvirt left of domains of this run, but for those kept: files removed, and files left. Blocks."""
    found = traces.find(run_id, traces.places(), kept=kept)
    left = tuple(map(str, remove_all(found)))
    return tuple(path for path in map(str, found) if path not in left), left


async def destroy_all(connections: Connections, found: Mapping[str, Mark], data_of: Callable[[str], Path]) -> None:
    """Destroy these domains, and remove their files; what does not go is for the caller to find.

    Args:
        data_of: where a run keeps what grows.
    """
    async with anyio.create_task_group() as group:
        for name, mark in found.items():
            group.start_soon(_destroy, connections, name, data_of(mark.run_id), mark.instance_id)


async def _destroy(connections: Connections, name: str, data_dir: Path, instance_id: str) -> None:
    with suppress(libvirt.libvirtError, NoAnswer, EngineUnavailable):
        await connections.call(lambda connection: destroy(connection, name))
        await in_thread(remove_files, data_dir, name, instance_id)


async def end_processes(is_wanted: Callable[[str], bool]) -> tuple[str, ...]:
    """Kill what runs of the domains of these names, where libvirt cannot be asked; the names of those that do not go.

    libvirt finds out by itself once it is back: a domain whose process has gone is none. The payload in a container of
    libvirt's ends with its channel.
    """

    def running() -> dict[int, str]:
        found = ((pid, processes.domain_behind(words)) for pid, words in processes.command_lines())
        return {pid: name for pid, name in found if name and is_wanted(name)}

    pids = list(await in_thread(running))
    await processes.end(pids, lambda words: is_wanted(processes.domain_behind(words)), grace_seconds=END_SECONDS)
    return tuple(sorted((await in_thread(running)).values()))
