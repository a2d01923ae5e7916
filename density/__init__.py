"""How many containers and VMs fit on this host, what stops the next one, and what to change."""

__version__ = "0.1.0"
