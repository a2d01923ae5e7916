"""Images of real services and of a whole operating system, made from Debian's packages; root makes them."""

from density.payload.images.container import Container, container_archive
from density.payload.images.debian import DebianDisk, debian_disk
from density.payload.images.disk import write_copy
from density.payload.images.services import SERVICES, Service

__all__ = [
    "SERVICES",
    "Container",
    "DebianDisk",
    "Service",
    "container_archive",
    "debian_disk",
    "write_copy",
]
