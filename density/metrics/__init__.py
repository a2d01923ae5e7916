"""A run's numbers for Prometheus: one table of metrics, read from the run's state when somebody scrapes."""

from density.metrics.address import DEFAULT, Address, parse_address
from density.metrics.server import MetricsServer

__all__ = ["DEFAULT", "Address", "MetricsServer", "parse_address"]
