"""The short form of `make torture`'s clean-ups: a run of containers that dies with its reaper."""

from pathlib import Path

import pytest
from support.host_state import settled_leftovers
from support.killed_with_reaper import clean, killed_run
from support.whole_record import flaws

from density.controller.intent import declared


@pytest.mark.docker
@pytest.mark.root
def test_containers_of_a_run_that_died_with_its_reaper(tmp_path: Path) -> None:
    """`density clean` removes all of them, and then knows that nothing of the run is left."""
    run_dir = killed_run(tmp_path, '[workloads.web]\nengine = "docker"\n', instances=2)
    assert run_dir.name in declared()
    assert settled_leftovers(run_dir.name, seconds=0) != []
    done = clean()
    assert (done.returncode, done.stderr) == (0, "")
    assert settled_leftovers(run_dir.name) == []
    assert run_dir.name not in declared()
    assert flaws(run_dir) == []
