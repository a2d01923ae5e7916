"""Small static C programs for tests, made by the compiler that makes the payload."""

import io
import os
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from density.payload.build import FLAGS, compilers


def compile_static(source: Path, binary: Path) -> Path:
    """One program, by the first compiler that can.

    Raises:
        RuntimeError: none can; with the words of each.
    """
    complaints = []
    cache = f"{binary.parent}/zig"
    environment = {**os.environ, "ZIG_GLOBAL_CACHE_DIR": cache, "ZIG_LOCAL_CACHE_DIR": cache}
    for command in compilers():
        made = subprocess.run(
            [*command, *FLAGS, "-pthread", "-o", str(binary), str(source)],
            capture_output=True, text=True, check=False, env=environment,
        )  # fmt: skip
        if made.returncode == 0:
            return binary
        complaints.append(f"{command[0]}: {made.stderr.strip()}")
    raise RuntimeError("; ".join(complaints) or "there is no C compiler")


def image_tar(programs: Sequence[Path], directories: Mapping[str, int] | None = None) -> bytes:
    """An image's files: the programs at its top, and empty directories with their modes."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name, mode in (directories or {}).items():
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, mode
            tar.addfile(entry)
        for program in programs:
            tar.add(program, arcname=program.name)
    return archive.getvalue()
