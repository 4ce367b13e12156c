"""`modelops init`: writes the manifest of an agent from what the cluster has, and says what it guessed."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelops.cli import output, session

if TYPE_CHECKING:
    from modelops.client import AsyncClient


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "init",
        help="write the manifest of an agent",
        description="Write the AgentModel of an agent from the agents' file that is in the cluster, and say on stderr "
        "what was guessed and what else must be created. The API server checks it and stores nothing. Exit status 1: "
        "there is no such agent; 2: no cluster.",
    )
    parser.add_argument("agent", help="the agent's key in agents.yaml, such as feature_dev")
    parser.add_argument("--config-map", help="ConfigMap with the agents' file (default: the only one)")
    parser.add_argument("--key", default="agents.yaml", help="key of the file (default: %(default)s)")
    parser.add_argument(
        "--secret", default="modelops-tokens", help="Secret with the tokens (default: %(default)s)"
    )
    parser.add_argument("--training-dataset", help="ls://<id or exact name>")
    parser.add_argument("--evaluation-dataset", help="ls://<id or exact name> of held-out examples")
    parser.add_argument("--budget", help="US dollars a month (default: 100)")
    parser.add_argument("-f", "--file", type=Path, help="write it to this new file (default: stdout)")
    session.add_arguments(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    return session.run_with_client("init", arguments, _init)


async def _init(client: AsyncClient, arguments: argparse.Namespace) -> int:
    from ruamel.yaml import YAML

    from modelops.tools.drafting import DraftRequest, draft_agent
    from modelops.tools.errors import ToolRefused

    request = DraftRequest(
        agent=arguments.agent,
        config_map=arguments.config_map,
        key=arguments.key,
        secret=arguments.secret,
        training_dataset=arguments.training_dataset,
        evaluation_dataset=arguments.evaluation_dataset,
        monthly_usd=arguments.budget,
    )
    draft = await draft_agent(client, request)
    if arguments.file is None:
        output.print_document(draft.manifest, "yaml")
    else:
        try:
            with arguments.file.open("x", encoding="utf-8") as stream:
                YAML().dump(draft.manifest, stream)
        except OSError as error:
            raise ToolRefused(f"{arguments.file} is not written: {error.strerror}") from error
    sys.stdout.flush()
    for guess in draft.guesses:
        print(f"guessed: {guess}", file=sys.stderr)
    for command in draft.commands:
        print(f"run, if it is not there yet: {command}", file=sys.stderr)
    return 0
