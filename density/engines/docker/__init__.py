"""Docker: containers, by the daemon's own API. Importing this imports the SDK (0.5 s): do it when a run needs it."""

from density.engines.docker.engine import DockerEngine

__all__ = ["DockerEngine"]
