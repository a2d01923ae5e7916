"""Every kind of mistake in a profile, and the exact sentences that a person gets for it."""

from pathlib import Path

import pytest

from density.errors import ProfileError
from density.profile.load import load_profile
from density.profile.source import shipped_profiles

HEAD = 'name = "x"\n'
WEB = '[workloads.web]\nengine = "docker"\n'
VM = '[workloads.vm]\nengine = "libvirt"\n'
SHIPPED = "containers, mixed, native, quickstart, simulated and vms"

CASES: dict[str, tuple[str, list[str]]] = {
    "an empty file": (
        "",
        [
            "name: missing; allowed is a lower-case letter, then at most 30 of a-z, 0-9 and -",
            "workloads: missing; at least one table [workloads.NAME] is needed",
        ],
    ),
    "misspelt keys, with the nearest": (
        HEAD + WEB + 'memroy = "8MiB"\n[workloads.b]\nengin = "docker"\n[rmap]\n',
        [
            "workloads.web.memroy: unknown key; did you mean memory?",
            "workloads.b.engin: unknown key; did you mean engine?",
            "rmap: unknown key; did you mean ramp?",
        ],
    ),
    "an unknown key that resembles none": (
        HEAD + "[slice]\nzzz = 1\n" + WEB,
        ["slice.zzz: unknown key; allowed are memory, tasks, cpus"],
    ),
    "wrong units": (
        HEAD + WEB + 'memory = "64mb"\nready_timeout = "5sec"\nburn = "10"\n',
        [
            'workloads.web.memory: found "64mb"; allowed is a size such as "64MiB", "1.5GiB" or "500MB"',
            'workloads.web.ready_timeout: found "5sec"; allowed is a duration such as "250ms", "5s", "2m" or "1h", above 0',
            'workloads.web.burn: found "10"; allowed is a share such as "1%" or 0.01, from 0 to 1; did you mean "10%"?',
        ],
    ),
    "zero, negative and not whole": (
        HEAD
        + '[ramp]\nstart = 0\nmax = -3\nfactor = 1\nconcurrency = 0\ncalibrate = 1.5\nsettle = "-1s"\n'
        + WEB
        + "share = 0\n",
        [
            "ramp.start: found 0; allowed is a whole number, 1 or more",
            "ramp.max: found -3; allowed is a whole number, 1 or more",
            "ramp.factor: found 1; allowed is a number above 1, such as 1.5",
            'ramp.concurrency: found 0; allowed is "auto" or a whole number, 1 or more',
            "ramp.calibrate: found 1.5; allowed is a whole number, 0 or more",
            'ramp.settle: found "-1s"; allowed is a duration such as "250ms", "5s", "2m" or "1h"',
            "workloads.web.share: found 0; allowed is a number above 0, such as 3",
        ],
    ),
    "numbers that are none": (
        HEAD + "[slice]\ncpus = inf\nmemory = 2026-01-01\ntasks = true\n[objectives]\nfailures = nan\n" + WEB,
        [
            "slice.cpus: found inf; allowed is a number such as 1.5; 0 for no limit",
            'slice.memory: found the date or time 2026-01-01; allowed is a size such as "64MiB", "1.5GiB" or "500MB"',
            "slice.tasks: found true; allowed is a whole number, 0 or more",
            'objectives.failures: found nan; allowed is a share such as "1%" or 0.01, from 0 to 1, or "off"',
        ],
    ),
    "words that are not known": (
        HEAD + '[ramp]\nshape = "geometrc"\nuntil = "save"\n[workloads.web]\nengine = "podman"\n',
        [
            'ramp.shape: found "geometrc"; allowed is "linear", "geometric" or "list"; did you mean "geometric"?',
            'ramp.until: found "save"; allowed is "safe", "failure" or "forecast"; did you mean "safe"?',
            'workloads.web.engine: found "podman"; allowed is "docker", "libvirt", "native" or "simulated"',
        ],
    ),
    "no engine": (
        HEAD + "[workloads.web]\n",
        ['workloads.web.engine: missing; allowed is "docker", "libvirt", "native" or "simulated"'],
    ),
    "values where tables belong": (
        HEAD + 'ramp = 3\nslice = []\n[workloads]\nweb = "docker"\n',
        [
            "ramp: found 3; allowed is a table",
            "slice: found a list; allowed is a table",
            'workloads.web: found "docker"; allowed is a table',
        ],
    ),
    "names that containers cannot have": (
        'name = "Web Server"\n[workloads."My Web"]\nengine = "docker"\n',
        [
            'name: found "Web Server"; allowed is a lower-case letter, then at most 30 of a-z, 0-9 and -',
            'workloads."My Web": found "My Web"; allowed is a lower-case letter, then at most 30 of a-z, 0-9 and -',
        ],
    ),
    "keys of another shape": (
        HEAD + "[ramp]\nstep = 3\nwaves = [1]\n" + WEB,
        [
            'ramp.step: not used with shape = "geometric"; it is for shape = "linear"',
            'ramp.waves: not used with shape = "geometric"; it is for shape = "list"',
        ],
    ),
    "a list without waves": (
        HEAD + '[ramp]\nshape = "list"\n' + WEB,
        ['ramp.waves: missing; shape = "list" needs a list such as [5, 10, 20]'],
    ),
    "bad waves": (
        HEAD + '[ramp]\nshape = "list"\nwaves = [1, 0, "a"]\n' + WEB,
        [
            "ramp.waves: item 2: found 0; allowed is a whole number, 1 or more",
            'ramp.waves: item 3: found "a"; allowed is a whole number, 1 or more',
        ],
    ),
    "a guest that is too small, and a key that it does not use": (
        HEAD + VM + 'memory = "64MiB"\nimage = "disk.qcow2"\n',
        [
            'workloads.vm.memory: found 64 MiB; a VM with guest = "payload" needs at least 96 MiB',
            'workloads.vm.image: not used by a VM with guest = "payload"; it is for containers and VMs with guest = "disk"',
        ],
    ),
    "keys of VMs for a container": (
        HEAD + WEB + 'guest = "null"\naccelerator = "kvm"\n',
        [
            'workloads.web.guest: not used by a container with image = "payload"; it is for VMs',
            'workloads.web.accelerator: not used by a container with image = "payload"; it is for VMs',
        ],
    ),
    "the payload's keys for another image": (
        HEAD + WEB + 'image = "nginx"\ntouch = "1MiB"\nready = "payload"\n',
        [
            "workloads.web.touch: not used by a container of another image; it is for containers with "
            'image = "payload", VMs with guest = "payload", plain processes and simulated instances',
            'workloads.web.ready: found "payload"; allowed for a container of another image is "running", "healthy", '
            '"log", "tcp" or "http"',
        ],
    ),
    "a disk guest without disk and readiness": (
        HEAD + VM + 'guest = "disk"\n',
        [
            'workloads.vm.image: missing; a VM with guest = "disk" needs the path of a disk image',
            'workloads.vm.ready: missing; a VM with guest = "disk" needs "console:REGEX", "guest-agent", "tcp:PORT" or '
            '"running"',
        ],
    ),
    "what a boot sector cannot do": (
        HEAD + VM + 'guest = "null"\ntouch = "1MiB"\ncpus = 0.5\n',
        [
            'workloads.vm.touch: not used by a VM with guest = "null"; it is for containers with image = "payload", VMs '
            'with guest = "payload", plain processes and simulated instances',
            "workloads.vm.cpus: found 0.5; a VM has whole CPUs, 1 or more",
        ],
    ),
    "more touched than there is": (
        HEAD + VM + 'touch = "100MiB"\n' + WEB + 'memory = "8MiB"\ntouch = "8MiB"\n',
        [
            'workloads.vm.touch: found 100 MiB; a VM with guest = "payload" and memory = 128 MiB can touch at most 64 MiB, '
            "as it needs 64 MiB for itself",
            'workloads.web.touch: found 8 MiB; a container with image = "payload" and memory = 8 MiB can touch at most '
            "4 MiB, as it needs 4 MiB for itself",
        ],
    ),
    "less than Docker takes": (
        HEAD + WEB + 'memory = "1MiB"\ncpus = 0.001\n',
        [
            'workloads.web.memory: found 1 MiB; a container with image = "payload" needs at least 6 MiB',
            "workloads.web.cpus: found 0.001; allowed is 0.01 or more, or 0 for no limit",
        ],
    ),
    "more burnt than given": (
        HEAD + WEB + "cpus = 0.1\nburn = 0.5\n",
        ["workloads.web.burn: found 50%; the instance's cpus = 0.1 allow at most 10%"],
    ),
    "readiness that cannot be": (
        HEAD
        + "".join(
            f'[workloads.{name}]\nengine = "docker"\nimage = "i"\nready = "{ready}"\n'
            for name, ready in {"a": "log:[", "b": "tcp:99999", "c": "runing"}.items()
        ),
        [
            "workloads.a.ready: found \"log:[\"; '[' is no regular expression: unterminated character set at position 0",
            'workloads.b.ready: found "tcp:99999"; 99999 is no port; allowed is 1 to 65535',
            'workloads.c.ready: found "runing"; allowed is "payload", "running", "healthy", "log:REGEX", "tcp:PORT", '
            '"http:PORT/PATH", "console:REGEX" or "guest-agent"; did you mean "running"?',
        ],
    ),
    "a reserve that teardown cannot do with": (
        HEAD + '[reserve]\ntasks = 10\nmemory = "1MiB"\n' + WEB,
        [
            "reserve.tasks: found 10; allowed is 500 or more, because with fewer the engines cannot fork to remove what "
            "they run",
            "reserve.memory: found 1 MiB; allowed is 256 MiB or more, because with less the engines or the tester may be "
            "killed before all is removed",
        ],
    ),
    "objectives": (
        HEAD + '[objectives]\nready_p95 = "0s"\nprobe_p99 = "of"\ncpu_busy = 90\n' + WEB,
        [
            'objectives.ready_p95: found "0s"; allowed is a duration such as "250ms", "5s", "2m" or "1h", above 0, or '
            '"off"',
            'objectives.probe_p99: found "of"; allowed is a duration such as "250ms", "5s", "2m" or "1h", above 0, or '
            '"off"; did you mean "off"?',
            'objectives.cpu_busy: found 90; allowed is a share such as "1%" or 0.01, from 0 to 1; did you mean "90%"?',
        ],
    ),
    "a slice that holds not even one": (
        HEAD + '[slice]\nmemory = "64MiB"\n' + VM,
        ["slice.memory: found 64 MiB; one instance of vm alone takes 128 MiB"],
    ),
    "environment and command": (
        HEAD + WEB + 'image = "i"\nenvironment = { PORT = 80, 1x = "a" }\ncommand = "ls"\n',
        [
            "workloads.web.environment.PORT: found 80; allowed is text in quotes",
            'workloads.web.environment.1x: found "1x"; allowed is a variable\'s name: letters, digits and _',
            'workloads.web.command: found "ls"; allowed is a list',
        ],
    ),
    "a simulated host for nobody": (
        HEAD + WEB + '[simulated]\nmemory = "8GiB"\n',
        ['simulated: not used; no workload has engine = "simulated"'],
    ),
    "a simulated host that is full before it begins": (
        HEAD
        + '[workloads.web]\nengine = "simulated"\n[simulated]\nused_tasks = 40000\n[simulated.costs.wbe]\ntasks = 1\n',
        [
            "simulated.used_tasks: found 40000; allowed is less than simulated.tasks, which is 32768",
            "simulated.costs.wbe: there is no such simulated workload; allowed is web",
        ],
    ),
    "a workload named twice": (HEAD + WEB + WEB, ["line 4, column 15: workloads.web is there twice: [workloads.web]"]),
    "a key twice": (
        HEAD + WEB + "share = 1\nshare = 2\n[ramp]\n",
        ["line 5, column 10: this key is there twice: share = 2"],
    ),
    "text without quotes": (
        HEAD + WEB + "memory = 64MiB\n",
        ["line 4, column 12: more than a value (text needs quotes): memory = 64MiB"],
    ),
    "a quote that is not closed": (
        'name = "x\n',
        ['line 1, column 10: the text has no closing quote: name = "x'],
    ),
    "a text that ends too early": (
        HEAD + "[ramp",
        ["line 2, at the end: expected ']' at the end of a table declaration: [ramp"],
    ),
}


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    return tmp_path / "my.toml"


