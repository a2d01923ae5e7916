"""Performance: the payload's benchmarks in every kind of instance, alone and with all of a kind at work at once.

What is compared is measured in turns within seconds of each other, so that what else the host does hits all alike.
Rates are by the controller's clock: an emulated machine need not keep its own.
"""

from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager

import anyio

from density.capacity.versus.figure import Figures, Subject
from density.controller.versus.bed import Bed, Launched, LaunchFailed
from density.model import EngineName
from density.payload.channel import BenchRefused, ChannelClosed

ROUNDS = 9
SECONDS = 0.25
ANSWER_SECONDS = 60.0
"""A benchmark that has not come back by then never will."""
KINDS: Mapping[str, str] = {
    "integer": "operations/s",
    "memory": "bytes/s",
    "syscall": "calls/s",
    "file": "bytes/s",
    "disk": "bytes/s",
}
"""Kind of the payload's `bench.c` -> unit of its rate."""
NATIVE = "native"
IN_MEMORY: Mapping[EngineName, str] = {"native": "/dev/shm", "docker": "/dev/shm", "libvirt": "/"}  # noqa: S108 — a place to measure
"""Where an instance finds a file system in memory (`file`); the payload guest's root is one."""
NO_DISK = "the payload guest has no disk"


Running = Mapping[str, Sequence[Launched]]
"""Subject's name -> its instances."""


class Benchmarks:
    """Measures performance in one bed.

    Args:
        disk: a directory of this host, for processes to write to, that is on the disk where containers write.
    """

    def __init__(self, bed: Bed, figures: Figures, say: Callable[[str], None], *, disk: str) -> None:
        self._bed = bed
        self._figures = figures
        self._say = say
        self._disk = disk
        self._engines = {subject.name: subject.workload.engine for subject in bed.subjects}

    async def alone(self) -> None:
        """One instance of each subject, one at work at a time."""
        async with AsyncExitStack() as stack:
            running: dict[str, Sequence[Launched]] = {}
            for subject in self._able():
                with self._excused(subject):
                    running[subject.name] = await stack.enter_async_context(self._running(subject, 1))
            for kind, unit in KINDS.items():
                self._say(f"performance, alone: {kind}")
                for name, rates in (await self._rounds(kind, running, "alone")).items():
                    self._figures.add("performance", f"alone.{kind}", name, rates, unit=unit)

    async def crowd(self, counts: Mapping[str, int]) -> None:
        """So many instances of each subject, all at work at once, in turns with as many processes."""
        able = self._able()
        native = next((subject for subject in able if subject.workload.engine == NATIVE), None)
        for subject in able:
            if native and subject is not native:
                with self._excused(subject):
                    await self._beside(native, subject, counts[subject.name])

    async def _beside(self, native: Subject, subject: Subject, count: int) -> None:
        self._say(f"performance, at density: {count} of {subject.name}")
        async with self._running(subject, count) as mine, self._running(native, count) as processes:
            self._figures.add("performance", "density.count", subject.name, [count], unit="instances")
            for kind, unit in KINDS.items():
                running = {subject.name: mine, native.name: processes}
                for name, rates in (await self._rounds(kind, running, "density")).items():
                    key = f"density.{kind}" if name == subject.name else f"density.{kind}.native"
                    self._figures.add("performance", key, subject.name, rates, unit=unit)

    async def _rounds(self, kind: str, running: Running, when: str) -> dict[str, list[float]]:
        """The rates of each round; the first one warms up and is left out. Every other round goes backwards."""
        rates: dict[str, list[float]] = {name: [] for name in running}
        for name in running:
            if not self._directory(kind, name):
                self._figures.miss("performance", f"{when}.{kind}", name, NO_DISK)
                del rates[name]
        for number in range(ROUNDS + 1):
            for name in list(rates) if number % 2 else list(reversed(rates)):
                try:
                    rate = await self._rate(kind, name, running[name])
                except (BenchRefused, ChannelClosed) as error:
                    self._figures.miss("performance", f"{when}.{kind}", name, str(error))
                    del rates[name]
                    continue
                if number:
                    rates[name].append(rate)
        return rates

    async def _rate(self, kind: str, name: str, launched: Sequence[Launched]) -> float:
        """What these do together in a second, all at once."""
        rates: list[float] = []

        async def one(instance_id: str) -> None:
            directory = self._directory(kind, name)
            with anyio.move_on_after(ANSWER_SECONDS):
                done = await self._bed.channel.bench(instance_id, kind, seconds=SECONDS, directory=directory)
                rates.append(done.amount / done.seconds)
                return
            raise BenchRefused(f"{instance_id} did not answer within {ANSWER_SECONDS:.0f} s")

        problems: list[Exception] = []
        try:
            async with anyio.create_task_group() as group:
                for each in launched:
                    group.start_soon(one, each.instance_id)
        except* (BenchRefused, ChannelClosed) as errors:
            problems += errors.exceptions
        if problems:
            raise problems[0]
        return sum(rates)

    def _directory(self, kind: str, name: str) -> str:
        """Where an instance writes, as it sees it; empty where it cannot."""
        engine = self._engines[name]
        if kind == "disk":
            return {"native": self._disk, "docker": "/"}.get(engine, "")
        return IN_MEMORY.get(engine, "/")

    @asynccontextmanager
    async def _running(self, subject: Subject, count: int) -> AsyncGenerator[Sequence[Launched]]:
        launched = await self._bed.launch_many(subject.workload, count)
        try:
            yield launched
        finally:
            await self._bed.stop(subject.workload, launched)

    @contextmanager
    def _excused(self, subject: Subject) -> Iterator[None]:
        """A subject that does not come up is left out, and the others go on."""
        try:
            yield
        except LaunchFailed as error:
            self._figures.miss("performance", "", subject.name, str(error))

    def _able(self) -> list[Subject]:
        """The subjects that run the payload; the null guest does nothing at all."""
        found = []
        for subject in self._bed.subjects:
            guest = subject.workload.guest if subject.workload.engine == "libvirt" else "payload"
            if guest != "payload":
                self._figures.miss("performance", "", subject.name, f"the guest {guest} has no benchmarks in it")
            elif not subject.missing:
                found.append(subject)
        return found
