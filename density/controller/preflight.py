"""Whether the workloads of a profile can run here, before anything is started."""

from collections.abc import Iterable

from density.controller.data import data_base
from density.controller.paths import cache_dir, runtime_base
from density.engines.base import Engine, EngineContext
from density.errors import UsageError
from density.model import Workload
from density.payload.channel import Channel


def idle_context(run_id: str) -> EngineContext:
    """What engines are asked with that start nothing: nothing is made at these places."""
    nowhere = runtime_base() / f".{run_id}"
    return EngineContext(
        run_id=run_id,
        runtime_dir=nowhere,
        data_dir=data_base() / f".{run_id}",
        cache_dir=cache_dir(),
        channel=Channel(nowhere),
    )


async def find_problems(engine: Engine, workloads: Iterable[Workload]) -> tuple[str, ...]:
    """Why workloads of this engine cannot run here, a sentence each.

    Raises:
        EngineUnavailable: the engine is gone.
    """
    problems = []
    for workload in workloads:
        if workload.engine == engine.name:
            try:
                await engine.check(workload)
            except UsageError as error:
                problems.append(str(error))
    return tuple(problems)


def refuse_problems(problems: Iterable[str]) -> None:
    """Raise `UsageError` with all of these, if there are any."""
    if said := "\n".join(problems):
        raise UsageError(said)
