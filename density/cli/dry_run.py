"""`density run --dry-run`: the plan, the limits, and the forecast that `density doctor` makes; starts nothing."""

import json
import math
from functools import partial
from pathlib import Path
from typing import Any

import anyio
from rich.text import Text

from density.cli.console import SafeConsole
from density.cli.output import echo
from density.controller.doctor import examine
from density.controller.preflight import refuse_problems
from density.errors import EngineUnavailable
from density.profile.cautions import cautions
from density.profile.spec import Profile
from density.ramp.outlook import planned_waves
from density.report.doctor import Diagnosis, diagnose
from density.report.doctor_document import ceiling_documents, cost_source
from density.report.doctor_view import ceilings, ceilings_legend
from density.units import format_count


def show_plan(profile: Profile, *, runs_dir: Path, as_json: bool) -> int:
    """Print what `density run` would go by.

    Raises:
        UsageError: workloads cannot run here, every one of them with its reason.
    """
    found = anyio.run(partial(examine, profile, runs_dir=runs_dir))
    refuse_problems(problem for engine in found.engines for problem in engine.refused)
    for engine in found.engines:
        if engine.problem and engine.name in profile.engines:
            unasked = EngineUnavailable(engine.name, engine.problem, remedy=engine.remedy)
            echo(f"not checked whether its workloads can run: {unasked}", err=True)
    diagnosis = diagnose(profile, found, title=profile.name)
    nearest = diagnosis.prospects[0].forecast.count if diagnosis.prospects else math.inf
    waves = planned_waves(profile.ramp, nearest)
    if as_json:
        echo(json.dumps(_document(diagnosis, waves), indent=2, allow_nan=False))
    else:
        _print(diagnosis, waves)
    return 0


def _print(diagnosis: Diagnosis, waves: list[int]) -> None:
    profile, run = diagnosis.profile, diagnosis.measured_by
    calibration = f"{profile.ramp.calibrate} of each workload alone" if profile.ramp.calibrate else "none"
    sizes = ", ".join(map(str, waves[:16])) + (f", ... ({len(waves)} waves)" if len(waves) > 16 else "")
    workloads = ", ".join(f"{each.name} ({each.engine}, share {each.share:g})" for each in profile.workloads)
    required = ", ".join(f"{name} {format_count(least)}" for name, least in profile.require.asked().items())
    console = SafeConsole(highlight=False)
    lines = (
        f"{profile.name}: nothing is started; costs {f'measured in run {run}' if run else 'not measured yet'}",
        f"workloads    {workloads}",
        f"calibration  {calibration}",
        f"waves        {sizes}",
        f"until        {profile.ramp.until}, at most {format_count(profile.ramp.max_instances)}",
        *([f"required     {required}"] if required else []),
        *(f"warning      {caution}" for caution in cautions(profile)),
        "",
    )
    for line in lines:
        console.print(Text(line))
    console.print(ceilings(diagnosis))
    console.print(Text(ceilings_legend(diagnosis), style="dim"))


def _document(diagnosis: Diagnosis, waves: list[int]) -> dict[str, Any]:
    profile = diagnosis.profile
    return {
        "profile": profile.name,
        "waves": waves,
        "until": profile.ramp.until,
        "max": profile.ramp.max_instances,
        "required": profile.require.asked(),
        "costs": cost_source(diagnosis),
        "warnings": list(cautions(profile)),
        "ceilings": ceiling_documents(diagnosis),
    }
