"""Colours that the colour-blind can tell apart (Okabe and Ito, 2008), and what each stands for on every dashboard."""

from collections.abc import Mapping

ORANGE = "#E69F00"
SKY = "#56B4E9"
GREEN = "#009E73"
YELLOW = "#F0E442"
BLUE = "#0072B2"
"""For areas alone: as a line it is too dark on a dark theme."""
VERMILLION = "#D55E00"
PURPLE = "#CC79A7"
GREY = "#999999"
"""In place of their black, which a dark theme would swallow."""

CALM, NEAR, OVER = SKY, ORANGE, VERMILLION
"""Of thresholds; they differ in lightness as well as in hue."""

SERIES: Mapping[str, str] = {
    # counts
    "ready": GREEN,
    "target": SKY,
    "nearest forecast": VERMILLION,
    # phases
    "requested": GREY,
    "created": SKY,
    "started": YELLOW,
    "stopping": PURPLE,
    "failed": VERMILLION,
    "lost": ORANGE,
    # quantiles
    "half of them": SKY,
    "95 %": ORANGE,
    "99 %": VERMILLION,
    # resources
    "CPU": SKY,
    "I/O": ORANGE,
    "memory": GREEN,
    # the CPU's time
    "busy": SKY,
    "waiting for disks": ORANGE,
    "given to others": PURPLE,
    # memory
    "anon": BLUE,
    "cached": SKY,
    "slab": ORANGE,
    "pagetables": PURPLE,
    "kernelstack": VERMILLION,
    "available": GREEN,
    # tables and their limits
    "used": SKY,
    "limit": VERMILLION,
    "load": SKY,
    "running": ORANGE,
    "CPUs": VERMILLION,
    "devices": SKY,
    "tracked connections": ORANGE,
    "IPv4 neighbours": GREEN,
    "IPv6 neighbours": PURPLE,
    # daemons
    "dockerd": SKY,
    "containerd": YELLOW,
    "libvirtd": ORANGE,
    "virtqemud": ORANGE,
    "virtlogd": PURPLE,
    "density": GREEN,
    # the tester
    "last tick": SKY,
    "latest tick so far": VERMILLION,
    "reading the host": GREEN,
    # capacity
    "hard": VERMILLION,
    "slo": ORANGE,
    "recommended": GREEN,
}
"""The name of a series -> its colour; what is not in here is grey, and told apart by its name."""
