"""A model of a host: resources with true limits, costs of instances, and what sensors would read of it."""

import math
import random
from collections.abc import Callable, Mapping, Sequence

from density.capacity.typical import typical_costs
from density.host.reading import Sample
from density.model import EngineInfo, Failure, Workload
from density.profile.spec import SimulatedHost, Slice

_LIMITED: Mapping[str, tuple[str, str]] = {
    "memory_bytes": ("no_memory", "cannot allocate memory"),
    "tasks": ("try_again", "fork: resource temporarily unavailable"),
    "files": ("files_in_system", "too many open files in system"),
}
"""Resource -> what an engine would say where it runs out."""
_TYPICAL = {"memory_bytes": "memory.available", "tasks": "tasks.pid_max", "files": "files.file_max"}


class HostModel:
    """The truth about a simulated host.

    Args:
        spec: limits, costs and behaviour.
        slice_: limits of the run's slice, which instances are held to as well.
        workloads: those without costs in the spec cost what is typical.
        clock: seconds; drives leaks and CPU accounting.
    """

    def __init__(
        self, spec: SimulatedHost, *, slice_: Slice, workloads: tuple[Workload, ...], clock: Callable[[], float]
    ) -> None:
        self.spec = spec
        self.random = random.Random(spec.seed)  # noqa: S311 — a reproducible model, no secret
        self._pings = random.Random(spec.seed)  # noqa: S311 — of their own, so that no ping changes a launch
        self._clock = clock
        self._started = clock()
        self._slice = {"memory_bytes": slice_.memory_bytes, "tasks": slice_.tasks, "files": 0}
        self._limits = {"memory_bytes": spec.memory_bytes, "tasks": spec.tasks, "files": spec.files}
        self._base = {"memory_bytes": spec.used_memory_bytes, "tasks": spec.used_tasks, "files": spec.used_files}
        self._held = dict.fromkeys(self._limits, 0.0)
        self._peaks = dict.fromkeys(self._limits, 0.0)
        self._refused = dict.fromkeys(self._limits, 0)
        self._late, self._late_at = 0.0, self._started
        self._cpus = 0.0
        self._costs = {workload.name: self._cost(workload) for workload in workloads}
        self.alive = 0
        self.in_flight = 0
        self.lowest_room = {name: self._limits[name] - self.used(name) for name in self._limits}
        """The least that was ever free of each resource: whether a reserve was touched."""

    def _cost(self, workload: Workload) -> dict[str, float]:
        typical = typical_costs(workload)
        costs = {resource: typical[ceiling] for resource, ceiling in _TYPICAL.items()}
        return costs | {"cpus": workload.burn} | self.spec.costs.get(workload.name, {})

    def used(self, resource: str) -> float:
        """True use of a resource of the host."""
        if resource != "memory_bytes":
            return self._base[resource] + self._held[resource] + self._other(resource)
        leaked = self.spec.leak_bytes_per_second * (self._clock() - self._started)
        return self._base[resource] + self._held[resource] + self._other(resource) + leaked - self._still_to_come()

    def _other(self, resource: str) -> float:
        """What something else on the host takes now."""
        since, until = self.spec.other_from_seconds, self.spec.other_until_seconds or math.inf
        taken = since <= self._clock() - self._started < until
        return float(getattr(self.spec, f"other_{resource}")) if taken else 0.0

    def _still_to_come(self) -> float:
        """Memory of instances that are ready but have not taken all of it yet."""
        now = self._clock()
        self._late *= math.exp((self._late_at - now) / self.spec.late_seconds)
        self._late_at = now
        return self._late

    def true_maximum(self, workload: str, *, reserves: Mapping[str, float]) -> int:
        """How many of one workload fit on the host and its slice, with these reserves of the host kept free."""
        costs = self._costs[workload]
        counts = [
            (self._limits[name] - self._base[name] - reserves.get(name, 0)) / costs[name]
            for name in self._limits
            if costs[name] > 0
        ]
        counts += [limit / costs[name] for name, limit in self._slice.items() if limit and costs[name] > 0]
        return int(min(counts))

    def take(self, workload: str) -> Failure | None:
        """Give an instance its resources, or say what ran out; then nothing is taken."""
        costs = self._costs[workload]
        for resource, (kind, message) in _LIMITED.items():
            if self.used(resource) + costs[resource] > self._limits[resource]:
                return Failure(kind, message)
            if self._slice[resource] and self._held[resource] + costs[resource] > self._slice[resource]:
                self._peaks[resource] = self._slice[resource]
                self._refused[resource] += 1
                return Failure(kind, message)
        for resource in _LIMITED:
            self._held[resource] += costs[resource]
            self._peaks[resource] = max(self._peaks[resource], self._held[resource])
        self._late = self._still_to_come() + self.spec.late_share * costs["memory_bytes"]
        self._cpus += costs["cpus"]
        self.alive += 1
        return None

    def give_back(self, workload: str) -> None:
        """An instance is gone."""
        costs = self._costs[workload]
        for resource in _LIMITED:
            self._held[resource] -= costs[resource]
        self._cpus -= costs["cpus"]
        self.alive -= 1

    def launch_seconds(self) -> float:
        """How long the next launch takes: grows with the count and with launches in flight beyond the CPUs."""
        spec = self.spec
        crowd = max(1.0, self.in_flight / spec.cpus) * (1 + spec.launch_growth * self.alive / 1000)
        return spec.launch_seconds * crowd * self.random.lognormvariate(0, 0.2)

    def probe_seconds(self) -> float:
        """Round trip of a ping: queueing grows without bound as the CPUs fill (M/M/1)."""
        busy = min(0.999, self._cpus / self.spec.cpus)
        return 5e-5 / (1 - busy) * self._pings.lognormvariate(0, 0.1)

    def fails_by_chance(self) -> bool:
        """Whether a launch fails for no reason of resources."""
        return self.random.random() < self.spec.failure_share

    async def read(self, *, thorough: bool) -> Sample:  # noqa: ARG002 — a model always knows everything
        """As sensors do; takes no time."""
        return Sample(self.values(), {"simulated": 0.0})

    def values(self) -> Mapping[str, float]:
        """What sensors would read now, with the spec's noise, by the names of `density.host`."""
        for resource, limit in self._limits.items():
            self.lowest_room[resource] = min(self.lowest_room[resource], limit - self.used(resource))
        noise = self.random.gauss(0, self.spec.noise) * self.spec.memory_bytes if self.spec.noise else 0.0
        values = {
            "memory.total_bytes": float(self.spec.memory_bytes),
            "memory.available_bytes": self.spec.memory_bytes - self.used("memory_bytes") - noise,
            "tasks.count": self.used("tasks"),
            "tasks.pid_max": float(self.spec.tasks),
            "files.open": self.used("files"),
            "files.max": float(self.spec.files),
            "cpu.count": float(self.spec.cpus),
            "cpu.busy_ratio": min(1.0, self._cpus / self.spec.cpus),
            "load.one": self._cpus + self.in_flight,
        }
        if self._slice["memory_bytes"]:
            values["slice.memory_bytes"] = self._held["memory_bytes"]
            values["slice.memory_peak_bytes"] = self._peaks["memory_bytes"]
            values["slice.memory_limit_hits"] = float(self._refused["memory_bytes"])
            values["slice.memory_limit_bytes"] = self._slice["memory_bytes"]
        if self._slice["tasks"]:
            values["slice.tasks"] = self._held["tasks"]
            values["slice.tasks_peak"] = self._peaks["tasks"]
            values["slice.tasks_limit"] = self._slice["tasks"]
        return values

    def quick(self) -> Mapping[str, float]:
        """What the kernel would say at once; it counts exactly."""
        return {
            "memory.total_bytes": float(self.spec.memory_bytes),
            "memory.available_bytes": self.spec.memory_bytes - self.used("memory_bytes"),
            "tasks.count": self.used("tasks"),
            "tasks.pid_max": float(self.spec.tasks),
            "files.open": self.used("files"),
            "files.max": float(self.spec.files),
        }

    def facts(self) -> Mapping[str, str | float]:
        """The fingerprint of this host."""
        spec = self.spec
        return {"simulated": "yes", "cpus": spec.cpus, "memory_bytes": spec.memory_bytes, "seed": spec.seed}

    def add_bridges(self, devices: Sequence[str]) -> None:
        """Simulated instances plug into nothing."""

    def watch_engine(self, engine: EngineInfo) -> None:
        """Nor does anything serve them."""
