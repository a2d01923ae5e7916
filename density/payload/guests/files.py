"""Files of the cache: complete as soon as they have their name, readable for QEMU's user."""

import shutil
import tempfile
from pathlib import Path

from density.places import own_directory


def keep(path: Path, data: bytes) -> Path:
    """Write a file of the cache; one that is there already is taken as it is, for its name says its content."""
    if not path.exists():
        with _scratch(path) as scratch:
            made = Path(scratch, path.name)
            made.write_bytes(data)
            _publish(made, path)
    return path


def keep_copy(path: Path, source: Path) -> Path:
    """Like `keep`, with the content of another file."""
    if not path.exists():
        with _scratch(path) as scratch:
            made = Path(scratch, path.name)
            shutil.copyfile(source, made)
            _publish(made, path)
    return path


def _scratch(path: Path) -> "tempfile.TemporaryDirectory[str]":
    own_directory(path.parent, 0o755)  # as the cache is, for QEMU's user
    return tempfile.TemporaryDirectory(dir=path.parent, prefix=f"{path.name}.")


def _publish(made: Path, path: Path) -> None:
    made.chmod(0o644)
    made.replace(path)
