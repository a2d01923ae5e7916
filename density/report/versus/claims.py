"""What the article claims in each row, and whether the figures bear it out; pure.

The article has words only. Where it leaves the number open, the bounds below are ours, and docs/versus.md lists them.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from density.capacity.versus.figure import Figures, Subject
from density.report.versus.lines import WORK
from density.report.versus.spread import Spread, below, less, ratios, spread
from density.units import format_bytes, format_count, format_seconds

Held = Literal["yes", "partly", "no", "not decided", "not measured", "no claim"]
NO_CLAIM: Held = "no claim"

MINUTE_SECONDS = 60.0
"""Below it a start takes seconds, from it on minutes."""
GB = 1e9
"""Below it a disk is counted in MB, from it on in GB."""
NEAR_NATIVE = 0.9
THOUSANDS = 1000
DOZENS = 24
SERVICES = ("redis", "memcached")
HARDLY_ANY = 0.1
"""Of what a VM costs beyond a plain process: a container's part that still is hardly any."""


@dataclass(frozen=True, slots=True)
class Statement:
    """A part of a claim in this host's numbers, and whether it held; None where it could not be told."""

    text: str
    held: bool | None


@dataclass(frozen=True, slots=True)
class Claim:
    """A row of the article."""

    title: str
    says: str
    judge: Callable[["Seen"], Iterator[Statement]]
    sides: bool = True

    def statements(self, view: "Seen") -> tuple[Statement, ...]:
        """The parts of the claim; where it is one of containers against VMs, a side that was not measured is a part."""
        found = tuple(self.judge(view))
        absent = () if not (found and self.sides) else tuple(_absent(view))
        return found + absent


@dataclass(frozen=True, slots=True)
class Seen:
    """The figures, and which subject stands for what."""

    figures: Figures
    process: Subject | None
    container: Subject | None
    vm: Subject | None

    def middle(self, row: str, name: str, subject: Subject | None) -> Spread | None:
        """The median with its interval; None where it was not measured."""
        figure = self.figures.get(row, name, subject.name) if subject and not subject.missing else None
        if figure is None or not figure.samples:
            return None
        found = spread(figure.samples)
        if figure.low is None or figure.high is None:
            return found
        return Spread(found.median, figure.low, figure.high, found.count, sure=True)

    def value(self, row: str, name: str, subject: Subject | None) -> float | None:
        """The median alone."""
        found = self.middle(row, name, subject)
        return found.median if found else None

    def words(self, row: str, name: str, subject: Subject | None) -> str:
        """A figure that is words."""
        figure = self.figures.get(row, name, subject.name) if subject and not subject.missing else None
        return figure.words if figure else ""


def seen(figures: Figures, subjects: tuple[Subject, ...]) -> Seen:
    """With the first process, the first container, and the first VM that runs a whole guest."""

    def first(engine: str) -> Subject | None:
        of = [each for each in subjects if each.workload.engine == engine]
        return min(of, key=lambda each: (bool(each.missing), each.workload.guest == "null"), default=None)

    return Seen(figures, first("native"), first("docker"), first("libvirt"))


def _absent(view: Seen) -> Iterator[Statement]:
    for name, subject in (("container", view.container), ("VM", view.vm)):
        if subject is None or subject.missing:
            yield Statement(f"no {name} was measured", None)


def overall(claim: Claim, statements: tuple[Statement, ...]) -> Held:
    """Whether a claim held as a whole: `partly` where some of it did, or some could not be told."""
    if claim.says == NO_CLAIM and statements:
        return NO_CLAIM
    known = [statement.held for statement in statements if statement.held is not None]
    if not known:
        return "not decided" if statements else "not measured"
    if all(known):
        return "yes" if len(known) == len(statements) else "partly"
    return "partly" if any(known) else "no"


def _not(held: bool | None) -> bool | None:  # noqa: FBT001 — what a statement holds
    return None if held is None else not held


def _all(parts: Iterable[bool | None]) -> bool | None:
    """Whether all do: no where one surely does not, unknown where one is unknown."""
    found = list(parts)
    return False if False in found else None if None in found else True


def vm_name(view: Seen) -> str:
    """`the VM (tcg)`."""
    accelerator = view.vm.accelerator if view.vm else ""
    return f"the VM ({accelerator})" if accelerator else "the VM"


def _start(view: Seen) -> Iterator[Statement]:
    container, vm = (view.middle("start", "alone.ready", each) for each in (view.container, view.vm))
    if container is not None:
        yield Statement(f"a container is ready in {format_seconds(container.median)}", below(container, MINUTE_SECONDS))
    if vm is not None:
        times = f", {vm.median / container.median:.1f} times a container's" if container and container.median else ""
        slow = _not(below(vm, MINUTE_SECONDS))
        yield Statement(f"{vm_name(view)} in {format_seconds(vm.median)}{times}", slow)


