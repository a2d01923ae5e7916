"""SECURITY.md and docs/safety.md say what the code does: their numbers, their files and their commands."""

import re
import stat
import subprocess
from pathlib import Path

import pytest

from density.cli import COMMANDS
from density.cli.errors import TRACEBACK, explain
from density.controller.away import AWAY_SECONDS
from density.engines.docker.log import CPU_SHARE, EVIDENCE_LETTERS, EVIDENCE_LINES, LONGEST_LINE
from density.engines.docker.spec import PAYLOAD_PIDS
from density.metrics.address import DEFAULT
from density.metrics.listener import CLIENT_SECONDS, CLIENTS, HEADER_BYTES
from density.model import LABELS
from density.payload.connection import SECRET_BYTES
from density.payload.protocol import LINE_LIMIT
from density.payload.strangers import HELLO_SECONDS, MOST
from density.profile.spec import LEASE_SECONDS, LEAST_RESERVE_BYTES, MOST_RESERVE_BYTES, Reserve
from density.units import format_bytes

ROOT = Path(__file__).parents[1]
SECURITY = (ROOT / "SECURITY.md").read_text()
SAFETY = (ROOT / "docs/safety.md").read_text()


@pytest.mark.parametrize(
    "said",
    [
        f"secret of {8 * SECRET_BYTES} bits",
        f"{MOST} at most are waited for, for {HELLO_SECONDS:.0f} s",
        f"{CLIENTS} clients at once, {CLIENT_SECONDS:.0f} s and {format_bytes(HEADER_BYTES)} of headers",
        f"at most {PAYLOAD_PIDS} processes",
        f"{LINE_LIMIT:,} bytes a line on a serial port",
        f"{format_bytes(LONGEST_LINE)} a line that is searched",
        f"{EVIDENCE_LINES} lines of {EVIDENCE_LETTERS:,} letters as evidence",
    ],
)
def test_numbers_of_security(said: str) -> None:
    """Each as the code has it."""
    assert said in SECURITY


def test_numbers_of_safety() -> None:
    """Reserve, lease, how long a daemon is waited for, and where metrics are served."""
    reserve = Reserve()
    kept = f"{format_bytes(LEAST_RESERVE_BYTES)} to {format_bytes(MOST_RESERVE_BYTES)}"
    assert f"({kept}), {reserve.tasks:,} tasks, {reserve.files:,} descriptors" in SAFETY
    assert f"{format_bytes(reserve.disk_bytes)} and {reserve.inodes:,} inodes" in SAFETY
    assert f"({LEASE_SECONDS:.0f} s, `lease` in the profile)" in SAFETY
    assert f"{AWAY_SECONDS:.0f} s from the last instance that went" in SAFETY
    assert f"{DEFAULT}, for metrics" in SAFETY
    assert CPU_SHARE == 0.2
    assert "a fifth of a\nCPU" in SECURITY


def test_traceback_files_are_among_what_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What density writes where it failed itself lies where the page says, and is removed by what the page says."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    explain(ValueError("a fault"), with_traceback=False)
    (file,) = tmp_path.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert f"`{TRACEBACK}….txt`" in SAFETY
    (command,) = (line for line in SAFETY.splitlines() if line.startswith("rm ") and TRACEBACK in line)
    subprocess.run(["sh", "-c", command], check=True)
    assert not file.exists()


def test_commands_and_links_exist() -> None:
    """Every command of density's that is named is one, its label is the one to look for, and links lead somewhere."""
    for text, directory in ((SECURITY, ROOT), (SAFETY, ROOT / "docs")):
        for quoted, in_block in re.findall(r"`density ([a-z]+)[^`\n]*`|^density ([a-z]+).*  #", text, re.MULTILINE):
            assert (quoted or in_block) in COMMANDS
        for link in re.findall(r"\]\(([^)#]+)\)", text):
            assert (directory / link).exists(), link
    assert f"label={LABELS}.run" in SAFETY
    assert "docs/safety.md" in (ROOT / "README.md").read_text()
