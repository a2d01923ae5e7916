"""`density run --dry-run`: the plan, the limits and a forecast from typical costs; starts nothing."""

import json
import math
from pathlib import Path
from typing import Any

import click

from density.capacity.forecast import outlook
from density.ceilings.catalog import BY_ID
from density.cli.tables import table
from density.engines.simulated import HostModel
from density.events import CeilingForecast
from density.host.reader import HostReader
from density.profile.spec import Profile
from density.ramp.decide import bounds_of
from density.ramp.outlook import planned_waves
from density.state import RunState
from density.units import format_count, format_value


def show_plan(profile: Profile, *, as_json: bool) -> int:
    """Print what `density run` would go by."""
    known = outlook(RunState(), values=_values(profile), workloads=profile.workloads, bounds=bounds_of(profile))
    found = known.forecast()
    nearest = found[0].count if found else math.inf
    waves = planned_waves(profile.ramp, nearest)
    click.echo(json.dumps(_document(profile, found, waves), indent=2) if as_json else _text(profile, found, waves))
    return 0


def _values(profile: Profile) -> dict[str, float]:
    if profile.engines == ("simulated",):
        model = HostModel(profile.simulated, slice_=profile.slice, workloads=profile.workloads, clock=lambda: 0.0)
        return dict(model.values())
    values = HostReader(disks={"runs": Path.cwd()}).read()
    if profile.slice.memory_bytes:
        values |= {"slice.memory_bytes": 0.0, "slice.memory_limit_bytes": float(profile.slice.memory_bytes)}
    if profile.slice.tasks:
        values |= {"slice.tasks": 0.0, "slice.tasks_limit": float(profile.slice.tasks)}
    return values


def _text(profile: Profile, found: tuple[CeilingForecast, ...], waves: list[int]) -> str:
    rows = [
        (
            f"{ceiling.ceiling} {ceiling.subject}".rstrip(),
            *(format_value(value, BY_ID[ceiling.ceiling].unit) for value in (ceiling.used, ceiling.limit)),
            format_value(ceiling.reserve, BY_ID[ceiling.ceiling].unit) if ceiling.reserve else "-",
            format_count(ceiling.count) if math.isfinite(ceiling.count) else "never",
        )
        for ceiling in found
    ]
    calibration = f"{profile.ramp.calibrate} of each workload alone" if profile.ramp.calibrate else "none"
    sizes = ", ".join(map(str, waves[:16])) + (f", ... ({len(waves)} waves)" if len(waves) > 16 else "")
    return "\n".join(
        [
            f"{profile.name}: nothing is started",
            f"workloads    {', '.join(f'{w.name} ({w.engine}, share {w.share:g})' for w in profile.workloads)}",
            f"calibration  {calibration}",
            f"waves        {sizes}",
            f"until        {profile.ramp.until}, at most {format_count(profile.ramp.max_instances)}",
            "",
            table(("CEILING", "USED", "LIMIT", "RESERVE", "REACHED AT"), rows),
            "",
            "reached at: instances, from typical costs; a run measures them",
        ]
    )


def _document(profile: Profile, found: tuple[CeilingForecast, ...], waves: list[int]) -> dict[str, Any]:
    return {
        "profile": profile.name,
        "waves": waves,
        "until": profile.ramp.until,
        "max": profile.ramp.max_instances,
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