def _disk(view: Seen) -> Iterator[Statement]:
    yield from _boots(view, "a container", view.container, small=True)
    if view.vm and view.vm.workload.guest == "disk":
        yield from _boots(view, vm_name(view), view.vm, small=False)
        return
    image, whole = view.value("disk", "image", view.vm), _whole_system(view)
    if image is not None:
        yield Statement(f"{vm_name(view)} boots from {format_bytes(image)} and has no disk of its own", None)
    if whole is not None:
        text = (
            f"with a whole Debian it boots from {format_bytes(whole[0])} and takes {format_bytes(whole[1])} of its own"
        )
        yield Statement(text, sum(whole) >= GB)


def _boots(view: Seen, noun: str, subject: Subject | None, *, small: bool) -> Iterator[Statement]:
    image, own = (view.value("disk", name, subject) for name in ("image", "own"))
    if image is not None and own is not None:
        text = f"{noun} boots from {format_bytes(image)} and takes {format_bytes(own)} of its own"
        yield Statement(text, (image + own < GB) is small)


def _whole_system(view: Seen) -> tuple[float, float] | None:
    """Image and own disk of the first service's Debian; None where none was booted."""
    for service in SERVICES:
        image, own = (view.value("services", f"{service}.{name}", view.vm) for name in ("image", "own"))
        if image is not None and own is not None:
            return image, own
    return None


def _performance(view: Seen) -> Iterator[Statement]:
    container, vm = (_ratios(view, subject) for subject in (view.container, view.vm))
    if container:
        worst = min(container, key=lambda kind: container[kind].median)
        text = f"a container's work runs at {_range(container)} of a process's, worst {WORK[worst]}"
        yield Statement(text, _all(_not(below(found, NEAR_NATIVE)) for found in container.values()))
    if vm:
        worst = min(vm, key=lambda kind: vm[kind].median)
        native = _all(_not(below(found, 1.0)) for found in vm.values())
        yield Statement(f"{vm_name(view)}'s at {_range(vm)}, worst {WORK[worst]}", _not(native))


def _ratios(view: Seen, subject: Subject | None) -> Mapping[str, Spread]:
    found = {}
    for kind in WORK:
        mine = view.figures.get("performance", f"alone.{kind}", subject.name) if subject else None
        base = view.figures.get("performance", f"alone.{kind}", view.process.name) if view.process else None
        if mine and base and (each := ratios(mine.samples, base.samples)):
            found[kind] = spread(each)
    return found


def _range(found: Mapping[str, Spread]) -> str:
    medians = sorted(each.median for each in found.values())
    return f"{medians[0]:.0%} to {medians[-1]:.0%}"


def _capacity(view: Seen) -> Iterator[Statement]:
    container, vm = (view.middle("capacity", "count", each) for each in (view.container, view.vm))
    if container is not None:
        text = f"{_fit(view, 'capacity', container, view.container, 'containers')}"
        yield Statement(text, _not(below(container, THOUSANDS)))
    if vm is not None:
        dozens = _all((_not(below(vm, DOZENS)), below(vm, THOUSANDS)))
        yield Statement(_fit(view, "capacity", vm, view.vm, "VMs"), dozens)


def _fit(view: Seen, row: str, found: Spread, subject: Subject | None, noun: str) -> str:
    """`1,911 containers fit (874 to 2,948, forecast)`."""
    interval = found.low != found.high and math.isfinite(found.high)
    known = [f"{format_count(found.low)} to {format_count(found.high)}"] if interval else []
    known += [words] if (words := view.words(row, "count", subject)) else []
    return f"{format_count(found.median)} {noun} fit" + (f" ({', '.join(known)})" if known else "")


def _overhead(view: Seen) -> Iterator[Statement]:
    process, container, vm = (
        view.middle("overhead", "total", each) for each in (view.process, view.container, view.vm)
    )
    if container is None or vm is None:
        yield from _own_memory(view)
        return
    more, much = (found.minus(process) if process else found for found in (container, vm))
    beyond = "beyond a process, one more" if process else "one more"
    text = f"{beyond} container takes {_memory(more)} of memory, a VM {_memory(much)}"
    if more.high <= HARDLY_ANY * much.low:
        yield Statement(text, held=True)
    else:
        yield Statement(text, False if more.low > HARDLY_ANY * much.high else None)


def _memory(found: Spread) -> str:
    """`3.41 MiB (0 B to 7.5 MiB)`: none of it below nothing."""
    middle, low, high = (format_bytes(max(0.0, each)) for each in (found.median, found.low, found.high))
    return middle if low == high else f"{middle} ({low} to {high})"