@pytest.mark.parametrize("case", CASES)
def test_each_mistake_has_its_sentence(case: str, profile: Path) -> None:
    """All problems come at once, each with its key, what was found and what is allowed, in the file's order."""
    text, sentences = CASES[case]
    profile.write_text(text)
    with pytest.raises(ProfileError) as caught:
        load_profile(profile)
    assert list(caught.value.problems) == sentences
    assert str(caught.value).startswith(f"{profile}: ")
    assert caught.value.exit_code == 2


OVERRIDES = {
    "ramp.max": '--set "ramp.max" is not KEY=VALUE, such as ramp.max=50',
    "=3": '--set "=3" is not KEY=VALUE, such as ramp.max=50',
    "ramp..max=3": '--set "ramp..max=3" is not KEY=VALUE, such as ramp.max=50',
    "ramp.max=many": 'ramp.max: found "many"; allowed is a whole number, 1 or more (from --set)',
    "ramp.mx=3": "ramp.mx: unknown key; did you mean max? (from --set)",
    "ramp.max.x=3": "ramp.max.x: cannot be set, as ramp.max is no table but 300",
    "workloads.wbe.memory=64MiB": "workloads.wbe: no such workload; did you mean web?",
    "workloads.zzz.memory=64MiB": "workloads.zzz: no such workload; there are web and vm",
    "workloads.vm.memory=8MiB": (
        'workloads.vm.memory: found 8 MiB; a VM with guest = "payload" needs at least 96 MiB (from --set)'
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
        huge: "is larger than 1 MiB, which no profile is",
        tmp_path / ("x" * 300): "cannot be read: File name too long",
    }.items():
        with pytest.raises(ProfileError) as caught:
            load_profile(source)
        assert caught.value.problems == (sentence,)


def test_the_shipped_names_in_messages() -> None:
    """The sentences above name every shipped profile."""
    assert SHIPPED.replace(" and ", ", ").split(", ") == list(shipped_profiles())
