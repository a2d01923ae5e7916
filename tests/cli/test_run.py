"""`density run`: what its options say and refuse; nothing is started here."""

import pytest

from density.cli import main
from density.errors import ProfileError
from density.profile.load import load_profile
from density.profile.scalar import MOST_COUNT


def test_the_help_says_what_is_taken_where_nothing_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """Of --until also what each word means, of --max, --runs-dir and --linger the default."""
    assert main(["run", "--help"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "safe at a reserve or an objective, failure when launches fail, forecast once the forecast is sure" in said
    assert "[the profile's ramp.until]" in said
    assert "[the profile's ramp.max; 10,000 where it has none]" in said
    assert "[DENSITY_RUNS_DIR, or ./runs]" in said
    assert "such as 5s or 10m. [default: 0s]" in said


REFUSED = [
    (["slo"], "--require 'slo' is not NAME=N, such as slo=500; the names are hard, slo and recommended"),
    (["slo=5", "slo=6"], "--require has slo twice, 5 and 6; allowed is one number of each"),
    (["slo=99999999999"], "--require slo: found 99999999999; the most allowed is 4,294,967,296"),
    (["hard=" + "9" * 10_000], "--require hard: found " + "9" * 30 + "…; the most allowed is 4,294,967,296"),
]


@pytest.mark.parametrize(("required", "sentence"), REFUSED)
def test_what_cannot_be_required(required: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One sentence with what was found and what is allowed."""
    assert main(["run", "simulated", "--dry-run", *(f"--require={each}" for each in required)]) == 2
    assert capsys.readouterr().err == f"error: {sentence}\n"


def test_the_most_that_can_be_required_is_a_profile_s() -> None:
    """One more is what a profile refuses too."""
    load_profile("simulated", overrides=[f"require.slo={MOST_COUNT}"])
    with pytest.raises(ProfileError):
        load_profile("simulated", overrides=[f"require.slo={MOST_COUNT + 1}"])