def _own_memory(view: Seen) -> Iterator[Statement]:
    """Where the whole cannot be told from noise: what their own cgroups are charged, which proves nothing yet."""
    container, vm = (view.value("overhead", "instance", each) for each in (view.container, view.vm))
    if container is not None and vm is not None:
        text = f"one more container is charged {format_bytes(container)}, a VM {format_bytes(vm)}; the engine's part"
        yield Statement(f"{text} is lost in noise", None)


def _saving(view: Seen) -> Iterator[Statement]:
    yield from _cheaper(view, "saving", (("save", "seconds"), ("bytes", "bytes"), ("restore", "seconds")))


def _cheaper(view: Seen, row: str, names: tuple[tuple[str, str], ...]) -> Iterator[Statement]:
    words = {"save": "saving", "bytes": "what is kept", "restore": "running again", "again": "building it again"}
    for name, unit in names:
        container, vm = (view.middle(row, name, each) for each in (view.container, view.vm))
        if container is not None and vm is not None:
            form = format_bytes if unit == "bytes" else format_seconds
            text = f"{words[name]}: {form(container.median)} against the VM's {form(vm.median)}"
            yield Statement(text, less(container, vm))


def _building(view: Seen) -> Iterator[Statement]:
    first, again = (view.middle("building", name, view.container) for name in ("first", "again"))
    if first is not None and again is not None:
        text = f"an image is built in {format_seconds(first.median)}, after a change in {format_seconds(again.median)}"
        yield Statement(text, less(again, first))
    yield from _cheaper(view, "building", (("again", "seconds"),))


def _kernels(view: Seen) -> Iterator[Statement]:
    process, container, vm = (
        view.words("kernels", "release", each) for each in (view.process, view.container, view.vm)
    )
    if process and container:
        yield Statement(f"a container reports {container}, a process {process}", container == process)
    if process and vm:
        yield Statement(f"{vm_name(view)} reports {vm}", vm != process)
    elif process and view.vm and not view.vm.missing:
        yield Statement(f"{vm_name(view)} does not report its own", None)


def _services(view: Seen) -> Iterator[Statement]:
    for service in SERVICES:
        container, vm = (_service(view, service, each) for each in (view.container, view.vm))
        if container:
            beside = f", in {vm_name(view)} with a whole Debian {vm}" if vm else ""
            yield Statement(f"{service} takes connections in a container {container}{beside}", held=True)


def _service(view: Seen, service: str, subject: Subject | None) -> str:
    """`after 170 ms (17 MiB image)`; empty where it was not measured."""
    seconds, image = (view.value("services", name, subject) for name in (service, f"{service}.image"))
    if seconds is None:
        return ""
    return f"after {format_seconds(seconds)}" + (f" ({format_bytes(image)} image)" if image is not None else "")


def _nested(view: Seen) -> Iterator[Statement]:
    seconds = view.value("nested", "ready", view.vm)
    if seconds is not None:
        yield Statement(
            f"a container has run inside {vm_name(view)} {format_seconds(seconds)} after the request", held=True
        )


def _lxc(view: Seen) -> Iterator[Statement]:
    lxc, docker = (view.value(row, "alone.ready", view.container) for row in ("lxc", "start"))
    if lxc is not None:
        beside = f", by Docker in {format_seconds(docker)}" if docker is not None else ""
        yield Statement(f"the same payload by LXC is ready in {format_seconds(lxc)}{beside}", None)
    count = view.middle("lxc", "count", view.container)
    if count is not None:
        yield Statement(_fit(view, "lxc", count, view.container, "of it"), None)


CLAIMS: Mapping[str, Claim] = {
    "start": Claim("Start", "seconds against minutes", _start),
    "disk": Claim("Hard disk", "MB against GB", _disk),
    "performance": Claim("Performance", "near native against weaker", _performance),
    "capacity": Claim("Capacity of one machine", "thousands against dozens", _capacity),
    "overhead": Claim("System overhead", "hardly any against one operating system each", _overhead),
    "saving": Claim("Saving state", "commits with history, cheap, against snapshots", _saving),
    "building": Claim("Building", "a Dockerfile, rebuilt quickly", _building),
    "kernels": Claim("Kernels", "one for all against any", _kernels),
    "services": Claim("Small services", "a redis, a memcached in a container each", _services, sides=False),
    "nested": Claim("Containers inside a VM", "possible", _nested, sides=False),
    "lxc": Claim("LXC, on which Docker was first built", NO_CLAIM, _lxc, sides=False),
}
"""Row -> what the article says of containers against VMs."""
