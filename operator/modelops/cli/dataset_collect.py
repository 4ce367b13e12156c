"""`modelops dataset list` and `collect`: LangSmith's datasets, and a new one of an agent's failures."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from modelops.cli import output, session
from modelops.cli.argument_types import count

if TYPE_CHECKING:
    from langsmith import Client

    from modelops.client import AsyncClient
    from modelops.datasets.failures import Collected

DEFAULT_ENDPOINT = "https://api.smith.langchain.com"
SENSITIVE = ("private-key", "key", "email", "phone")
"""The values of the API's SensitiveKind, which is not imported for a completion."""
_UNITS = {"h": 1, "d": 24, "w": 168}


def register(verbs: Any) -> None:
    """Add both verbs to `modelops dataset`."""
    listed = verbs.add_parser(
        "list",
        help="list the LangSmith datasets",
        description="List the datasets of LANGSMITH_API_KEY, the newest first.",
    )
    listed.add_argument("--contains", help="only those whose name contains this")
    listed.add_argument("--limit", type=count, default=50, help="at most so many (default: %(default)s)")
    output.add_arguments(listed)
    listed.set_defaults(run=run_list)
    collect = verbs.add_parser(
        "collect",
        help="make a dataset of an agent's failures in production",
        description="Read an agent's production runs in LangSmith, and make a dataset of those that failed: with an "
        "error, or with bad feedback. Secrets and personal data are looked for first, and runs that contain any are "
        "left out. Each example has metadata.success false: correct its outputs in LangSmith, and set it to true. "
        "LANGSMITH_API_KEY is needed. Exit status 1: nothing to collect, declined or refused; 2: no cluster.",
    )
    session.add_named(collect, "agent", "agent_models", help="the agent, such as feature_dev")
    collect.add_argument(
        "--project", help="LangSmith project (default: spec.langsmith.project of the AgentModel)"
    )
    collect.add_argument(
        "--since", default="30d", help="age of the oldest run: 12h, 30d, 8w (default: %(default)s)"
    )
    collect.add_argument("--feedback", help="look at this feedback only (default: any)")
    collect.add_argument(
        "--limit", type=count, default=200, help="at most so many examples (default: %(default)s)"
    )
    collect.add_argument("--name", help="name of the dataset (default: AGENT-failures-YYYYMMDD)")
    collect.add_argument(
        "--allow-sensitive",
        action="append",
        default=[],
        choices=SENSITIVE,
        help="keep runs that contain this; may be repeated",
    )
    collect.add_argument("--dry-run", action="store_true", help="only say what would be collected")
    collect.add_argument("--yes", action="store_true", help="do not ask")
    session.add_arguments(collect)
    collect.set_defaults(run=run_collect)


def run_list(arguments: argparse.Namespace) -> int:
    """Exit status 0: listed; 2: LangSmith is not available."""
    return _with_langsmith("dataset list", lambda client: _list(client, arguments))


def run_collect(arguments: argparse.Namespace) -> int:
    """Run `dataset collect`."""
    project = arguments.project
    if project is None:
        places: list[str] = []
        status = session.run_with_client("dataset collect", arguments, lambda c, a: _project(c, a, places))
        if status:
            return status
        project = places[0]
    return _with_langsmith("dataset collect", lambda client: _collect(client, arguments, project))


async def _project(client: AsyncClient, arguments: argparse.Namespace, found: list[str]) -> int:
    from modelops.tools.agents import find_agent
    from modelops.tools.errors import ToolRefused

    agent = await find_agent(client, arguments.agent)
    if agent.spec.langsmith is None or not agent.spec.langsmith.project:
        raise ToolRefused(
            f"AgentModel {agent.metadata.name} has no spec.langsmith.project: set it, or name a project with --project"
        )
    found.append(agent.spec.langsmith.project)
    return 0


