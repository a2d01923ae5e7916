"""Simulated runs, ready to be compared."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import takewhile
from pathlib import Path

from support.simulation import simulate

from density.events import Event, RunStarted, Stopped
from density.metrics.current import bounds_of_run
from density.profile.convert import to_tables
from density.profile.load import load_profile
from density.profile.problems import flat
from density.profile.spec import Profile
from density.report.compare.groups import Run, launches
from density.report.history import collect
from density.report.recorded import Recorded
from density.report.result import result


def compared(seed: int, *overrides: str, source: str | Path = "simulated", **started: object) -> Run:
    """A run of a simulated profile; `started` replaces what its first event says."""
    profile = load_profile(source, overrides=[f"simulated.seed={seed}", *overrides])
    named: dict[str, object] = {"run_id": f"run-{seed}"} | started

    def renamed(event: Event) -> Event:
        return replace(event, **named) if isinstance(event, RunStarted) else event  # type: ignore[arg-type]

    return _run(profile, map(renamed, simulate(profile).events))


def unended(seed: int, *overrides: str, alive: bool = False) -> Run:
    """The same as far as it had come before it stopped growing: it goes on, or was killed."""
    profile = load_profile("simulated", overrides=[f"simulated.seed={seed}", *overrides])
    events = takewhile(lambda event: not isinstance(event, Stopped), simulate(profile).events)
    named = (replace(event, run_id=f"run-{seed}") if isinstance(event, RunStarted) else event for event in events)
    return replace(_run(profile, named), alive=alive)


def _run(profile: Profile, events: Iterable[Event]) -> Run:
    state, history = collect(events)
    bounds = bounds_of_run(state)
    settings = dict(flat(to_tables(profile)))
    return Run(Recorded(state, history, bounds, result(state, bounds)), settings, launches(history))
