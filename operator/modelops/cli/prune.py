"""`modelops prune`: removes old repositories from the Hub, and gives the reason for each one that stays."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from modelops.cli import hub_access
from modelops.cli.kube_access import add_arguments, connect
from modelops.cli.lineage import parse_example_id

if TYPE_CHECKING:
    from modelops.adapters.huggingface.shelf import HuggingFaceShelf
    from modelops.cli.agent_snapshot import AgentSnapshot
    from modelops.cli.cluster_agents import ClusterAgents
    from modelops.domain.hub_repositories import Shelf
    from modelops.domain.in_use import InUse
    from modelops.domain.pruning import Policy, Splits, Verdict

UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_DURATION = re.compile(r"([0-9]+)([dhms])")


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "prune",
        help="remove old models and datasets from the Hub",
        description="List the repositories of an agent, whether each would be removed, and why. With --yes remove them "
        "and write that into the record. Models that are stable, previous, served, candidates of a Rollout, or being "
        "trained always stay. With --example: remove everything that contains this example, whatever its age. HF_TOKEN "
        "must be able to delete the organisation's repositories. Exit status 1: a repository with the example stays.",
    )
    parser.add_argument(
        "agent_model", nargs="?", help="name of an AgentModel (default: all of the namespace)"
    )
    add_arguments(parser)
    hub_access.add_arguments(parser)
    parser.add_argument(
        "--older-than",
        type=parse_duration,
        default="90d",
        help="minimum age, such as 90d or 12h (default: %(default)s)",
    )
    parser.add_argument(
        "--keep",
        type=parse_count,
        default=3,
        help="number of newest versions that always stay (default: %(default)s)",
    )
    parser.add_argument("--example", type=parse_example_id, help="id of a LangSmith example")
    parser.add_argument(
        "--yes", action="store_true", help="remove the repositories; without --yes nothing is changed"
    )
    parser.add_argument(
        "-o", "--output", choices=["text", "json"], default="text", help="default: %(default)s"
    )
    parser.set_defaults(run=run)


def parse_duration(text: str) -> timedelta:
    """Parse a number with a unit, such as 90d. Raises ArgumentTypeError."""
    found = _DURATION.fullmatch(text)
    if found is None:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a duration: write a number and d, h, m or s, such as 90d"
        )
    return timedelta(seconds=int(found[1]) * UNITS[found[2]])


def parse_count(text: str) -> int:
    """Parse a number of at least 1: the newest version determines the next version. Raises ArgumentTypeError."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: keep at least 1 version")
    return int(text)


def run(arguments: argparse.Namespace) -> int:
    """Exit status 0: done; 1: a repository with the example stays, or a record cannot be read; 2: no cluster or Hub."""
    from modelops.cli.error_reporting import run_and_report_errors

    if not connect(arguments, command="prune"):
        return 2
    return run_and_report_errors("prune", lambda: prune(arguments))


@dataclass(frozen=True, kw_only=True)
class HubContents:
    """What was read from the Hub, before the cluster was read.

    `splits`: with --example, the splits that contain it, by repository and commit; otherwise None.
    """

    catalog: Shelf
    splits: dict[str, Splits] | None


def prune(arguments: argparse.Namespace) -> int:
    """Decide on all repositories of the chosen agents, remove them with --yes, and print the verdicts."""
    from modelops.cli.cluster_agents import ClusterAgents
    from modelops.domain.pruning import Policy

    agents = ClusterAgents()
    names = [arguments.agent_model] if arguments.agent_model else []
    chosen = agents.list_named(arguments.namespace, names)
    records = (one.record for one in chosen if one.record is not None)
    org = hub_access.resolve_organisation(arguments, records)
    hub_contents = hub_access.query_hub(lambda hub: read_hub(hub, org, arguments.example))
    policy = Policy(older_than=arguments.older_than, keep=arguments.keep)
    verdicts: list[Verdict] = []
    try:
        for snapshot in chosen:
            verdicts += decide_and_remove(agents, arguments, snapshot.name, hub_contents, policy)
    finally:
        print_verdicts(arguments, verdicts)
    stays = arguments.example and any(not verdict.removed for verdict in verdicts)
    return 1 if stays else 0


async def read_hub(hub: HuggingFaceShelf, org: str, example: str | None) -> HubContents:
    """Read the organisation's repositories and, with an example, which of them contain it."""
    from modelops.cli.lineage import splits_with_example

    catalog = await hub.read(org)
    splits = await splits_with_example(hub, catalog, example) if example else None
    return HubContents(catalog=catalog, splits=splits)


