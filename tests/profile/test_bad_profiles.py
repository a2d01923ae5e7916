"""Every kind of mistake in a profile, and the exact sentences that a person gets for it."""

from pathlib import Path

import pytest

from density.errors import ProfileError
from density.profile.load import load_profile
from density.profile.source import shipped_profiles

SHIPPED = "containers, lxc, memcached, mixed, native, nested, quickstart, redis, simulated, versus and vms"


def parse_cases(text: str) -> dict[str, tuple[str, list[str]]]:
    """Title -> a profile's text and its sentences, from `=== title`, the text, `---`, the sentences."""
    cases = {}
    for case in text.removeprefix("=== ").split("\n=== "):
        title, _, rest = case.partition("\n")
        profile, _, sentences = f"\n{rest}".partition("\n---\n")
        cases[title] = (profile.removeprefix("\n"), sentences.splitlines())
    return cases


CASES = parse_cases(Path(__file__).with_name("bad_profiles.txt").read_text(encoding="utf-8").rstrip())


@pytest.mark.parametrize("case", CASES)
def test_each_mistake_has_its_sentence(case: str, tmp_path: Path) -> None:
    """All problems come at once, each with its key, what was found and what is allowed, in the file's order."""
    text, sentences = CASES[case]
    profile = tmp_path / "my.toml"
    profile.write_text(text)
    with pytest.raises(ProfileError) as caught:
        load_profile(profile)
    assert list(caught.value.problems) == [sentence for sentence in sentences if sentence]
    assert str(caught.value).startswith(f"{profile}: ")
    assert caught.value.exit_code == 2


OVERRIDES = {
    "ramp.max": '--set "ramp.max" is not KEY=VALUE, such as ramp.max=50',
    "=3": '--set "=3" is not KEY=VALUE, such as ramp.max=50',
    "ramp..max=3": '--set "ramp..max=3" is not KEY=VALUE, such as ramp.max=50',
    "ramp.max=many": 'ramp.max: found "many"; allowed is a whole number, 1 or more (from the command line)',
    "ramp.mx=3": "ramp.mx: unknown key; did you mean max? (from the command line)",
    "ramp.max.x=3": "ramp.max.x: cannot be set, as ramp.max is no table but 300",
    "workloads.wbe.memory=64MiB": "workloads.wbe: no such workload; did you mean web?",
    "workloads.zzz.memory=64MiB": "workloads.zzz: no such workload; there are web and vm",
    "workloads.vm.memory=8MiB": (
        'workloads.vm.memory: found 8 MiB; a VM with guest = "payload" needs at least 96 MiB (from the command line)'
    ),
}


@pytest.mark.parametrize("override", OVERRIDES)
def test_a_bad_override_says_that_it_is_one(override: str) -> None:
    """What was wrong on the command line is told apart from what is wrong in the file."""
    with pytest.raises(ProfileError) as caught:
        load_profile("quickstart", overrides=[override])
    assert caught.value.problems == (OVERRIDES[override],)


def test_a_profile_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says where it was looked for, which ones ship, and which was probably meant."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ProfileError) as caught:
        load_profile("quickstrat")
    assert str(caught.value) == (
        "quickstrat: no such profile; looked for quickstrat and quickstrat.toml; "
        f"shipped are {SHIPPED}; did you mean quickstart?"
    )


def test_what_is_no_text_file(tmp_path: Path) -> None:
    """A directory, bytes that are no text, and something huge are refused in one sentence each."""
    binary, huge = tmp_path / "binary.toml", tmp_path / "huge.toml"
    binary.write_bytes(b"\xff\xfe")
    huge.write_bytes(b"#" * (2**20 + 1))
    for source, sentence in {
        tmp_path: f"a directory; allowed is a TOML file or one of {SHIPPED}",
        binary: "not a text file in UTF-8: byte 1 is 0xff",
        huge: "larger than 1 MiB",
        tmp_path / ("x" * 300): "cannot be read: File name too long",
    }.items():
        with pytest.raises(ProfileError) as caught:
            load_profile(source)
        assert caught.value.problems == (sentence,)


def test_the_shipped_names_in_messages() -> None:
    """The sentences above name every shipped profile."""
    assert SHIPPED.replace(" and ", ", ").split(", ") == list(shipped_profiles())
