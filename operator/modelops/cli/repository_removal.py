"""Decides which repositories of an agent are removed from the Hub, removes them, and writes that into the record."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from modelops.adapters.huggingface.repository_catalog import HuggingFaceRepositoryCatalog
from modelops.cli import hub_access
from modelops.cli.agent_snapshot import AgentSnapshot
from modelops.cli.cluster_agents import MAX_CONFLICTS, ClusterAgents
from modelops.cli.errors import CommandError, RecordChangedError
from modelops.cli.lineage import splits_with_example
from modelops.client import Forbidden
from modelops.domain.hub_repositories import RepositoryCatalog
from modelops.domain.prune_record import unfinished_removals, with_removal_announced, with_removal_confirmed
from modelops.domain.pruning import PruneDecision, PrunePlanner, PrunePolicy, Splits
from modelops.domain.repositories_in_use import RepositoriesInUse, repositories_in_use


@dataclass(frozen=True, kw_only=True)
class HubContents:
    """What was read from the Hub, before the cluster was read.

    `splits`: with --example, the splits that contain it, by repository and commit; otherwise None.
    """

    catalog: RepositoryCatalog
    splits: dict[str, Splits] | None


async def read_hub(hub: HuggingFaceRepositoryCatalog, org: str, example: str | None) -> HubContents:
    """Read the organisation's repositories and, with an example, which of them contain it."""
    catalog = await hub.read(org)
    splits = await splits_with_example(hub, catalog, example) if example else None
    return HubContents(catalog=catalog, splits=splits)


async def decide_and_remove(
    agents: ClusterAgents,
    agent: AgentSnapshot,
    hub_contents: HubContents,
    policy: PrunePolicy,
    *,
    removes: bool,
) -> tuple[PruneDecision, ...]:
    """Return the decisions on one agent's repositories, after carrying them out where it `removes`.

    The record is read before the objects that show what is in use, and its write is conditional. If a rollout claims a
    model in between, the write is a conflict, and everything is read and decided again.
    """
    for _ in range(MAX_CONFLICTS):
        now = datetime.now(UTC)
        snapshots = await read_all_namespaces(agents, agent.namespace)
        snapshot = next((one for one in snapshots if one.full_name == agent.full_name), None)
        if snapshot is None or snapshot.record is None:
            raise CommandError(
                f"{agent.name} has no record: make one with "
                f"`modelops registry rebuild {agent.name} -n {agent.namespace}`"
            )
        decisions = PrunePlanner(
            record=snapshot.record,
            agent_model=snapshot.full_name,
            catalog=hub_contents.catalog.of(snapshot.record.agent),
            uses=combine_uses(snapshots, now),
            policy=policy,
            now=now,
            runs=frozenset(run.metadata.uid for run in snapshot.runs.values()),
            example_splits=hub_contents.splits,
        ).decisions()
        if not removes:
            return decisions
        announced = with_removal_announced(snapshot.record, decisions, at=timestamp(now))
        try:
            if announced != snapshot.record:
                await agents.write_record(snapshot, announced)
        except RecordChangedError:
            continue
        await remove(agents, snapshot, decisions)
        return decisions
    raise CommandError(
        f"the record of {agent.name} changed {MAX_CONFLICTS} times while it was read: run the command again"
    )


async def read_all_namespaces(agents: ClusterAgents, namespace: str) -> list[AgentSnapshot]:
    """Read all agents of the cluster, because two namespaces may share an organisation.

    A caller who may not read all namespaces gets only `namespace`, and a warning on stderr.
    """
    try:
        return await agents.list_all(None)
    except Forbidden:
        print(
            f"only namespace {namespace} can be read: it is unknown which models other namespaces use",
            file=sys.stderr,
        )
    return await agents.list_all(namespace)


def combine_uses(snapshots: Sequence[AgentSnapshot], now: datetime) -> RepositoriesInUse:
    """Return which repositories any of the agents uses."""
    uses = RepositoriesInUse()
    for snapshot in snapshots:
        uses = uses.merged_with(repositories_in_use(snapshot.inventory(), now=now))
    return uses


async def remove(agents: ClusterAgents, snapshot: AgentSnapshot, decisions: Sequence[PruneDecision]) -> None:
    """Delete repositories and write each deletion into the record. Models come before the data that they need.

    Removals that an interrupted command has announced in the record are finished, too.
    """
    (newest,) = await agents.list_named(snapshot.namespace, [snapshot.name])
    assert newest.record is not None
    decided = {decision.repo for decision in decisions}
    chosen = [(decision.repo, decision.kind) for decision in decisions if decision.removed]
    interrupted = [(repo, kind) for repo, kind in unfinished_removals(newest.record) if repo not in decided]
    for repo, kind in (*chosen, *interrupted):
        print(f"removing {kind} {repo}", file=sys.stderr)
        await hub_access.query_hub(lambda hub, repo=repo, kind=kind: hub.delete(repo, kind))  # type: ignore[misc]
        await record_deletion(agents, snapshot, repo)


async def record_deletion(agents: ClusterAgents, snapshot: AgentSnapshot, repo: str) -> None:
    """Write into the record that a repository is deleted. Raises CommandError if the record changes too often."""
    for _ in range(MAX_CONFLICTS):
        (newest,) = await agents.list_named(snapshot.namespace, [snapshot.name])
        if newest.record is None:
            return
        changed = with_removal_confirmed(newest.record, repo, at=timestamp(datetime.now(UTC)))
        if changed == newest.record:
            return
        try:
            await agents.write_record(newest, changed)
        except RecordChangedError:
            continue
        return
    raise CommandError(
        f"{repo} is deleted, but the record of {snapshot.name} changed too often to write that: run the command again"
    )


def timestamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
