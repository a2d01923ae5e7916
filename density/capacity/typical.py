"""What an instance typically costs, for as long as nothing has been measured.

Per container: moby#38814 and a full ramp on a 2-core host (12.4 tasks, 4.5 MiB, 4 and 6 open files in containerd and
dockerd); per VM: QEMU's own share beside the guest's memory, measured on the same host.
"""

from collections.abc import Mapping

from density.model import Workload

MIB = 2**20
VM_OVERHEAD_BYTES = 64 * MIB


def typical_costs(workload: Workload) -> Mapping[str, float]:
    """Ceiling id -> cost of one instance, in the ceiling's unit."""
    match workload.engine:
        case "docker":
            return {
                "memory.available": 5 * MIB + workload.touch_bytes,
                "memory.cgroup": 1 * MIB + workload.touch_bytes,
                "tasks.pid_max": 13,
                "tasks.threads_max": 13,
                "tasks.cgroup": 1,
                "files.file_max": 39,
            }
        case "libvirt":
            return {
                "memory.available": workload.memory_bytes + VM_OVERHEAD_BYTES,
                "memory.cgroup": workload.memory_bytes + VM_OVERHEAD_BYTES,
                "tasks.pid_max": 8,
                "tasks.threads_max": 8,
                "tasks.cgroup": 8,
                "files.file_max": 60,
            }
        case _:
            return {
                "memory.available": MIB // 2 + workload.touch_bytes,
                "memory.cgroup": MIB // 2 + workload.touch_bytes,
                "tasks.pid_max": 1,
                "tasks.threads_max": 1,
                "tasks.cgroup": 1,
                "files.file_max": 4,
            }
