"""Which ceiling bound: from failures, side counters and nearness, never from an error message alone.

Each ceiling that can cause the failures that were seen gets a weight: how well their words point to it, times how near
it stood to its limit for what the launches wanted, times what its own counters say. The odds are the weights' shares,
with one share left for what the catalogue does not know. A failure without a word fits every ceiling a little, so that
one that is full is a suspect even when nobody names it.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from density.ceilings.calibration import calibrated
from density.ceilings.catalog import BY_ID, CATALOG, Ceiling, readings
from density.ceilings.errors import ENGINE_KINDS, EXHAUSTION, heard
from density.ceilings.reading import Bounds, Reading
from density.model import Failure, Phase
from density.state import Ended, RunState, WaveSeen
from density.units import format_value

Key = tuple[str, str]
Costs = Mapping[Key, float]
"""Ceiling and subject -> what one more instance takes, where that was measured."""
Typical = Callable[[Key], float]
"""What one more instance is expected to take of a ceiling before that is measured; 0: nothing, or nobody knows."""
NOBODY: Key = ("slo.failures", "")
"""What is named where nothing of the catalogue explains the failures."""


@dataclass(frozen=True, slots=True)
class SideCounter:
    """A counter that one ceiling alone moves.

    Attributes:
        name: of the value; ceiling, subject: what moves it.
        sentence: evidence, with `{n}` and the endings `{s}` and `{es}` of a plural.
        times: how much more likely the ceiling is where the counter moved in this wave.
        still: how much less likely it is where the counter is known and did not move; 1 where that says nothing.
    """

    name: str
    ceiling: str
    sentence: str
    subject: str | None = ""
    times: float = 20.0
    still: float = 1.0


SIDE_COUNTERS: tuple[SideCounter, ...] = (
    SideCounter("slice.tasks_denied", "tasks.cgroup", "the kernel denied {n} fork{s} in the slice", still=0.1),
    SideCounter(
        "slice.oom_kills", "memory.cgroup", "the kernel killed {n} process{es} in the slice for want of memory"
    ),
    SideCounter(
        "slice.memory_limit_hits",
        "memory.cgroup",
        "the slice ran into its memory limit {n} time{s}",
        times=3.0,  # that it did not move says nothing: Linux 6.18 left memory.failcnt of v1 at 0 amid kills
    ),
    SideCounter(
        "memory.oom_kills", "memory.available", "the kernel killed {n} process{es} of the host for want of memory"
    ),
    SideCounter(
        "network.neighbours.v4.table_fulls_count", "network.neighbours", "the ARP table was full {n} time{s}", "v4"
    ),
    SideCounter(
        "network.neighbours.v6.table_fulls_count",
        "network.neighbours",
        "the IPv6 neighbour table was full {n} time{s}",
        "v6",
    ),
    SideCounter("network.backlog.dropped_count", "network.backlog", "the backlog was full for {n} packet{s}", None),
    SideCounter(
        "network.conntrack.dropped_count", "network.conntrack", "{n} connection{s} found the tracking table full"
    ),
)

_PEAKS = (
    ("slice.tasks", "slice.tasks_peak", "slice.tasks_limit", ()),
    (
        "slice.memory_bytes",
        "slice.memory_peak_bytes",
        "slice.memory_limit_bytes",
        ("slice.oom_kills", "slice.memory_limit_hits"),
    ),
)
"""A value of the slice, its highest since the slice was made (more than the limit where something was moved in), the
limit, and the counters one of which must have moved too."""
AT_ONCE = 6
"""Launches in flight take more for a moment than running instances do; so many are allowed for."""
MOMENTARY = frozenset({"try_again", "too_many_files", "files_in_system"})
"""Kinds that launches in flight cause by what they hold for a moment: a container's start takes a dozen tasks."""
BETWEEN_SAMPLES = 1
"""Instances that may have come and gone between two samples, of what is held for as long as they live."""
STEEP = 4.0
"""How fast a ceiling is out of question with its room, counted in what the launches wanted."""
SILENT = 0.15
"""How well a failure without a word fits a ceiling, beside one that names what ran out."""
WORDS_ALONE = 0.5
"""The weight of a ceiling that nobody can read and that alone is said like this."""
WITHIN_A_WAVE = 0.05
"""The least that a ceiling weighs whose room is less than what the wave's launches take."""
UNKNOWN = 0.05
"""The weight of a cause that is not in the catalogue, where words name one that would weigh 1."""
UNKNOWN_SILENT = 0.1
"""The same where a program ended and nothing was said: many do so for reasons of their own."""
ENGINES = 0.2
"""The same where the engine itself seems unable to launch."""
COUNTED = 20.0
"""The weight of an instance's own limit that the kernel counted a hit at."""
BY_WORDS = 0.3
"""The same of one that fits what it said last, where no counter tells whether it was this one."""
OF_STARTING = frozenset(
    {
        "files.process",
        "maps.process",
        "libvirt.processes",
        "mounts.namespace",
        "namespaces.user",
        "keys.user",
        "keys.bytes",
        "cgroups.memcg",
        "network.bridge_ports",
        "network.addresses",
    }
)
"""Ceilings that an engine meets while it starts an instance, and hardly ever a program that runs."""
STARTED_ALREADY = 0.1
"""How well they fit what a program that ran has said, or that it ended."""
EXCULPATED = 0.05
"""How well a failure fits the host's ceilings when the instance met a limit of its own."""
UNLIKELY = 0.1
"""Suspects with lower odds are not worth telling."""