def decide_and_remove(
    agents: ClusterAgents,
    arguments: argparse.Namespace,
    name: str,
    hub_contents: HubContents,
    policy: Policy,
) -> tuple[Verdict, ...]:
    """Return the verdicts on one agent's repositories; with `--yes` remove them.

    The record is read before the objects that show what is in use, and its write is conditional. If a rollout claims a
    model in between, the write is a conflict, and everything is read and decided again.
    """
    from modelops.cli.cluster_agents import MAX_CONFLICTS
    from modelops.cli.errors import CommandError, RecordChangedError
    from modelops.domain.pruning import Judge, begun

    for _ in range(MAX_CONFLICTS):
        now = datetime.now(UTC)
        snapshots = read_all_namespaces(agents, arguments.namespace)
        snapshot = next((s for s in snapshots if (s.namespace, s.name) == (arguments.namespace, name)), None)
        if snapshot is None or snapshot.record is None:
            raise CommandError(
                f"{name} has no record: make one with `modelops registry rebuild {name} -n {arguments.namespace}`"
            )
        verdicts = Judge(
            record=snapshot.record,
            agent_model=snapshot.full_name,
            shelf=hub_contents.catalog.of(snapshot.record.agent),
            uses=combine_uses(snapshots, now),
            policy=policy,
            now=now,
            holding=hub_contents.splits,
        ).verdicts()
        if not arguments.yes:
            return verdicts
        announced = begun(snapshot.record, verdicts, at=timestamp(now))
        try:
            if announced != snapshot.record:
                agents.write_record(snapshot, announced)
        except RecordChangedError:
            continue
        remove(agents, snapshot, verdicts)
        return verdicts
    raise CommandError(
        f"the record of {name} changed {MAX_CONFLICTS} times while it was read: run the command again"
    )


def read_all_namespaces(agents: ClusterAgents, namespace: str) -> list[AgentSnapshot]:
    """Read all agents of the cluster, because two namespaces may share an organisation.

    A caller who may not read all namespaces gets only `namespace`, and a warning on stderr.
    """
    from kubernetes.client import ApiException

    try:
        return agents.list_all(None)
    except ApiException as error:
        if error.status != 403:
            raise
    print(
        f"only namespace {namespace} can be read: it is unknown which models other namespaces use",
        file=sys.stderr,
    )
    return agents.list_all(namespace)


def combine_uses(snapshots: Sequence[AgentSnapshot], now: datetime) -> InUse:
    """Return which repositories any of the agents uses."""
    from modelops.domain.in_use import InUse, in_use

    uses = InUse()
    for snapshot in snapshots:
        uses = uses.together(in_use(snapshot.inventory(), now=now))
    return uses


def remove(agents: ClusterAgents, snapshot: AgentSnapshot, verdicts: Sequence[Verdict]) -> None:
    """Delete repositories and write each deletion into the record. Models come before the data that they need.

    Removals that an interrupted command has announced in the record are finished, too.
    """
    from modelops.domain.pruning import unfinished

    newest = agents.list_named(snapshot.namespace, [snapshot.name])[0]
    assert newest.record is not None
    decided = {verdict.repo for verdict in verdicts}
    chosen = [(verdict.repo, verdict.kind) for verdict in verdicts if verdict.removed]
    interrupted = [(repo, kind) for repo, kind in unfinished(newest.record) if repo not in decided]
    for repo, kind in (*chosen, *interrupted):
        print(f"removing {kind} {repo}", file=sys.stderr)
        hub_access.query_hub(lambda hub, repo=repo, kind=kind: hub.delete(repo, kind))  # type: ignore[misc]
        record_deletion(agents, snapshot, repo)


def record_deletion(agents: ClusterAgents, snapshot: AgentSnapshot, repo: str) -> None:
    """Write into the record that a repository is deleted. Raises CommandError if the record changes too often."""
    from modelops.cli.cluster_agents import MAX_CONFLICTS
    from modelops.cli.errors import CommandError, RecordChangedError
    from modelops.domain.pruning import gone

    for _ in range(MAX_CONFLICTS):
        newest = agents.list_named(snapshot.namespace, [snapshot.name])[0]
        if newest.record is None:
            return
        changed = gone(newest.record, repo, at=timestamp(datetime.now(UTC)))
        if changed == newest.record:
            return
        try:
            agents.write_record(newest, changed)
        except RecordChangedError:
            continue
        return
    raise CommandError(
        f"{repo} is deleted, but the record of {snapshot.name} changed too often to write that: run the command again"
    )


def timestamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def print_verdicts(arguments: argparse.Namespace, verdicts: Sequence[Verdict]) -> None:
    """Print a table, or JSON with `-o json`."""
    if arguments.output == "json":
        print(json.dumps([asdict(verdict) for verdict in verdicts], indent=2))
        return
    action = "removed" if arguments.yes else "to remove"
    rows = [
        (
            action if verdict.removed else "kept",
            verdict.kind,
            verdict.version or "-",
            verdict.repo,
            verdict.why + (f"; first: {verdict.first}" if verdict.first and arguments.example else ""),
        )
        for verdict in verdicts
    ]
    heads = ("action", "kind", "version", "repository", "reason")
    widths = [max(len(row[column]) for row in (heads, *rows)) for column in range(4)]
    for row in (heads, *rows):
        print("  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[4]]))
    removed = sum(verdict.removed for verdict in verdicts)
    if arguments.example:
        print(
            f"\n{removed} of {len(verdicts)} repositories with the example "
            f"{'were' if arguments.yes else 'would be'} removed; delete the example in LangSmith, too"
        )
    elif not arguments.yes:
        print(
            f"\n{removed} of {len(verdicts)} repositories would be removed; nothing was changed: use --yes to remove"
        )
