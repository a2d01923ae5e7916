"""Where a Docker daemon and its containerd keep the state of what runs: small files, often in memory.

Neither daemon reports it; both tell it by their command lines and configurations.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from density.documents import parse_json, read_document
from density.profile.toml import parse_toml

_DOCKER = "/var/run/docker"
_CONTAINERD = "/run/containerd"


def state_dirs(daemons: Mapping[str, int], proc: Path = Path("/proc")) -> dict[str, str]:
    """Facts of an `EngineInfo`: `state_dir` of dockerd, `containerd_state_dir`; only directories that exist.

    Args:
        daemons: name -> pid.
        proc: where their command lines are.
    """
    found = {}
    if pid := daemons.get("dockerd"):
        found["state_dir"] = _dockers(_arguments(pid, proc))
    if pid := daemons.get("containerd"):
        found["containerd_state_dir"] = _containerds(_arguments(pid, proc))
    return {name: path for name, path in found.items() if Path(path).is_dir()}


def option(arguments: Sequence[str], *names: str) -> str:
    """The value of a command line's option, as `--name value` or `--name=value`; empty where it is not given."""
    for number, argument in enumerate(arguments):
        name, equals, value = argument.partition("=")
        if name in names:
            return value if equals else next(iter(arguments[number + 1 : number + 2]), "")
    return ""


def _dockers(arguments: Sequence[str]) -> str:
    if given := option(arguments, "--exec-root"):
        return given
    settings: Any = {}
    with suppress(OSError, ValueError):
        settings = parse_json(read_document(Path(option(arguments, "--config-file") or "/etc/docker/daemon.json")))
    return _text(settings, "exec-root") or _DOCKER


def _containerds(arguments: Sequence[str]) -> str:
    if given := option(arguments, "--state"):
        return given
    settings: Any = {}
    with suppress(OSError, ValueError):
        text = read_document(Path(option(arguments, "--config", "-c") or "/etc/containerd/config.toml"))
        settings = parse_toml(text)
    return _text(settings, "state") or _CONTAINERD


def _text(settings: object, name: str) -> str:
    found = settings.get(name) if isinstance(settings, dict) else None
    return found if isinstance(found, str) else ""


def _arguments(pid: int, proc: Path) -> list[str]:
    try:
        return (proc / str(pid) / "cmdline").read_text().split("\0")
    except OSError:
        return []
