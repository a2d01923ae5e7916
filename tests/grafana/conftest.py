"""What tests of dashboards need of this machine."""

import os
import shutil

import pytest
from engines.conftest import missing_docker


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what cannot run here, or fail it where engines are required."""
    reason = missing_docker() if item.get_closest_marker("docker") else ""
    if not reason and "prometheus" in getattr(item, "fixturenames", ()) and shutil.which("prometheus") is None:
        reason = "no prometheus: apt-get install prometheus"
    if reason and os.environ.get("DENSITY_REQUIRE_ENGINES") == "1":
        pytest.fail(f"DENSITY_REQUIRE_ENGINES=1, but {reason}", pytrace=False)
    if reason:
        pytest.skip(reason)
