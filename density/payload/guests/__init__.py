"""What VMs boot: the payload on a Linux kernel, nothing at all, or a disk image."""

from density.payload.guests.guest import NEEDS, Guest, command_line, disk_guest, make_guest, memory_bytes

__all__ = ["NEEDS", "Guest", "command_line", "disk_guest", "make_guest", "memory_bytes"]
