"""Single instances: not in the table, unless `--per-instance` asks for them."""

from collections.abc import Callable, Iterator

from density.metrics.instances import LIMIT, Life
from density.metrics.table.entry import Metric, Read, Row, Seen


def _lives(value: Callable[[Life], float | None]) -> Read:
    def read(seen: Seen) -> Iterator[Row]:
        for life in seen.lives.of(seen.state):
            if (found := value(life)) is not None:
                yield Row((life.workload, life.instance_id), found)

    return read


def _left_out(seen: Seen) -> Iterator[Row]:
    yield Row((), max(0, len(seen.state.instances) - LIMIT))


_INSTANCE = ("workload", "instance_id")

# fmt: off
INSTANCES: tuple[Metric, ...] = (
    Metric("density_instance_ready", "gauge", "bool", _INSTANCE, "Whether the instance is ready now.",
           _lives(lambda life: life.ready)),
    Metric("density_instance_ready_seconds", "gauge", "seconds", _INSTANCE,
           "Time from the intended launch until the instance was ready.", _lives(lambda life: life.ready_seconds)),
    Metric("density_instance_probe_seconds", "gauge", "seconds", _INSTANCE,
           "The instance's last ping round trip.", _lives(lambda life: life.probe_seconds)),
    Metric("density_instances_left_out", "gauge", "instances", (),
           f"Instances without series of their own: all but the first {LIMIT:,}.", _left_out),
)
# fmt: on
