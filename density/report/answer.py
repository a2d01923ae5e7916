"""The answer of a run in one sentence, whatever way the run ended."""

from density.capacity.capacities import failed_by_themselves, most_that_ran
from density.ceilings.catalog import BY_ID
from density.report.facts import Said, count
from density.report.recorded import Recorded
from density.report.result import Document


def answer(run: Recorded) -> Said:
    """One sentence for a person who reads nothing else."""
    if run.state.outcome is None:
        return (*_ran(run), " were ready when the record breaks off: the run was cut off, or is still going on.")
    match run.result["outcome"]:
        case "ceiling":
            return _ceiling(run)
        case "forecast":
            hard = run.result["capacity"]["hard"]
            most: Said = ("By a forecast from ", *_ran(run), ", ", *_fit(run, hard))
            return (*most, f", where {_first(run)} would stop the next one.")
        case "error":
            ended = "The run ended in an error "
            if not run.state.peak.count:
                return (f"{ended}before any instance was ready.",)
            return (f"{ended}with at most ", *_ran(run), " ready.")
        case outcome:
            began: Said = ("Interrupted with ",) if outcome == "interrupted" else ()
            end = " when the time was over" if outcome == "duration" else ""
            return (*began, *_ran(run), f"{'' if began else ' ran'}{end}; ", *_outlook(run))


def _ceiling(run: Recorded) -> Said:
    verdict, capacity = run.result["verdict"], run.result["capacity"]
    if verdict is None or not BY_ID[verdict["ceiling"]].soft:
        stopped = f"; {_words(verdict['ceiling'], verdict['subject'])} stopped the next one." if verdict else "."
        return (*_fit(run, capacity["hard"]), stopped)
    if failed_by_themselves(run.state):
        failed: Said = (*_ran(run), " ran when instances failed, and no ceiling explains it")
        return (*failed, ".") if capacity["hard"]["kind"] != "forecast" else (*failed, "; ", *_outlook(run))
    kept = capacity["slo"]
    if kept["count"] is None:
        ran = (*_ran(run), " ran" if run.state.peak.count else "")
        why = f"{_words(verdict['ceiling'], verdict['subject'])} ended the ramp"
        return (*ran, f"; how many keep every objective was {kept['kind']}: {why}.")
    resource = _resource(verdict["ceiling"])
    missed = f" with every objective kept; with more, one is missed: {verdict['ceiling']}, {resource}"
    answered: Said = (*_fit(run, kept, key="capacity.slo"), missed)
    hard = capacity["hard"]
    if hard["kind"] != "forecast":
        return (*answered, ".")
    host = (count("capacity.hard.count", hard["count"]), f" before {_first(run)} runs out.")
    return (*answered, "; by the forecast the host itself would take ", *host)


def _fit(run: Recorded, capacity: Document, *, key: str = "capacity.hard") -> Said:
    number = capacity["count"]
    if number is None:
        return (f"how many would fit {_where(run)} was {capacity['kind']}",)
    noun, verb = ("instance", "fits") if number == 1 else ("instances", "fit")
    verb = "would fit" if capacity["kind"] == "forecast" else verb
    said: Said = (count(f"{key}.count", number), f" {noun} {verb} {_where(run)}")
    if capacity["low"] != capacity["high"]:
        said += (" (", count(f"{key}.low", capacity["low"]), " to ", count(f"{key}.high", capacity["high"]), ")")
    return said


def _ran(run: Recorded) -> Said:
    number = sum(most_that_ran(run.state).values())
    return (count("peak", number), " instance" if number == 1 else " instances")


def _outlook(run: Recorded) -> Said:
    hard = run.result["capacity"]["hard"]
    if not run.state.peak.count:
        return ("nothing was ready yet.",)
    if hard["kind"] != "forecast":
        nearest = run.state.forecast[0] if run.state.forecast else None
        known = nearest is None or not (nearest.typical or nearest.is_vague)
        return ("nothing stood in the way so far." if known else "too few were measured to say how many would fit.",)
    return ("by the forecast ", *_fit(run, hard), f" before {_first(run)} runs out.")


def _where(run: Recorded) -> str:
    if run.result["host"].get("simulated"):
        return "on the simulated host"
    limited = any(f"slice.{what}" in run.state.host for what in ("memory_limit_bytes", "tasks_limit"))
    return "in this run's slice of the host" if limited else "on this host"


def _first(run: Recorded) -> str:
    if not run.state.forecast:
        return "a ceiling that the record does not name"
    nearest = run.state.forecast[0]
    return _words(nearest.ceiling, nearest.subject)


def _words(ceiling: str, subject: str) -> str:
    return f"{_resource(ceiling)} ({f'{ceiling} {subject}'.rstrip()})"


def _resource(ceiling: str) -> str:
    """What runs out, without what explains it in brackets."""
    return BY_ID[ceiling].resource.split(" (")[0]
