"""The parser of the arguments: only the command that is used brings its own."""

from __future__ import annotations

import argparse
import importlib
from typing import Any, NoReturn, cast

from modelops.cli.commands import COMMANDS, program


def build_parser(command: str | None) -> argparse.ArgumentParser:
    """Build the parser: `command` with all its arguments, the others with their help line only."""
    parser = argparse.ArgumentParser(prog=program())
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True, parser_class=cast(Any, _parser_of))
    for name, entry in COMMANDS.items():
        if name == command:
            importlib.import_module(entry.module).register(subparsers, *entry.arguments)
        else:
            subparsers.add_parser(name, help=entry.help, is_used=False)
    return parser


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line: the usage of a command with many arguments hides what is wrong."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; `{self.prog} --help` shows its arguments\n")


def parse(argv: list[str]) -> argparse.Namespace:
    """The arguments of a command; ends the process with a message where they are wrong."""
    parser = build_parser(argv[0])
    parsed, unknown = parser.parse_known_args(argv)
    if unknown:
        parsed.parser.error(f"unrecognized arguments: {' '.join(unknown)}{_meant(parsed.parser, unknown[0])}")
    return parsed


def _meant(parser: argparse.ArgumentParser, argument: str) -> str:
    """The flag that an unknown one was probably meant to be."""
    from difflib import get_close_matches

    flags = [flag for action in parser._actions for flag in action.option_strings]
    near = get_close_matches(argument.partition("=")[0], flags, n=1) if argument.startswith("-") else []
    return f" (did you mean {near[0]}?)" if near else ""


def _parser_of(*, is_used: bool = True, **settings: Any) -> argparse.ArgumentParser | None:
    """A command's parser; None for one that this call does not use, because each takes a quarter of a millisecond."""
    if not is_used:
        return None
    parser = _Parser(**settings)
    parser.set_defaults(parser=parser)
    return parser
