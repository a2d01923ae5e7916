"""What a person should know of a profile before it runs: nothing of it is wrong, but it may not do what is expected."""

from collections.abc import Iterator

from density.profile.problems import listed
from density.profile.spec import Profile


def cautions(profile: Profile) -> Iterator[str]:
    """A sentence each."""
    silent = [workload.name for workload in profile.workloads if not workload.answers_pings]
    if profile.objectives.probe_p99_seconds is not None and silent:
        names = listed(silent, "and")
        yield f"objectives.probe_p99 does not judge {names}: only density's payload answers pings"
