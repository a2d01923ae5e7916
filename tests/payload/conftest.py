"""The compiled payload, once for all tests of it."""

from pathlib import Path

import anyio
import pytest

from density.payload.build import payload_binary


@pytest.fixture(scope="session")
def payload(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The payload's executable."""
    return anyio.run(payload_binary, tmp_path_factory.mktemp("cache"))