@dataclass(frozen=True, slots=True)
class Suspect:
    """A ceiling that may have bound, with its odds among all and what speaks for it."""

    ceiling: str
    subject: str
    odds: float
    evidence: tuple[str, ...]

    @property
    def key(self) -> Key:
        """Ceiling and subject."""
        return self.ceiling, self.subject


def likeliest(found: Sequence[Suspect]) -> Key:
    """Ceiling and subject of the first of `suspects`; `NOBODY` where that is likelier."""
    nobody = 1 - sum(suspect.odds for suspect in found)
    return found[0].key if found and found[0].odds > max(nobody, UNLIKELY) else NOBODY


def unexpected(_: Key) -> float:
    """Where nobody says what an instance typically takes."""
    return 0.0


def suspects(state: RunState, bounds: Bounds, costs: Costs, typical: Typical = unexpected) -> list[Suspect]:
    """Every ceiling that the wave's failures fit, most likely first.

    Args:
        state, bounds: what is known, and what is kept free.
        costs: what was measured.
        typical: stands in where nothing was.
    """
    wave = state.wave_seen()
    if not wave.ended:
        return []
    highest = _highest_of_the_host(wave, bounds)
    moved = {(counter.ceiling, counter.subject): counter for counter in SIDE_COUNTERS if _grown(wave, counter) > 0}
    weights = {
        key: weight
        for key, reading in highest.items()
        if key[0] != NOBODY[0] and (weight := _weight(reading, costs, typical, wave))
    }
    weights |= _by_words_alone(wave, highest) | _own_limits(wave, highest)
    if ("memory.cgroup", "") in moved or any(key[0] == "memory.instance" for key in weights):
        # The host counts kills of cgroups too.
        weights.pop(("memory.available", ""), None)
    nobody = sum(map(_unknown, wave.ended)) / len(wave.ended)
    total = sum(weights.values()) + nobody
    odds = calibrated({key: weight / total for key, weight in {**weights, NOBODY: nobody}.items()})
    return [
        Suspect(*key, odds[key], tuple(_evidence(key, state, highest.get(key), costs.get(key))))
        for key in sorted(weights, key=lambda key: -odds[key])
    ]


def named(failure: Failure) -> str:
    """The kind of a failure: what the engine named, else what the instance said last, else what became of it."""
    if failure.kind in EXHAUSTION or failure.kind in _CERTAIN:
        return failure.kind
    said = heard(failure.evidence) or heard((failure.message,))
    return said.kind if said else failure.kind


_CERTAIN = (ENGINE_KINDS - {"engine"}) | {"own_limit", "cancelled"}
"""Kinds that an engine knows better than any words of the instance."""


def _weight(reading: Reading, costs: Costs, typical: Typical, wave: WaveSeen) -> float:
    return _fits(reading.key, wave.ended) * _nearness(reading, costs, typical, wave) * _counted(reading.key, wave)


def _is_silent(kind: str) -> bool:
    return kind not in EXHAUSTION and kind not in _CERTAIN


def _fits(key: Key, ended: Sequence[Ended]) -> float:
    """How well a ceiling explains the failures: their mean, less where its errors are of many kinds."""
    return sum(_fit(key, each) for each in ended) / len(ended)


def _fit(key: Key, ended: Ended) -> float:
    ceiling, kind = BY_ID[key[0]], named(ended.failure)
    share = EXCULPATED if any(own.hits for own in ended.failure.own_limits) else 1.0
    if _is_of_starting(key) and _ran(ended):
        share *= STARTED_ALREADY
    if kind in ceiling.errors:
        return share / math.sqrt(len(ceiling.errors))
    return share * SILENT if _is_silent(kind) and ceiling.errors and not ceiling.soft and not ceiling.own else 0.0


