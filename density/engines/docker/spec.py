"""From a workload to the daemon's container document; pure."""

from typing import Any

from density.engines.base import EngineContext
from density.engines.docker.feed import INSTANCE_LABEL
from density.engines.docker.images import CHANNEL_MOUNT
from density.host.protection import VICTIMS_BADNESS
from density.model import LABEL, LABELS, Workload
from density.payload.arguments import SECRET_VARIABLE, payload_arguments

WORKLOAD_LABEL = f"{LABELS}.workload"
STOP_SECONDS = 1
LOG_FILES, LOG_BYTES = "3", "1m"
"""Small, and yet several files: of one alone, a follower misses what was printed just before it was rotated."""
PAYLOAD_PIDS = 128
"""The payload is one task; what a runtime starts a container with is in the same cgroup, and has a dozen threads."""
_CONTROLLER = ("--socket", f"{CHANNEL_MOUNT}/channel.sock")


def container_document(
    workload: Workload, instance_id: str, *, image: str, context: EngineContext, cgroup_driver: str, secret: str = ""
) -> dict[str, Any]:
    """What to send to the daemon for one instance.

    Args:
        workload: what the instance is one of.
        instance_id: its id inside the run.
        image: the image's name, also for the payload's.
        context: the run's.
        cgroup_driver: the daemon's.
        secret: what the channel knows a payload by.
    """
    parents = context.placement.docker_parents if context.placement else {}
    payload = is_payload(workload)
    command = payload_arguments(workload, instance_id, context.run_id, *_CONTROLLER) if payload else workload.command
    environment = {**workload.environment, **({SECRET_VARIABLE: secret} if payload else {})}
    return {
        "Image": image,
        **({"Cmd": list(command)} if command else {}),
        "Env": [f"{name}={value}" for name, value in environment.items()],
        "Labels": {LABEL: context.run_id, INSTANCE_LABEL: instance_id, WORKLOAD_LABEL: workload.name},
        "StopTimeout": STOP_SECONDS,
        "HostConfig": {
            "NetworkMode": workload.network,
            "CgroupParent": parents.get(cgroup_driver, ""),
            "Memory": workload.memory_bytes,
            # Without this the limit is twice as high wherever there is swap.
            "MemorySwap": workload.memory_bytes,
            # Where memory runs out, instances are the first to be killed.
            "OomScoreAdj": VICTIMS_BADNESS,
            "NanoCpus": round(workload.cpus * 1e9),
            "Binds": [f"{context.channel.directory.absolute()}:{CHANNEL_MOUNT}:ro"] if payload else [],
            "LogConfig": {"Type": "json-file", "Config": {"max-size": LOG_BYTES, "max-file": LOG_FILES}},
            **(_confined(writable=context.payload_writes) if payload else {}),
        },
    }


def _confined(*, writable: bool) -> dict[str, Any]:
    """What the payload does without. Docker's own seccomp filter stays, as for every image.

    Other images keep all that Docker gives by default: there are programs that need each of its capabilities.
    """
    return {
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges"],
        "ReadonlyRootfs": not writable,
        "PidsLimit": PAYLOAD_PIDS,
    }


def is_payload(workload: Workload) -> bool:
    """Whether the workload runs density's own payload."""
    return workload.image == "payload"
