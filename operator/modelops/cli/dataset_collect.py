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
from modelops.cli.langsmith_endpoint import DEFAULT_ENDPOINT
from modelops.grammar import counted

if TYPE_CHECKING:
    from langsmith import Client

    from modelops.client import AsyncClient
    from modelops.datasets.failures import Collected
    from modelops.tools.results import Datasets

SENSITIVE = ("private-key", "key", "email", "phone")
"""The values of the API's SensitiveKind, which is not imported for a completion."""
_UNITS = {"h": 1, "d": 24, "w": 168}


def register(verbs: Any) -> None:
    """Add both verbs to `modelops dataset`."""
    listed = verbs.add_parser(
        "list",
        help="list the LangSmith datasets",
        description="List the datasets of LANGSMITH_API_KEY, the last changed first. With an agent, say whose they "
        "are; without LANGSMITH_API_KEY the agent's own key is then used, if you may read its Secret. Exit status 1: "
        "no such dataset or agent, or a right is missing; 2: no cluster, or LangSmith is not available.",
    )
    session.add_named(listed, "agent", "agent_models", nargs="?", help="the agent that is to be trained")
    listed.add_argument("--contains", help="only those whose name contains this")
    listed.add_argument("--limit", type=count, default=50, help="at most so many (default: %(default)s)")
    output.add_arguments(listed)
    session.add_arguments(listed)
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
    """Exit status 0: listed; 1: there is no such dataset or agent; 2: LangSmith or the cluster is not available."""
    import asyncio

    try:
        from modelops.cli.langsmith_catalog import catalogs_of_caller
    except ImportError as error:
        print(f"modelops dataset list: {error}; pip install 'modelops[evaluation]'", file=sys.stderr)
        return 2
    from modelops.tools.datasets import CatalogUnavailable, list_datasets, list_datasets_for
    from modelops.tools.errors import ToolRefused

    catalogs = catalogs_of_caller()
    wanted: dict[str, Any] = {"contains": arguments.contains, "limit": arguments.limit}

    async def list_for(client: AsyncClient, _: argparse.Namespace) -> int:
        return _show(await list_datasets_for(client, catalogs, arguments.agent, **wanted), arguments.output)

    try:
        if arguments.agent is not None:
            return session.run_with_client("dataset list", arguments, list_for)
        if catalogs.own_key is None:
            print(
                "modelops dataset list: LANGSMITH_API_KEY is not set: export it, or name an agent, whose key is then "
                "used if you may read its Secret, as in `modelops dataset list docs`",
                file=sys.stderr,
            )
            return 2
        return _show(
            asyncio.run(list_datasets(catalogs.opened(catalogs.own_key), **wanted)), arguments.output
        )
    except ToolRefused as error:
        print(f"modelops dataset list: {error}", file=sys.stderr)
        return 2 if isinstance(error, CatalogUnavailable) else 1


def _show(found: Datasets, form: str) -> int:
    rows = [
        (
            one.dataset_id,
            one.examples,
            f"{one.last_modified:%Y-%m-%d}" if one.last_modified else "-",
            ", ".join(one.agents) or "-",
            "another agent's" if one.is_another_agents else "evaluation" if one.evaluates else "",
            one.description,
        )
        for one in found.datasets
    ]
    if form == "table":
        columns = ("DATASET", "EXAMPLES", "CHANGED", "AGENTS", "NOTE", "DESCRIPTION")
        output.print_table(columns, rows, none="LangSmith has no dataset")
        if found.next_page is not None:
            print(f"{len(rows)} of {found.total}; --limit shows more")
    elif form == "name":
        print("\n".join(one.dataset_id for one in found.datasets))
    else:
        output.print_document([one.model_dump(mode="json") for one in found.datasets], form)
    return 0


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
    from modelops.tools.collecting import project_of

    found.append(await project_of(client, arguments.agent))
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


def _collect(client: Client, arguments: argparse.Namespace, project: str) -> int:
    from modelops.api.v1alpha1.trainingrun import SensitiveKind
    from modelops.datasets.failures import CollectionRefused, collect_failures, create_dataset
    from modelops.tools.collecting import dataset_name

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
    name = (arguments.name or dataset_name(arguments.agent, datetime.now(UTC))).removeprefix("ls://")
    if arguments.dry_run:
        print(f"dataset ls://{name} would be created")
        return 0
    sys.stdout.flush()
    if not output.confirm(
        f"Create dataset ls://{name} with {counted(len(found.failures), 'example')}?", yes=arguments.yes
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
