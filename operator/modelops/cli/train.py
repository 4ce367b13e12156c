"""`modelops train`: shows what a training costs, and starts it once that is confirmed."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from modelops.cli import output, session
from modelops.cli.argument_types import seconds

if TYPE_CHECKING:
    from modelops.client import AsyncClient
    from modelops.tools.results import JobProgress, TrainingJob, TrainingQuote
    from modelops.tools.training_request import TrainingRequest

METHODS = ("sft", "dpo", "orpo")


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "train",
        help="train a better model for an agent",
        description="Estimate what a training costs, ask, and start it. The training cannot cost more than the "
        "estimate that you confirmed; --max-usd allows for further attempts above it. Exit status 0: started, or with "
        "--wait succeeded; 1: refused, declined or failed; 2: no cluster.",
    )
    session.add_named(parser, "agent", "agent_models", help="the agent, such as feature_dev")
    parser.add_argument("--dataset", help="ls://<id or exact name> (default: the agent's trainingDataset)")
    parser.add_argument("--base-model", help="organisation/name (default: that of the installation)")
    parser.add_argument("--method", choices=METHODS, default="sft", help="default: %(default)s")
    parser.add_argument("--flavor", help="hardware, such as a10g-large (default: the cheapest that fits)")
    parser.add_argument(
        "--set",
        dest="settings",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="training value, such as num_epochs=2; may be repeated",
    )
    parser.add_argument("--max-usd", help="the most that it may cost, further attempts included")
    parser.add_argument("--estimate", action="store_true", help="only show what it would cost")
    parser.add_argument("--quote", help="start the training of this quote, which --estimate has shown")
    parser.add_argument("--yes", action="store_true", help="start it without asking")
    parser.add_argument("--wait", action="store_true", help="wait until it has ended")
    parser.add_argument(
        "--timeout", type=seconds, default=14400, help="seconds for --wait (default: %(default)s)"
    )
    parser.add_argument(
        "--dry-run",
        choices=["server"],
        help="let the API server check the TrainingRun, and store nothing; needs --max-usd",
    )
    session.add_arguments(parser)
    output.add_arguments(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    return session.run_with_client("train", arguments, _train)


async def _train(client: AsyncClient, arguments: argparse.Namespace) -> int:
    from modelops.cli.progress import Progress
    from modelops.tools import quotes, training, training_progress

    request = request_of(arguments)
    if arguments.dry_run:
        job = await training.start_training_up_to(client, request, dry_run=True, created_by="modelops-cli")
        _show_job(
            job, arguments.output, message=f"TrainingRun {job.job_id} would be created (server dry run)"
        )
        return 0
    quote_id = arguments.quote
    if quote_id is None:
        progress = Progress()
        try:
            quote = await quotes.estimate_training(client, request, seen=progress, created_by="modelops-cli")
        finally:
            progress.end()
        if arguments.estimate or arguments.output == "table":
            _show_quote(quote, arguments.output)
        if arguments.estimate:
            return 0
        quote_id = quote.quote_id
        if not output.confirm(
            f"Start this training for at most {output.money(quote.max_usd, up=True)}?", yes=arguments.yes
        ):
            print("not started", file=sys.stderr)
            return 1
    job = await training.start_training(
        client, quote_id, max_usd=arguments.max_usd, created_by="modelops-cli"
    )
    if not arguments.wait:
        _show_job(job, arguments.output, message=job.message)
        return 0
    progress = Progress()
    try:
        ended = await training_progress.monitor_training(
            client, job.job_id, wait_seconds=arguments.timeout, seen=progress
        )
    finally:
        progress.end()
    output.show(
        ended,
        arguments.output,
        names=[("TrainingRun", ended.job_id)],
        table=lambda: _print_end(ended, arguments.namespace),
    )
    return 0 if ended.succeeded else 1


def request_of(arguments: argparse.Namespace) -> TrainingRequest:
    """The request that the arguments make. Raises ToolRefused for a `--set` that is no NAME=VALUE."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    from modelops.tools.errors import ToolRefused
    from modelops.tools.training_request import TrainingRequest

    config = {}
    for setting in arguments.settings:
        name, is_set, value = setting.partition("=")
        if not is_set or not name:
            raise ToolRefused(f"--set {setting}: write NAME=VALUE, such as num_epochs=2")
        try:
            config[name] = YAML(typ="safe").load(value)
        except YAMLError as error:
            raise ToolRefused(
                f"--set {setting}: {value!r} is no value: {getattr(error, 'problem', error)}"
            ) from error
    return TrainingRequest(
        agent_name=arguments.agent,
        dataset_id=arguments.dataset,
        base_model=arguments.base_model,
        training_method=arguments.method,
        training_config=config,
        flavor=arguments.flavor,
        max_usd=arguments.max_usd,
    )


def _show_quote(quote: TrainingQuote, form: str) -> None:
    def table() -> None:
        output.print_fields(
            {
                "agent": quote.agent_name,
                "base model": quote.base_model,
                "method": quote.training_method,
                "dataset": quote.dataset_id,
                "examples": quote.examples,
                "hardware": quote.flavor,
                "cost": f"{output.money(quote.low_usd)} to {output.money(quote.high_usd, up=True)}, {_limit(quote)}",
                "time": f"{quote.low_minutes} to {quote.high_minutes} minutes",
                "quote": f"{quote.quote_id}, until {quote.valid_until:%H:%M} UTC",
                "says": quote.message,
            }
        )

    output.show(quote, form, names=[("TrainingRun", quote.quote_id)], table=table)


def _limit(quote: TrainingQuote) -> str:
    limit = output.money(quote.max_usd, up=True)
    if quote.max_usd < quote.high_usd:
        return f"which is more than the {limit} that it may cost: it would not start"
    return f"at most {limit} with further attempts"


def _print_end(ended: JobProgress, namespace: str | None) -> None:
    place = f" -n {namespace}" if namespace else ""
    agent, version = ended.agent_name, ended.version
    output.print_fields(
        {
            "run": ended.job_id,
            "status": ended.status,
            "version": version,
            "cost": output.money(ended.cost_usd) if ended.cost_usd is not None else None,
            "says": ended.message,
            "next": f"modelops evaluate {agent} {version}{place}" if ended.succeeded and version else None,
        }
    )


def _show_job(job: TrainingJob, form: str, *, message: str) -> None:
    output.show(job, form, names=[("TrainingRun", job.job_id)], table=lambda: output.say(message))
