"""A libvirtd that stops answering: density gives it up and says so, and does not hang with it."""

import os
import signal
from pathlib import Path

import anyio
import pytest
from engines.contract import context_in
from support.libvirtd import libvirtd

from density.engines.libvirt import LibvirtEngine, connections
from density.errors import EngineUnavailable

pytestmark = [pytest.mark.anyio, pytest.mark.libvirt, pytest.mark.root]


async def test_a_daemon_that_hangs_is_given_up(runtime_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first call has its time, every other one and leaving the engine take none; the way out is named."""
    monkeypatch.setattr(connections, "CALL_SECONDS", 1.0)
    with libvirtd(runtime_dir) as uri:
        pid = int((runtime_dir / "libvirtd.pid").read_text())
        try:
            with anyio.fail_after(10):
                async with context_in(runtime_dir) as context, LibvirtEngine(context, uri=uri) as engine:
                    os.kill(pid, signal.SIGSTOP)
                    with pytest.raises(EngineUnavailable, match=r"not answered for 1 s.*restart libvirtd"):
                        await engine.describe()
                    began = anyio.current_time()
                    with pytest.raises(EngineUnavailable):
                        await engine.reap(context.run_id)
                    assert anyio.current_time() - began < 0.5
        finally:
            os.kill(pid, signal.SIGCONT)
