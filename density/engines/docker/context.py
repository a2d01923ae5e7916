"""The CLI's context: density does not follow it, but where the default socket is dead it may be what was meant."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from density.documents import parse_json, read_document

DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Context:
    """The context that the CLI would use; `host` is empty where it cannot be read."""

    name: str
    host: str

    @property
    def remedy(self) -> str:
        """What to do, where the default endpoint does not answer."""
        if not self.host:
            return f"the Docker CLI uses its context {self.name!r}, which density does not follow: set DOCKER_HOST"
        where = f"the Docker CLI uses its context {self.name!r} at {self.host}, which density does not follow"
        if self.host.startswith("unix://"):
            return f"{where}: set DOCKER_HOST={self.host}, or engines.docker in the profile"
        return f"{where}; density measures the host that it runs on: run it there"


def active_context(environment: Mapping[str, str] | None = None, home: Path | None = None) -> Context | None:
    """The CLI's active context; None where that is its default one.

    Args:
        environment: with `DOCKER_CONTEXT` and `DOCKER_CONFIG`; None: this process's.
        home: whose ~/.docker it is; None: this user's.
    """
    variables = os.environ if environment is None else environment
    directory = Path(variables.get("DOCKER_CONFIG") or (home or _home()) / ".docker")
    name = variables.get("DOCKER_CONTEXT") or _text(directory / "config.json", "currentContext")
    if not name or name == DEFAULT:
        return None
    metadata = directory / "contexts/meta" / sha256(name.encode()).hexdigest() / "meta.json"
    return Context(name, _text(metadata, "Endpoints", "docker", "Host"))


def _home() -> Path:
    """This user's; where that has none, one that has nothing in it."""
    try:
        return Path.home()
    except RuntimeError:
        return Path(os.devnull)


def _text(path: Path, *keys: str) -> str:
    """The text under these keys of a JSON file; empty where it is not there, or not readable."""
    try:
        found = parse_json(read_document(path))
    except (OSError, ValueError):
        return ""
    for key in keys:
        found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, str) else ""
