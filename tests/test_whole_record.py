"""The look at a record that `make torture` takes: it finds what is missing in one, and nothing in a whole one."""

import sqlite3
from pathlib import Path

import pytest
from support.recorded_runs import recorded
from support.whole_record import account, flaws, unread


@pytest.mark.parametrize("name", ["ceiling", "interrupted", "cut-off", "all-failed", "error"])
def test_a_whole_record_has_no_flaw(name: str, tmp_path: Path) -> None:
    """However the run ended; and every launch it made is ready, failed or pending."""
    run_dir = recorded(name, tmp_path)
    assert flaws(run_dir) == []
    counted = account(run_dir)
    assert counted.requested == counted.ready + counted.failed + counted.pending
    assert counted.ready == counted.lost + counted.removed + counted.alive


@pytest.mark.parametrize("name", ["ceiling", "cut-off", "error"])
def test_every_command_reads_it(name: str, tmp_path: Path) -> None:
    """Report in four formats, runs, export and plan."""
    assert unread(recorded(name, tmp_path)) == []


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM event WHERE seq = (SELECT max(seq) / 2 FROM event)",
        "DELETE FROM event WHERE kind = 'instance_changed' AND json_extract(body, '$.phase') = 'requested'",
        "UPDATE event SET body = '{' WHERE seq = 5",
        """UPDATE event SET body = json_set(body, '$.phase', 'failed')
        WHERE kind = 'instance_changed' AND json_extract(body, '$.phase') = 'removed'""",
    ],
)
def test_a_loss_is_found(damage: str, tmp_path: Path) -> None:
    """An event that is gone, requests that are, one that is no event, and instances that are both ready and failed."""
    run_dir = recorded("ceiling", tmp_path)
    with sqlite3.connect(run_dir / "run.sqlite") as db:
        db.execute(damage)
    assert flaws(run_dir)


def test_an_instance_that_the_record_does_not_know_is_found(tmp_path: Path) -> None:
    """One was seen on the host that nobody wrote down; one that is known is no flaw."""
    run_dir = recorded("ceiling", tmp_path)
    with sqlite3.connect(run_dir / "run.sqlite") as db:
        (known,) = db.execute("SELECT id FROM instances").fetchone()
    assert flaws(run_dir, seen=[known]) == []
    assert len(flaws(run_dir, seen=[known, "web-99999"])) == 1
    assert len(flaws(tmp_path / "none", seen=["web-00001"])) == 1
