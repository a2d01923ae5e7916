"""A libvirtd that stops answering, or takes nobody in: density gives it up and says so, and does not hang with it."""

import os
import signal
from pathlib import Path
from unittest.mock import Mock

import anyio
import pytest
from engines.contract import context_in
from support.libvirtd import libvirtd

from density.engines.libvirt import LibvirtEngine, connections
from density.errors import EngineUnavailable

pytestmark = [pytest.mark.anyio, pytest.mark.libvirt, pytest.mark.root]


async def test_a_daemon_that_takes_no_more_clients_leaves_no_connection_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a daemon short of clients would be shorter by each try."""
    opened: list[Mock] = []

    def connect(_: str) -> Mock:
        if len(opened) == 2:
            raise EngineUnavailable("libvirt", "too many active clients")
        opened.append(Mock())
        return opened[-1]

    monkeypatch.setattr(connections, "connect", connect)
    with pytest.raises(EngineUnavailable, match="too many"):
        await connections.Connections("").open()
    assert [one.close.call_count for one in opened] == [1, 1]


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
