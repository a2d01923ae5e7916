"""Every engine in turn, for the contract that all of them keep."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from engines.contract import CASES, Case, short_directory


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out facts about what an engine does not have; there is nothing that could be installed for them."""
    left_out = [item for item in items if not _concerns(item)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def _concerns(item: pytest.Item) -> bool:
    attribute = getattr(getattr(item, "function", None), "needs", None)
    callspec = getattr(item, "callspec", None)
    return attribute is None or callspec is None or bool(getattr(callspec.params["case"], attribute))


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """Real engines are tested on asyncio; their code keeps to anyio all the same."""
    return "asyncio"


@pytest.fixture
def runtime_dir() -> Iterator[Path]:
    """A place for a run's sockets and overlays."""
    with short_directory() as directory:
        yield directory


@pytest.fixture(scope="module", params=[pytest.param(case, id=case.name, marks=case.marks) for case in CASES])
def case(request: pytest.FixtureRequest) -> Case:
    """Every engine in turn."""
    found = request.param
    assert isinstance(found, Case)
    return found
