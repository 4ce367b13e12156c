"""The parser of the arguments: only the command that is used brings its own."""

from __future__ import annotations

import argparse
import importlib
from typing import Any, cast

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


def _parser_of(*, is_used: bool = True, **settings: Any) -> argparse.ArgumentParser | None:
    """A command's parser; None for one that this call does not use, because each takes a quarter of a millisecond."""
    return argparse.ArgumentParser(**settings) if is_used else None