def _with_langsmith(command: str, work: Callable[[Client], int]) -> int:
    """Run `work` with a client of LangSmith, and report its errors on stderr."""
    try:
        from modelops.adapters.langsmith.errors import LangSmithError
        from modelops.datasets.download import connect_langsmith
        from modelops.datasets.failures import CollectionRefused
    except ImportError as error:
        print(f"modelops {command}: {error}; pip install 'modelops[evaluation]'", file=sys.stderr)
        return 2
    os.environ.setdefault("LANGSMITH_ENDPOINT", DEFAULT_ENDPOINT)
    if not os.environ.get("LANGSMITH_API_KEY"):
        print(f"modelops {command}: LANGSMITH_API_KEY is not set", file=sys.stderr)
        return 2
    client = connect_langsmith()
    try:
        return work(client)
    except CollectionRefused as error:
        print(f"modelops {command}: {error}", file=sys.stderr)
        return 1
    except LangSmithError as error:
        print(f"modelops {command}: {error}", file=sys.stderr)
        return 2
    finally:
        client.close(timeout=0)


def _list(client: Client, arguments: argparse.Namespace) -> int:
    from modelops.adapters.langsmith.errors import translated_errors

    with translated_errors(doing="listing datasets", url=client.api_url):
        found = list(client.list_datasets(dataset_name_contains=arguments.contains, limit=arguments.limit))
    rows = [
        (f"ls://{one.name}", one.example_count, f"{one.created_at:%Y-%m-%d}", one.description)
        for one in found
    ]
    if arguments.output == "table":
        columns = ("DATASET", "EXAMPLES", "CREATED", "DESCRIPTION")
        output.print_table(columns, rows, none="LangSmith has no such dataset")
    elif arguments.output == "name":
        print("\n".join(str(row[0]) for row in rows))
    else:
        keys = ("dataset", "examples", "created", "description")
        output.print_document([dict(zip(keys, row, strict=True)) for row in rows], arguments.output)
    return 0


def _collect(client: Client, arguments: argparse.Namespace, project: str) -> int:
    from modelops.api.v1alpha1.trainingrun import SensitiveKind
    from modelops.datasets.failures import CollectionRefused, collect_failures, create_dataset

    since = datetime.now(UTC) - _age(arguments.since)
    found = collect_failures(
        client,
        project,
        since=since,
        limit=arguments.limit,
        feedback_key=arguments.feedback,
        allowed=[SensitiveKind(kind) for kind in arguments.allow_sensitive],
    )
    for line in _said(found, project, arguments.since):
        print(line)
    if not found.failures:
        raise CollectionRefused(
            f"project {project!r} has no failure to collect since {since:%Y-%m-%d %H:%M} UTC"
        )
    name = arguments.name or f"{arguments.agent.replace('_', '-')}-failures-{datetime.now(UTC):%Y%m%d}"
    name = name.removeprefix("ls://")
    if arguments.dry_run:
        print(f"dataset ls://{name} would be created")
        return 0
    sys.stdout.flush()
    if not output.confirm(
        f"Create dataset ls://{name} with {len(found.failures)} examples?", yes=arguments.yes
    ):
        print("not created", file=sys.stderr)
        return 1
    create_dataset(client, name, agent=arguments.agent, project=project, failures=found.failures)
    print(
        f"created ls://{name}. Correct the outputs in LangSmith, and set metadata.success to true; then: "
        f"modelops train {arguments.agent} --dataset ls://{name}"
    )
    return 0


def _said(found: Collected, project: str, since: str) -> list[str]:
    lines = [
        f"{len(found.failures)} failures in {found.looked_at} runs of project {project} of the last {since}"
    ]
    if found.repeated:
        lines.append(f"{found.repeated} more have the inputs of another one")
    for kind, number in sorted(found.sensitive.items()):
        keep = f"--allow-sensitive {kind.value} keeps them"
        lines.append(f"{number} left out, because they contain: {kind.value} ({keep})")
    return lines


def _age(text: str) -> timedelta:
    from modelops.datasets.failures import CollectionRefused

    found = re.fullmatch(r"([1-9][0-9]{0,3})([hdw])", text)
    if not found:
        raise CollectionRefused(f"--since {text}: write a number with h, d or w, such as 30d")
    return timedelta(hours=int(found[1]) * _UNITS[found[2]])
