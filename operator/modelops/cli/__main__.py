"""`modelops COMMAND …`: every command is a module of its own, imported only when it is asked for."""

import argparse
import importlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Command:
    """A command's module, which has `register(subparsers)`, and its line in `modelops --help`.

    `register` adds the parser of that name and sets its default `run`: a callable of the parsed arguments
    that returns the exit code.
    """

    module: str
    help: str


COMMANDS = {
    "cluster": Command("modelops.cli.cluster", "run a real control plane on this machine"),
    "sandbox": Command("modelops.cli.sandbox", "run the loopback Hugging Face, LangSmith and OpenRouter"),
    "demo": Command("modelops.cli.demo", "play the whole story on this machine"),
    "approve": Command("modelops.cli.approve", "approve what a training will cost"),
    "rollback": Command("modelops.cli.rollback", "put an agent back on its stable model"),
    "registry": Command("modelops.cli.registry", "show which models there are and where they came from"),
    "lineage": Command("modelops.cli.lineage", "show what a version was made from, or where an example went"),
    "prune": Command("modelops.cli.prune", "remove old models and datasets from the Hub"),
    "dataset": Command("modelops.cli.dataset", "check a dataset before it is trained on"),
    "operator": Command("modelops.cli.operator", "run the operator, as its environment says"),
    "crds": Command("modelops.cli.crds", "print the custom resource definitions"),
}


def build_parser(command: str | None) -> argparse.ArgumentParser:
    """Build the parser: `command` with all its arguments, the others with their help line only."""
    parser = argparse.ArgumentParser(prog="modelops", description="Better models for coding agents, safely.")
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, known in COMMANDS.items():
        if name == command:
            importlib.import_module(known.module).register(subparsers)
        else:
            subparsers.add_parser(name, help=known.help, add_help=False)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code: 0 done, 1 refused or failed, 2 wrong usage, 130 interrupted."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    command = given[0] if given and given[0] in COMMANDS else None
    parsed = build_parser(command).parse_args(given)
    try:
        return int(parsed.run(parsed))
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
