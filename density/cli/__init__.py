"""The command `density`: one file a command, imported when it is used."""

import os
import shutil
import sys
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from typing import Any, NoReturn

import click

from density import __version__
from density.cli.errors import INTERRUPTED, explain
from density.cli.output import echo
from density.cli.streams import Output, open_standard_files, outputs
from density.errors import Unwritten, UsageError
from density.leaving import leave

COMMANDS = {
    "run": ("density.cli.run", "Fill this host until something gives, and say what."),
    "doctor": ("density.cli.doctor", "Say what fits here, what is nearest, and how to raise it."),
    "watch": ("density.cli.watch", "Show a run that is going on elsewhere."),
    "runs": ("density.cli.runs", "List the runs so far."),
    "report": ("density.cli.report", "Write what a run found as a page to send, or for programs."),
    "export": ("density.cli.export", "Write a run's metrics with their times, for Prometheus."),
    "compare": ("density.cli.compare", "Say whether runs differ, by how much, and whether that is noise."),
    "plan": ("density.cli.plan", "Say how many hosts a demand needs, and what fills them."),
    "versus": ("density.cli.versus", "Measure process, container and VM side by side."),
    "image": ("density.cli.image", "Make images of services and of a whole Debian, from packages."),
    "clean": ("density.cli.clean", "Remove what a run left behind."),
    "profiles": ("density.cli.profiles", "List the profiles that ship with density, or print one."),
    "schema": ("density.cli.schema", "Print the JSON Schema of profiles."),
}
"""Name -> the module with its `command`, and one line of help; so that help costs no imports."""


@dataclass(slots=True)
class Settings:
    """What the options before the command say."""

    traceback: bool = False
    verbosity: int = 0


class Commands(click.Group):
    """A group whose commands are imported when they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 — click's signature
        """As people meet them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 — click's signature
        """Imports it."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(COMMANDS[cmd_name][0]).command
        if _VERBOSE not in command.params:
            command.params.append(_VERBOSE)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """With the nearest command where there is none of that name."""
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            near = get_close_matches(name, COMMANDS, n=1)
            ctx.fail(f"no such command: {name}" + (f"; did you mean {near[0]}?" if near else ""))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 — click's
        """From the table, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


def _show_log(ctx: click.Context, _: click.Parameter, count: int) -> None:
    """Both before a command and behind it, as people write it."""
    settings = ctx.find_object(Settings)
    if count and settings is not None:
        from density.log import show  # noqa: PLC0415 — help does not need it

        settings.verbosity += count
        show(settings.verbosity)


_VERBOSE = click.Option(
    ["-v", "--verbose"],
    count=True,
    expose_value=False,
    callback=_show_log,
    help="Write the log to standard error, in place of a live view; -vv: each call to an engine too.",
)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="density %(version)s")
@click.option("--traceback", is_flag=True, help="Where density itself fails, show the traceback.")
@click.pass_obj
def group(settings: Settings, *, traceback: bool) -> None:
    """How many containers and VMs fit on this host, what stops the next one, and what to change."""
    settings.traceback = traceback


group.params.append(_VERBOSE)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line (None: the process's own); the exit code. Commands return theirs, None being 0.

    A standard output or error that cannot be written ends nothing; the code says so where it has nothing worse to say.
    """
    settings = Settings()
    with outputs() as streams:
        try:
            code = _main(settings, arguments)
        finally:
            if settings.verbosity:
                from density.log import show  # noqa: PLC0415 — as above

                show(0)
        return _with_what_was_lost(code, streams)


def _with_what_was_lost(code: int, streams: Mapping[str, Output]) -> int:
    for stream in streams.values():
        stream.flush()
    for name, stream in streams.items():
        if stream.problem:
            code = code or Unwritten.exit_code
            _say_errors([f"{name} could not be written: {stream.problem}"])
    return code


def _main(settings: Settings, arguments: Sequence[str] | None) -> int:
    try:
        os.getcwd()  # noqa: PTH109 — whether there is one; relative paths need it
    except OSError:
        return _fail(UsageError.exit_code, ["the directory in which density was started is gone; start it in another"])
    try:
        result: Any = group.main(arguments, prog_name="density", standalone_mode=False, obj=settings)
    except click.Abort:
        return _fail(INTERRUPTED, ["interrupted"])
    except click.exceptions.NoArgsIsHelpError as error:
        echo(error.format_message(), err=True)
        return error.exit_code
    except click.ClickException as error:
        return _fail(error.exit_code, [_usage(error)])
    except BaseException as error:  # noqa: BLE001 — the last stop: everything becomes a sentence and an exit code
        return _fail(*explain(error, with_traceback=settings.traceback))
    return result if isinstance(result, int) else 0


def program() -> NoReturn:
    """The command `density`: `main`, and the end of the process, also where a call to an engine never comes back."""
    open_standard_files()
    os.umask((os.umask(0) | 0o022) & 0o077)  # what is made is ours to write, and nobody else's, whatever was inherited
    leave(main())


def _usage(error: click.ClickException) -> str:
    message = error.format_message()
    message = (message[:1].lower() + message[1:]).rstrip(".")
    path = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "density"
    return f"{message} (see {path} --help)"


def _fail(code: int, sentences: Sequence[str]) -> int:
    _say_errors(sentences)
    return code


def _say_errors(sentences: Sequence[str]) -> None:
    for sentence in sentences:
        line = f"error: {sentence}"
        echo(_wrapped(line) if sys.stderr.isatty() and "\n" not in line else line, err=True)


def _wrapped(line: str) -> str:
    """A sentence that a terminal does not break inside words; files and pipes get it in one line, to search in."""
    width = shutil.get_terminal_size().columns
    return textwrap.fill(line, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