def _is_of_starting(key: Key) -> bool:
    """Whether the engine meets it when it starts an instance: its own limits, or what it takes for an instance."""
    return key[0] in OF_STARTING or (key[0] in {"tasks.cgroup", "memory.cgroup"} and key[1] != "")


def _ran(ended: Ended) -> bool:
    """Whether a program ran and ended by itself, and no engine has named the reason."""
    return ended.reached in {Phase.STARTED, Phase.READY} and ended.failure.kind == "exited"


def is_engines(ended: Ended) -> bool:
    """Whether it says that the engine cannot launch: its own words, or most of the time was over before it started."""
    kind = named(ended.failure)
    return kind in ENGINE_KINDS or (kind == "timeout" and ended.ran < ended.seconds / 2)


def _unknown(ended: Ended) -> float:
    if is_engines(ended):
        return ENGINES
    kind = named(ended.failure)
    return UNKNOWN_SILENT if _is_silent(kind) and kind != "timeout" else UNKNOWN


def _by_words_alone(wave: WaveSeen, highest: Mapping[Key, Reading]) -> dict[Key, float]:
    """Ceilings that cannot be read here, of failures whose kind only one ceiling causes."""
    causes = Counter(kind for ceiling in CATALOG for kind in ceiling.errors)
    read = {key[0] for key in highest}
    found = {}
    for ceiling in CATALOG:
        alone = {kind for kind in ceiling.errors if causes[kind] == 1 and kind in EXHAUSTION}
        share = sum(named(each.failure) in alone for each in wave.ended) / len(wave.ended)
        if ceiling.id not in read and share and not ceiling.own:
            found[ceiling.id, ""] = share * WORDS_ALONE
    return found


def _own_limits(wave: WaveSeen, highest: Mapping[Key, Reading]) -> dict[Key, float]:
    """Limits of the instances themselves, by workload: each failure by the likeliest of its own."""
    by_words = BY_WORDS * max(EXCULPATED, 1 - _fullest(wave, highest))
    found: dict[Key, float] = {}
    for each in wave.ended:
        for own in each.failure.own_limits[:1]:
            if own.ceiling in BY_ID:
                key = own.ceiling, each.workload
                found[key] = found.get(key, 0.0) + (COUNTED if own.hits else by_words)
    return {key: weight / len(wave.ended) for key, weight in found.items()}


def _fullest(wave: WaveSeen, highest: Mapping[Key, Reading]) -> float:
    """How full the fullest of the host's ceilings is that the failures' words fit as well: 1 at its limit."""
    shares = (reading.ratio for key, reading in highest.items() if _names(key[0], wave))
    return max((min(1.0, max(0.0, share)) ** 8 for share in shares), default=0.0)


def _nearness(reading: Reading, costs: Costs, typical: Typical, wave: WaveSeen) -> float:
    """How likely the limit was in the way; a typical cost may be too low, so that the share that is used counts too."""
    if reading.key in costs:
        return _near(reading, costs[reading.key], wave)
    return max(_near(reading, 0.0, wave), _near(reading, typical(reading.key), wave))


def _near(reading: Reading, cost: float, wave: WaveSeen) -> float:
    """How likely the limit was in the way: 1 where the room was nothing beside what the launches wanted."""
    if cost <= 0:
        return 0.5 * math.pow(max(0.0, min(1.0, reading.ratio)), 8.0 if _names(reading.ceiling, wave) else 64.0)
    room = max(0.0, reading.limit - reading.used)
    ceiling = BY_ID[reading.ceiling]
    at_once = AT_ONCE if _surges(ceiling, wave) else BETWEEN_SAMPLES
    wanted = cost * (_refused(wave) + at_once) + ceiling.to_start
    near = 1 / (1 + math.pow(room / wanted, STEEP))
    return max(near, WITHIN_A_WAVE) if room < cost * (wave.ready + len(wave.ended)) else near


def _surges(ceiling: Ceiling, wave: WaveSeen) -> bool:
    """Whether an engine failed at what its launches in flight hold for a moment."""
    return any(each.failure.kind in MOMENTARY & ceiling.errors for each in wave.ended)


def _names(ceiling: str, wave: WaveSeen) -> bool:
    return any(named(each.failure) in BY_ID[ceiling].errors for each in wave.ended)


def _refused(wave: WaveSeen) -> int:
    """Launches that may have wanted more than a sample shows: those that did not go on until their time was over."""
    return sum(each.failure.kind != "timeout" and each.reached is not Phase.READY for each in wave.ended)


