"""`density run --dry-run`: the plan, the limits and a forecast from typical costs; starts nothing."""

import json
import math
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from density.capacity.forecast import outlook
from density.controller.doctor import simulated_host, slice_values
from density.events import CeilingForecast, HostFound
from density.host.host import facts
from density.host.reader import HostReader
from density.profile.spec import Profile
from density.ramp.decide import bounds_of
from density.ramp.outlook import planned_waves
from density.report.ceilings import ceiling_table
from density.state import RunState
from density.units import format_count


def show_plan(profile: Profile, *, as_json: bool) -> int:
    """Print what `density run` would go by."""
    state, values = RunState(), _values(profile)
    state.apply(HostFound(0.0, facts(Path("/"))))
    found = outlook(state, values=values, workloads=profile.workloads, bounds=bounds_of(profile)).forecast()
    nearest = found[0].count if found else math.inf
    waves = planned_waves(profile.ramp, nearest)
    if as_json:
        click.echo(json.dumps(_document(profile, found, waves), indent=2))
    else:
        _print(profile, found, waves)
    return 0


def _values(profile: Profile) -> dict[str, float]:
    if profile.engines == ("simulated",):
        return dict(simulated_host(profile).values())
    return HostReader(disks={"runs": Path.cwd()}).read() | slice_values(profile.slice)


def _print(profile: Profile, found: tuple[CeilingForecast, ...], waves: list[int]) -> None:
    calibration = f"{profile.ramp.calibrate} of each workload alone" if profile.ramp.calibrate else "none"
    sizes = ", ".join(map(str, waves[:16])) + (f", ... ({len(waves)} waves)" if len(waves) > 16 else "")
    workloads = ", ".join(f"{each.name} ({each.engine}, share {each.share:g})" for each in profile.workloads)
    required = ", ".join(f"{name} {format_count(least)}" for name, least in profile.require.asked().items())
    console = Console(highlight=False)
    lines = (
        f"{profile.name}: nothing is started",
        f"workloads    {workloads}",
        f"calibration  {calibration}",
        f"waves        {sizes}",
        f"until        {profile.ramp.until}, at most {format_count(profile.ramp.max_instances)}",
        *([f"required     {required}"] if required else []),
        "",
    )
    for line in lines:
        console.print(Text(line))
    growing = [ceiling for ceiling in found if math.isfinite(ceiling.count)]
    console.print(ceiling_table(growing))
    last = f"reached at: instances, by typical costs; {len(found) - len(growing)} more ceilings are not in their way"
    console.print(Text(f"\n{last}\ndensity doctor knows more, and a run measures it"))


def _document(profile: Profile, found: tuple[CeilingForecast, ...], waves: list[int]) -> dict[str, Any]:
    return {
        "profile": profile.name,
        "waves": waves,
        "until": profile.ramp.until,
        "max": profile.ramp.max_instances,
        "required": profile.require.asked(),
        "ceilings": [
            {
                "ceiling": ceiling.ceiling,
                "subject": ceiling.subject,
                "used": ceiling.used,
                "limit": ceiling.limit,
                "reserve": ceiling.reserve,
                "count": math.floor(ceiling.count) if math.isfinite(ceiling.count) else None,
            }
            for ceiling in found
        ],
    }
