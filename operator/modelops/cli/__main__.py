"""`modelops COMMAND …`: a command's module is imported only when the command is used.

The start must stay quick, so this module imports nothing but argparse: dataclasses alone would add a quarter.
"""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple, cast


class Command(NamedTuple):
    """A command's module, which has `register(subparsers)`, and its line in `modelops --help`.

    `register` adds the parser of that name and sets its default `run`: a callable of the parsed arguments
    that returns the exit code. `arguments` are passed to it as well: one module may have several commands.
    """

    module: str
    help: str
    arguments: tuple[str, ...] = ()


COMMANDS = {
    "cluster": Command("modelops.cli.cluster", "run a real control plane on this machine"),
    "sandbox": Command(
        "modelops.cli.sandbox", "run imitations of Hugging Face, LangSmith and OpenRouter on this machine"
    ),
    "demo": Command("modelops.cli.demo", "run the demo on this machine"),
    "init": Command("modelops.cli.init", "write the manifest of an agent"),
    "train": Command("modelops.cli.train", "train a better model for an agent"),
    "approve": Command("modelops.cli.approve", "approve the cost of a TrainingRun"),
    "evaluate": Command("modelops.cli.evaluate", "compare a model with the one that serves the agent"),
    "deploy": Command("modelops.cli.deploy", "move an agent's traffic to a model"),
    "abort": Command("modelops.cli.control", "abort a rollout: all traffic goes back to stable", ("abort",)),
    "pause": Command(
        "modelops.cli.control",
        "keep a rollout from its next step, or stop a training for a while",
        ("pause",),
    ),
    "resume": Command("modelops.cli.control", "let a paused rollout or training go on", ("resume",)),
    "cancel": Command("modelops.cli.control", "stop a training for good", ("cancel",)),
    "watch": Command("modelops.cli.watch", "follow a run or rollout, or all that run"),
    "explain": Command("modelops.cli.explain", "say what a run, rollout or agent does, and why"),
    "models": Command("modelops.cli.models", "show an agent's models and their history"),
    "spend": Command("modelops.cli.spend", "show what agents have spent this month"),
    "rollback": Command("modelops.cli.rollback", "route an agent back to its stable model"),
    "registry": Command("modelops.cli.registry", "print the model registry, or rebuild a record"),
    "lineage": Command(
        "modelops.cli.lineage", "show what a version was made from, or what contains an example"
    ),
    "prune": Command("modelops.cli.prune", "remove old models and datasets from the Hub"),
    "dataset": Command("modelops.cli.dataset", "check, list or collect datasets"),
    "doctor": Command("modelops.cli.doctor", "find what is wrong, and what mends it"),
    "completion": Command("modelops.cli.completion", "print the completion script of a shell"),
    "mcp": Command("modelops.cli.mcp", "serve the tools to chat clients and agents, over MCP"),
    "operator": Command("modelops.cli.operator", "run the operator"),
    "crds": Command("modelops.cli.crds", "print the custom resource definitions"),
}


def build_parser(command: str | None) -> argparse.ArgumentParser:
    """Build the parser: `command` with all its arguments, the others with their help line only."""
    parser = argparse.ArgumentParser(
        prog="modelops", description="Train, evaluate and roll out models for coding agents."
    )
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


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    0: done. 1: refused or failed. 2: wrong usage, or a service is not available. 130: interrupted.
    """
    if "_ARGCOMPLETE" in os.environ:
        from modelops.cli.completion import complete

        complete(lambda command: build_parser(command if command in COMMANDS else None))
    argv = list(sys.argv[1:] if arguments is None else arguments)
    command = argv[0] if argv and argv[0] in COMMANDS else None
    parsed = build_parser(command).parse_args(argv)
    try:
        return int(parsed.run(parsed))
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
