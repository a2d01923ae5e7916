"""Virtual machines by libvirt and QEMU; the only package that speaks to libvirt."""

from density.engines.libvirt.engine import LibvirtEngine

__all__ = ["LibvirtEngine"]
