"""A program: atheris, which looks for inputs that reach new code. `guided.py TARGET DIRECTORY [libFuzzer options]`."""

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import atheris

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]
with atheris.instrument_imports(include=["density"]):
    from support.fuzzing import bodies, read_profile
    from support.recorded_runs import events_of

    from density.errors import RecordError
    from density.metrics.current import bounds_of_run
    from density.payload.protocol import LINE_LIMIT, Lines, clean, parse, parse_console
    from density.profile.source import shipped_directory
    from density.record.codec import decode
    from density.record.consistency import Consistency
    from density.record.result import read_result
    from density.report.history import History
    from density.report.result import result
    from density.state import RunState

TARGET, DIRECTORY = sys.argv[1], Path(sys.argv[2])
EVENTS = 60
"""Of a seed: short ones are changed faster."""


def profile(data: bytes) -> None:
    """A profile or sentences."""
    read_profile(data, DIRECTORY / "p.toml")


def record(data: bytes) -> None:
    """Lines of JSON, as the bodies of a record's events: those up to the first that is none make a result."""
    state, history, consistency = RunState(), History(), Consistency()
    for line in data.splitlines():
        try:
            event = decode(line.decode())
            consistency.check(event)
        except ValueError:
            break
        state.apply(event)
        history.add(event, state)
    if state.run_id:
        result(state, bounds_of_run(state))


def a_result(data: bytes) -> None:
    """One that is read, or damaged."""
    path = DIRECTORY / "result.json"
    path.write_bytes(data)
    try:
        read_result(path)
    except RecordError:
        return


def channel(data: bytes) -> None:
    """Bounded lines; words of the protocol, or none."""
    lines = Lines()
    for at in range(0, len(data), 37):
        for line in lines.feed(data[at : at + 37]):
            assert len(line) <= LINE_LIMIT
            text = clean(line)
            parse(text)
            parse_console(text)


def seeds() -> list[bytes]:
    """What is well, to be changed."""
    if TARGET == "profile":
        return [path.read_bytes() for path in shipped_directory().glob("*.toml")]
    if TARGET == "record":
        runs = [bodies(events_of(name)) for name in ("max", "interrupted", "error")]
        parts = [[run[0], *run[at : at + EVENTS]] for run in runs for at in range(1, len(run), EVENTS)]
        return ["\n".join(part).encode() for part in parts]
    if TARGET == "result":
        run = RunState()
        for event in events_of("max"):
            run.apply(event)
        return [json.dumps(result(run, bounds_of_run(run))).encode()]
    return [b"density ready a-1 kernel=6.1 uptime_us=1 pid=1 secret=beef\ndensity pong 1\ndensity bench 1 2 3\n"]


TARGETS: Mapping[str, Callable[[bytes], None]] = {
    "profile": profile, "record": record, "result": a_result, "channel": channel,
}  # fmt: skip


def main() -> None:
    """Fuzz; never comes back: the exit code is 0 where nothing was found."""
    corpus = DIRECTORY / "corpus"
    corpus.mkdir(exist_ok=True)
    for number, seed in enumerate(seeds()):
        (corpus / f"seed-{number}").write_bytes(seed)
    atheris.Setup([sys.argv[0], *sys.argv[3:], str(corpus)], TARGETS[TARGET])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
