"""Open files of the whole host."""

from pathlib import Path

from density.host.reading import FileSensor


def parse_file_nr(text: str) -> dict[str, float]:
    """`files.open` and `files.max` from /proc/sys/fs/file-nr; its middle number is always 0 since Linux 2.6."""
    used, _, limit = text.split()
    return {"files.open": float(used), "files.max": float(limit)}


def files_sensor(root: Path) -> FileSensor:
    """The sensor of open files.

    Raises:
        Unavailable: no /proc/sys/fs/file-nr.
    """
    return FileSensor({root / "proc/sys/fs/file-nr": parse_file_nr})
