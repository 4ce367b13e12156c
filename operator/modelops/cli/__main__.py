"""`modelops COMMAND …`: a command's module is imported only when the command is used."""

from __future__ import annotations

import os
import sys

from modelops.cli.commands import (
    COMMANDS,
    complete_first_word,
    first_word,
    help_text,
    program,
    with_command_joined,
)

TYPE_CHECKING = False  # Type checkers read it as typing's, which would take time to import.
if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    0: done. 1: refused or failed. 2: wrong usage, or a service is not available. 130: interrupted. 141: what reads the
    output has ended.
    """
    if "_ARGCOMPLETE" in os.environ:
        word = first_word()
        if word is not None:
            complete_first_word(word)
            return 0
        from modelops.cli.completion import complete

        complete()
    argv = list(sys.argv[1:] if arguments is None else arguments)
    _prepare_output()
    try:
        status = _run(argv)
        sys.stdout.flush()
    except KeyboardInterrupt:
        if sys.stderr.isatty():
            print(file=sys.stderr)  # The line with ^C ends here.
        return 130
    except BrokenPipeError:  # As `modelops models docs | head -1`; nothing more can be said there.
        _discard_output()
        return 141
    except OSError as error:  # As a full disk. What a command knows how to handle, it has handled.
        print(f"{program()}: {error}", file=sys.stderr)
        _discard_output()
        return 2
    return status


def _run(argv: list[str]) -> int:
    argv = with_command_joined(argv)
    command = argv[0] if argv else "--help"
    if command in ("-h", "--help", "help"):
        print(help_text(), file=sys.stdout if argv else sys.stderr)
        return 0 if argv else 2
    if command == "--version":
        from importlib.metadata import version

        print(f"modelops {version('modelops')}")
        return 0
    if command not in COMMANDS:
        from difflib import get_close_matches

        longer = [name for name in COMMANDS if name.startswith(f"{command} ")]
        near = longer or get_close_matches(command, COMMANDS, n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else f"`{program()} --help` lists them"
        print(f"{program()}: there is no command {command!r}: {hint}", file=sys.stderr)
        return 2
    from modelops.cli.parser import parse

    parsed = parse(argv)
    return int(parsed.run(parsed))


def _prepare_output() -> None:
    """Let nothing fail that only shows: a closed stream takes everything, and signs without encoding become `?`."""
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: PTH123, SIM115
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def _discard_output() -> None:
    """Let the interpreter flush what is left to nowhere, when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
