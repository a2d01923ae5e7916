"""`density run` leaves its page behind, whatever became of the run."""

from pathlib import Path

import pytest

from density.cli import main, running

PROFILE = """
name = "small"
[ramp]
start = 4
max = 6
settle = "10ms"
hold = "0s"
[workloads.web]
engine = "ENGINE"
"""


MORE = {
    "simulated": '[simulated]\nlaunch = "1ms"\n',
    "docker": '[engines]\ndocker = "unix:///nowhere/docker.sock"\n',
}


def run(tmp_path: Path, *, engine: str) -> int:
    """Run the profile; the exit code."""
    profile = tmp_path / "small.toml"
    profile.write_text(PROFILE.replace("ENGINE", engine) + MORE[engine])
    return main(["run", str(profile), "-q", "--json", "--metrics", "off", "--runs-dir", str(tmp_path / "runs")])


@pytest.mark.parametrize(
    ("engine", "code", "said"), [("simulated", 0, "6</data> instances"), ("docker", 5, "in an error")]
)
def test_a_run_writes_its_page(engine: str, code: int, said: str, tmp_path: Path) -> None:
    """Beside its record, also where it ended in an error."""
    assert run(tmp_path, engine=engine) == code
    (written,) = (tmp_path / "runs").glob("*/report.html")
    assert said in written.read_text()


def test_a_page_that_cannot_be_written_does_not_fail_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is said, with the command that tries again."""

    def fail(_: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(running, "write_page", fail)
    assert run(tmp_path, engine="simulated") == 0
    said = capsys.readouterr().err
    assert "No space left on device" in said
    assert "density report" in said
