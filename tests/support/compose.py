"""Docker's compose, as `grafana/up.sh` looks for it."""

import subprocess


def compose_command() -> list[str]:
    """The plugin of Docker, else the program of its own; empty where there is neither."""
    for command in (["docker", "compose"], ["docker-compose"]):
        try:
            subprocess.run([*command, "version"], capture_output=True, check=True)
        except (FileNotFoundError, subprocess.CalledProcessError):
            continue
        return command
    return []
