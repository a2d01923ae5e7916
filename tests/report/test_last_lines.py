"""What an instance printed last, in the result and in the summary."""

import io

from rich.console import Console

from density.ceilings.reading import Bounds
from density.events import Event, HostSampled, InstanceChanged, RunStarted, StageEntered, Stopped, WaveStarted
from density.model import Failure, Phase, Workload
from density.report.result import result
from density.report.summary import print_summary
from density.state import fold

LINES = (*(f"line {number:02d}" for number in range(18)), "Too many open files", "")
WORDS = 'printed last: "Too many open files" (exit code 1)'


def test_the_last_lines_of_an_instance_are_in_the_result_and_the_last_of_them_in_the_summary() -> None:
    """All twenty in the document, three that are not empty on the screen, and the one that names something below."""
    failed = Failure("exited", "ended with exit code 1", LINES, exit_code=1)
    events: list[Event] = [
        RunStarted(0.0, "r", 0.0, "0", "p", "failure", (Workload(name="web", engine="docker"),), 9),
        HostSampled(0.5, {"inotify.uid0.instances_count": 96.0, "inotify.instances_limit": 96.0}, 0.001),
        WaveStarted(1.0, 1, {"web": 1}, 1),
        InstanceChanged(1.0, "web-00001", "web", Phase.REQUESTED),
        InstanceChanged(1.1, "web-00001", "web", Phase.STARTED),
        InstanceChanged(2.0, "web-00001", "web", Phase.FAILED, failed),
        Stopped(3.0, "ceiling", "1 of 1 launches failed", "inotify.instances", "uid0", by_failures=True),
        StageEntered(4.0, "done"),
    ]
    document = result(fold(events), Bounds())
    assert document["workloads"]["web"]["failures"][0]["evidence"] == list(LINES)
    assert any(WORDS in sentence for sentence in document["verdict"]["evidence"])
    screen = io.StringIO()
    print_summary(document, Console(file=screen, width=120), run_dir="runs/r")
    shown = screen.getvalue()
    assert all(line in shown for line in ("line 16", "line 17", "Too many open files"))
    assert "line 15" not in shown


def test_other_last_words_of_the_same_kind_are_told_too() -> None:
    """Five different ones at most, with that of the first; lines that differ in numbers alone are the same."""
    words = ["pid 7: no config", "pid 8: no config", "", "no licence", "no licence", "a", "b", "c", "d"]
    names = [f"web-{number:05d}" for number in range(len(words))]
    events: list[Event] = [
        RunStarted(0.0, "r", 0.0, "0", "p", "failure", (Workload(name="web", engine="docker"),), 9),
        *(InstanceChanged(1.0, name, "web", Phase.REQUESTED) for name in names),
        *(
            InstanceChanged(2.0, name, "web", Phase.FAILED, Failure("exited", "ended", ("starting", word)))
            for name, word in zip(names, words, strict=True)
        ),
        StageEntered(4.0, "done"),
    ]
    document = result(fold(events), Bounds())
    (failure,) = document["workloads"]["web"]["failures"]
    assert (failure["count"], failure["evidence"]) == (9, ["starting", "pid 7: no config"])
    assert failure["others"] == ["starting", "no licence", "a", "b"]
    screen = io.StringIO()
    print_summary(document, Console(file=screen, width=120), run_dir="runs/r")
    assert "no licence" in screen.getvalue()
