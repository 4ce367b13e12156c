"""`modelops init`: writes the manifest of an agent from what the cluster has, and says what it guessed."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelops.cli import output, session

if TYPE_CHECKING:
    from modelops.client import AsyncClient
    from modelops.tools.drafting import DraftRequest


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "init",
        help="write the manifest of an agent",
        description="Write the AgentModel of an agent from the agents' file that is in the cluster, and say on stderr "
        "what was guessed and what else must be created. On a terminal it asks first for what it would guess. The API "
        "server checks it and stores nothing. Exit status 1: there is no such agent; 2: no cluster.",
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
    parser.add_argument(
        "--input-key", help="key of an example's inputs that the prompt is made from (default: task)"
    )
    parser.add_argument("--output-key", help="key of an example's outputs that is the answer (default: code)")
    parser.add_argument("--yes", action="store_true", help="do not ask: guess what no flag says")
    parser.add_argument("-f", "--file", type=Path, help="write it as YAML to this new file (default: stdout)")
    output.add_arguments(parser, default="yaml")
    session.add_arguments(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    return session.run_with_client("init", arguments, _init)


async def _init(client: AsyncClient, arguments: argparse.Namespace) -> int:
    from ruamel.yaml import YAML

    from modelops.api.v1alpha1.names import GROUP
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
        input_key=arguments.input_key,
        output_key=arguments.output_key,
    )
    draft = await draft_agent(client, request)
    if sys.stdin.isatty() and not arguments.yes:
        draft = await draft_agent(client, _asked(request))
    if arguments.file is not None:
        try:
            with arguments.file.open("x", encoding="utf-8") as stream:
                YAML().dump(draft.manifest, stream)
        except OSError as error:
            raise ToolRefused(f"{arguments.file} is not written: {error.strerror}") from error
    if arguments.output == "name":
        print(f"agentmodel.{GROUP}/{draft.manifest['metadata']['name']}")
    elif arguments.file is None:
        output.print_document(draft.manifest, arguments.output)
    sys.stdout.flush()
    for guess in draft.guesses:
        print(output.wrapped(f"guessed: {guess}", indent=9, stream=sys.stderr), file=sys.stderr)
    if draft.commands:
        print("run, what has not been run yet:", file=sys.stderr)
    for command in draft.commands:
        print(f"  {command}", file=sys.stderr)
    if arguments.file is not None:
        print(f"then: kubectl apply -f {arguments.file}", file=sys.stderr)
    return 0


def _asked(request: DraftRequest) -> DraftRequest:
    """The request with the answers of the person at the terminal; an empty answer leaves the guess."""
    from modelops.tools.drafting import INPUT_KEY, OUTPUT_KEY, default_dataset

    agent = request.agent
    questions = {
        "training_dataset": ("LangSmith dataset to train on", default_dataset(agent, "train")),
        "evaluation_dataset": ("LangSmith dataset of held-out examples", default_dataset(agent, "holdout")),
        "input_key": ("key of an example's inputs that has the task", INPUT_KEY),
        "output_key": ("key of an example's outputs that has the answer", OUTPUT_KEY),
        "monthly_usd": ("US dollars that the agent may cost in a month", "100"),
    }
    answers = {
        name: output.ask(f"{question} [{default}]: ")
        for name, (question, default) in questions.items()
        if getattr(request, name) is None
    }
    return replace(request, **{name: answer for name, answer in answers.items() if answer})
