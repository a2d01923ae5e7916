"""A few of the ambiguous hosts on which `make attribution` measures whether odds are what they claim to be."""

from support.ambiguous import ambiguous_host, claim_of
from support.reliability import expected_calibration_error, reliability


def test_odds_of_few_hosts_are_near_what_they_claim() -> None:
    """Of a hundred hosts most verdicts are right, those that are sure of it nearly all, and the gap is small."""
    claims = [claim for seed in range(5000, 5100) if (claim := claim_of(seed))]
    pairs = [(claim.confidence, claim.right) for claim in claims if claim.confidence is not None]
    sure = [right for odds, right in pairs if odds >= 0.9]
    assert sum(claim.right for claim in claims) >= 0.8 * len(claims)
    assert sum(sure) >= 0.85 * len(sure)
    assert expected_calibration_error(reliability(pairs, (0.0, 0.7, 0.9, 1.0))) <= 0.1


def test_an_engine_that_is_gone_is_told_from_a_ceiling() -> None:
    """Hosts whose engine goes amid the ramp end in error, without odds."""
    seeds = [seed for seed in range(5000, 5400) if ambiguous_host(seed).cause == "engine"]
    claims = [claim for seed in seeds if (claim := claim_of(seed))]
    assert len(claims) >= 10
    assert sum(claim.right for claim in claims) >= 0.9 * len(claims)
