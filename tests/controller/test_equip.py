"""What a run is told where it gets no slice."""

from contextlib import AsyncExitStack

import pytest

from density.controller import equip
from density.host.slice_limits import SliceUnavailable
from density.host.slice_systemd import NoAnswer
from density.model import Workload
from density.profile.spec import Profile, Slice

pytestmark = pytest.mark.anyio
WORKLOADS = (Workload(name="w", engine="native"),)


@pytest.mark.parametrize(
    ("error", "limits", "warned"),
    [
        (NoAnswer("systemctl start x: no answer within 10 s"), Slice(), True),
        (NoAnswer("systemctl start x: no answer within 10 s"), Slice(tasks=5), True),
        (SliceUnavailable("a slice needs root"), Slice(), False),
        (SliceUnavailable("a slice needs root"), Slice(tasks=5), True),
    ],
)
async def test_a_slice_that_systemd_does_not_make_is_told(
    error: SliceUnavailable, limits: Slice, monkeypatch: pytest.MonkeyPatch, *, warned: bool
) -> None:
    """With its reason: a systemd that hangs always, a missing right only where limits were asked for."""

    async def refused(_: object) -> None:
        raise error

    monkeypatch.setattr("density.controller.equip.Slice.__aenter__", refused)
    profile = Profile(name="p", workloads=WORKLOADS, slice=limits)
    async with AsyncExitStack() as stack:
        made, warnings = await equip._slice(profile, "20260101-000000-0e01", stack, [])
    assert made is None
    assert [str(error) in each for each in warnings] == [True] * warned
