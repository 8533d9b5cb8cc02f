"""The command ``imfuse``: finds the commands, and turns errors into one line and an exit code."""

from __future__ import annotations

import importlib
import importlib.util
import io
import os
import signal
import sys
from typing import Annotated, NoReturn

import typer

from imfuse.cli import _flags
from imfuse.cli._printing import flush, gate, give_up_broken_streams, open_closed_streams, say, warn
from imfuse.cli._terminal import warn_of_doubt
from imfuse.core.errors import ImfuseError
from imfuse.core.files import os_reason
from imfuse.core.signals import Terminated, raise_terminated
from imfuse.core.text import printable
from imfuse.core.version import VERSION

COMMANDS = {
    "fuse": "imfuse.cli.fuse",
    "video": "imfuse.cli.video",
    "align": "imfuse.cli.align",
    "info": "imfuse.cli.info",
    "segment": "imfuse.cli.segment",
    "detect": "imfuse.cli.detect",
    "train": "imfuse.cli.train",
    "models": "imfuse.cli.models",
    "convert": "imfuse.cli.convert",
    "score": "imfuse.cli.score",
    "benchmark": "imfuse.cli.benchmark",
    "demo": "imfuse.cli.demo",
}
"""Name of a command -> module with a function (or ``Typer``) of that name. They import neither torch nor NumPy."""

PARTLY, MISUSED, INTERRUPTED, TERMINATED = 1, 2, 130, _flags.TERMINATED


def _print_version(wanted: bool) -> None:
    if wanted:
        say(f"imfuse {VERSION}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error (with any command).")] = False,
) -> None:
    """Fuse registered infrared + visible (or medical) pairs into one image each."""


def build_app() -> typer.Typer:
    """The command line with all commands whose modules are there."""
    app = typer.Typer(
        add_completion=False, pretty_exceptions_enable=False, context_settings={"help_option_names": ["-h", "--help"]}
    )
    app.callback()(_root)
    for name, module in COMMANDS.items():
        if importlib.util.find_spec(module) is not None:
            command = getattr(importlib.import_module(module), name)
            if isinstance(command, typer.Typer):
                for part in command.registered_commands:
                    part.cls = _flags.Command
                own = command.info.cls
                app.add_typer(command, name=name, cls=own if isinstance(own, type) else _flags.Group)
            else:
                app.command(name, cls=_flags.Command)(command)
    return app


def main(arguments: list[str] | None = None) -> int:
    """Run a command line (default: that of the process); returns the exit code.

    0: done, 1: some pairs failed, 2: nothing could be done as asked, 130: interrupted, 143: terminated by SIGTERM.
    """
    words = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in words
    # Accepted at any place, so that a failed command line needs one more word and nothing else.
    rest = [word for word in words if word != "--debug"] or ["--help"]
    closed = open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # File names may hold what the terminal's encoding lacks, or bytes that are no text at all.
            stream.reconfigure(errors="backslashreplace")
    _flags.forget()
    try:
        with gate(warn_of_doubt), raise_terminated():
            code = _run(rest, debug)
    finally:
        give_up_broken_streams()
    if closed and code == 0:
        warn("error: standard output: closed, so that nothing could be printed")
        return PARTLY
    return code


def _run(words: list[str], debug: bool) -> int:
    """Exit code of a command line, after one line on what went wrong; a defect is raised."""
    try:
        code = build_app()(words, prog_name="imfuse", standalone_mode=False)
        flush()
    except BrokenPipeError:
        # The reader, such as head, has enough.
        return PARTLY
    except Terminated:
        code = TERMINATED
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except Exception as error:
        message = _one_line(error)
        if debug or message is None:
            raise
        warn(f"error: {message}")
        return MISUSED
    if code in (INTERRUPTED, TERMINATED):
        how = "interrupted" if code == INTERRUPTED else "terminated"
        warn(f"{how}; files that were finished stay, none is half written")
    return code if isinstance(code, int) else 0


def _one_line(error: Exception) -> str | None:
    """Message of an error that the user can act on; ``None`` for a defect, whose traceback must be seen."""
    if isinstance(error, ImfuseError):
        return _flags.in_flags(error)
    if isinstance(error, OSError) and error.errno is not None:
        # A disk or a system that refuses is no defect; where the library knows more, it says so itself.
        place = "cannot read or write" if error.filename is None else printable(os.fsdecode(error.filename))
        return f"{place}: {os_reason(error)}"
    # Click's usage errors, recognised by their method: some Typers carry a Click of their own, others import it.
    format_message = getattr(error, "format_message", None)
    return f"{' '.join(format_message().split())} (see imfuse --help)" if callable(format_message) else None


def run() -> NoReturn:
    """The program ``imfuse``: a command line, and an end that Ctrl-C does not disturb."""
    try:
        code = main()
    except KeyboardInterrupt:  # a second one, while the first was answered
        code = INTERRUPTED
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.exit(code)


if __name__ == "__main__":
    run()