def _counted(key: Key, wave: WaveSeen) -> float:
    """What the ceiling's own counters say."""
    times = 1.0
    for counter in SIDE_COUNTERS:
        if counter.ceiling == key[0] and counter.subject in {None, key[1]} and counter.name in wave.now:
            times *= counter.times if _grown(wave, counter) > 0 else counter.still
    return times


def _grown(wave: WaveSeen, counter: SideCounter) -> float:
    """By how much it moved since the wave began; one that was not there then began at nothing."""
    return wave.now.get(counter.name, 0.0) - wave.before.get(counter.name, 0.0)


def highest_readings(wave: WaveSeen, bounds: Bounds) -> dict[Key, Reading]:
    """Each ceiling's highest use over the wave, with those that are the failed instances' own."""
    return _highest_of_the_host(wave, bounds) | _own_readings(wave)


def _highest_of_the_host(wave: WaveSeen, bounds: Bounds) -> dict[Key, Reading]:
    """What failed has often been freed again by the wave's end, so the highest use counts."""
    highest: dict[Key, Reading] = {}
    for values in (*wave.samples, wave.now, _peaks(wave)):
        for reading in readings({**wave.now, **values}, bounds):
            known = highest.get(reading.key)
            if known is None or reading.ratio > known.ratio:
                highest[reading.key] = reading
    return highest


def _peaks(wave: WaveSeen) -> dict[str, float]:
    """The most that the slice used in this wave where the kernel kept count: a launch that fails is gone in no time.

    Memory's highest use is that of a moment in which pages of files could still be taken back, unless they could not.
    """
    found = {}
    for used, peak, limit, counters in _PEAKS:
        grown = wave.now.get(peak, 0.0) > wave.before.get(peak, 0.0)
        if grown and (not counters or any(wave.now.get(name, 0.0) > wave.before.get(name, 0.0) for name in counters)):
            found[used] = min(wave.now[peak], wave.now.get(limit, math.inf))
    return found


def _own_readings(wave: WaveSeen) -> dict[Key, Reading]:
    """The instances' own limits that some of them met; the subject is the workload. Use that nobody knows is NaN."""
    found: dict[Key, Reading] = {}
    for each in wave.ended:
        for own in each.failure.own_limits[:1]:
            reading = Reading(own.ceiling, each.workload, math.nan if own.used is None else own.used, own.limit)
            known = found.get(reading.key)
            if own.ceiling in BY_ID and (known is None or math.isnan(known.used) or known.used < reading.used):
                found[reading.key] = reading
    return found


def _evidence(key: Key, state: RunState, reading: Reading | None, cost: float | None) -> Iterator[str]:
    wave = state.wave_seen()
    for counter in SIDE_COUNTERS:
        grown = _grown(wave, counter)
        if counter.ceiling == key[0] and counter.subject in {None, key[1]} and grown > 0:
            one = grown == 1
            yield counter.sentence.format(n=f"{grown:,.0f}", s="" if one else "s", es="" if one else "es")
    if reading is not None:
        yield stood(reading)
        if cost is not None and cost > 0:
            yield f"one more instance takes {format_value(cost, BY_ID[key[0]].unit)} of it"
    elif BY_ID[key[0]].own:
        yield _own_evidence(state, key)
    else:
        yield f"{key[0]} cannot be read here: the words alone name it"


def _own_evidence(state: RunState, key: Key) -> str:
    """How many instances met this limit of their own, of how many."""
    ceiling, workload = key
    known = state.workloads[workload]
    own = known.own_limits[ceiling]
    limit = format_value(own.highest.limit, BY_ID[ceiling].unit)
    noun = "" if BY_ID[ceiling].unit == "bytes" else f" {BY_ID[ceiling].unit}"
    met = "met" if own.highest.hits else "may have met"
    return (
        f"{own.count} of {known.launched} instances of {workload} {met} the instance's own limit of {limit}{noun}; "
        f"{known.failed + known.lost} of {known.launched} failed or died"
    )


def stood(reading: Reading) -> str:
    """`tasks.cgroup stood at 40 of 40 tasks (100.0%)`."""
    unit = BY_ID[reading.ceiling].unit
    name = f"{reading.ceiling} {reading.subject}".rstrip()
    noun = f" {unit}" if unit not in {"bytes", "seconds", "ratio"} else ""
    used, limit = format_value(reading.used, unit), format_value(reading.limit, unit)
    return f"{name} stood at {used} of {limit}{noun} ({reading.ratio:.1%})"
