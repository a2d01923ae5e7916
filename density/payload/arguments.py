"""The payload's command line, which is the same wherever it runs but for where it finds its controller."""

from density.model import Workload

SECRET_VARIABLE = "DENSITY_SECRET"  # noqa: S105 — a name
"""Of the environment: the word by which the channel knows an instance. A command line can be read by every user."""


def payload_arguments(workload: Workload, instance_id: str, run_id: str, *controller: str) -> list[str]:
    """What follows the payload's name, as `payload.c` documents it.

    Args:
        controller: `--socket PATH`, or `--serial DEVICE` with a lease.
    """
    words = ["--id", instance_id, "--run", run_id, *controller]
    if workload.touch_bytes:
        words += ["--touch", str(workload.touch_bytes)]
    if workload.burn:
        words += ["--burn", f"{workload.burn:f}"]
    return words
