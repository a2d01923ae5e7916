"""Compiling the payload."""

import stat
import subprocess
from pathlib import Path

import anyio
import pytest

from density.errors import EngineUnavailable
from density.payload import build
from density.payload.build import Compiler, cache_key, payload_binary

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """A compiler is a real process."""
    return "asyncio"


async def test_the_payload_is_compiled_once(tmp_path: Path) -> None:
    """The second call takes the first one's binary, and nothing else is left in the cache."""
    first = await payload_binary(tmp_path)
    made = first.stat().st_mtime_ns
    assert await payload_binary(tmp_path) == first
    assert first.stat().st_mtime_ns == made
    assert {path.name async for path in anyio.Path(tmp_path).iterdir()} - {"zig"} == {first.name}
    assert stat.S_IMODE(first.stat().st_mode) == 0o755


def test_the_payload_needs_no_library(payload: Path) -> None:
    """It is static, so it runs in an image that holds nothing else: its ELF has no interpreter."""
    assert b"/ld-" not in payload.read_bytes()[:4096]


async def test_no_compiler_is_a_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a compiler the error says so, and how to get one."""
    monkeypatch.setattr(build, "compilers", lambda: iter(()))
    with pytest.raises(EngineUnavailable, match="no C compiler") as caught:
        await payload_binary(tmp_path)
    assert "gcc" in caught.value.remedy


async def test_a_failing_compiler_is_quoted_and_the_next_one_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A compiler that cannot link statically is passed over; if it was the last, the error has its words."""
    broken = tmp_path / "broken"
    broken.write_text('#!/bin/sh\n[ "$1" = --version ] && exit 0\necho "ld: cannot find -lc" >&2\nexit 1\n')
    broken.chmod(0o755)
    real = list(build.compilers())
    monkeypatch.setattr(build, "compilers", lambda: iter([(str(broken),), *real]))
    assert (await payload_binary(tmp_path / "cache")).exists()
    monkeypatch.setattr(build, "compilers", lambda: iter([(str(broken),)]))
    with pytest.raises(EngineUnavailable, match="cannot find -lc"):
        await payload_binary(tmp_path / "cache")


def test_the_key_changes_with_everything_that_matters() -> None:
    """Source, compiler, its version and the flags each make another binary."""
    base = cache_key(b"a", Compiler(("cc",), "1"), ["-Os"])
    others = {
        cache_key(b"b", Compiler(("cc",), "1"), ["-Os"]),
        cache_key(b"a", Compiler(("gcc",), "1"), ["-Os"]),
        cache_key(b"a", Compiler(("cc",), "2"), ["-Os"]),
        cache_key(b"a", Compiler(("cc",), "1"), ["-O2"]),
    }
    assert len(others) == 4
    assert base not in others
    assert base == cache_key(b"a", Compiler(("cc",), "1"), ["-Os"])


def test_a_wrong_command_line_is_told(payload: Path) -> None:
    """An unknown option, a missing value or a missing id ends with 64 and a sentence."""
    for words in (["--wrong", "1"], ["--id"], ["--id", "a"], ["--id", "a", "--socket", "s", "--serial", "t"]):
        ended = subprocess.run([payload, *words], capture_output=True, text=True, timeout=10, check=False)
        assert ended.returncode == 64
        assert ended.stderr.count("\n") == 1
