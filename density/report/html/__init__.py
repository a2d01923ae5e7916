"""The report as one HTML file that needs nothing else."""

from density.report.html.page import page

__all__ = ["page"]
