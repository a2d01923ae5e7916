"""Kernel keys: a container's session keyring counts against the quota of the user that makes it."""

import os
from pathlib import Path

from density.host.reading import FileSensor


def parse_key_users(text: str, uids: frozenset[int]) -> dict[str, float]:
    """`keys.uidN.{count,limit,used_bytes,limit_bytes}` of these users from /proc/key-users; others are passed over.

    A line is `uid: usage keys/instantiated count/limit bytes/limit`; the quota holds against the last two pairs.
    """
    values: dict[str, float] = {}
    for line in text.splitlines():
        uid, _, rest = line.partition(":")
        if int(uid) in uids:
            _, _, counts, sizes = rest.split()
            prefix = f"keys.uid{int(uid)}"
            values[f"{prefix}.count"], values[f"{prefix}.limit"] = map(float, counts.split("/"))
            values[f"{prefix}.used_bytes"], values[f"{prefix}.limit_bytes"] = map(float, sizes.split("/"))
    return values


def keys_sensor(root: Path) -> FileSensor:
    """The sensor of the keys of root, who owns those of containers, and of the tester's user.

    Raises:
        Unavailable: a kernel without keys.
    """
    uids = frozenset({0, os.geteuid()})
    return FileSensor({root / "proc/key-users": lambda text: parse_key_users(text, uids)})
