"""`modelops registry rebuild`: adds to a record what the Hub still knows; a lost record is rebuilt from the cluster."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from typing import Literal

from modelops.cli import output
from modelops.cli.agent_snapshot import AgentSnapshot
from modelops.cli.cluster_agents import MAX_CONFLICTS, ClusterAgents
from modelops.cli.errors import CommandError, RecordChangedError
from modelops.cli.hub_access import query_hub, resolve_organisation
from modelops.client import AsyncClient
from modelops.domain.agentmodel.bootstrap import first_record
from modelops.domain.agentmodel.published import Merged, with_published
from modelops.domain.hub_repositories import RepositoryCatalog
from modelops.domain.record import Record
from modelops.grammar import counted
from modelops.tools.results import Result


async def rebuild_records(client: AsyncClient, arguments: argparse.Namespace) -> int:
    """Rebuild the records of the named agent, or of all agents of the namespace."""
    agents = ClusterAgents(client)
    names = [arguments.agent_model] if arguments.agent_model else []
    snapshots = await agents.list_named(await client.namespace(), names)
    org = resolve_organisation(arguments, (one.record for one in snapshots if one.record is not None))
    catalog = await query_hub(lambda hub: hub.read(org))
    rebuilt = []
    for snapshot in snapshots:
        one = await merge_and_write(agents, snapshot, catalog, dry_run=arguments.dry_run)
        rebuilt.append(one)
        if arguments.output == "table":
            print_result(one)
    if arguments.output != "table":
        names = [("AgentModel", one.agent_model) for one in rebuilt]
        output.show(rebuilt, arguments.output, names=names, table=lambda: None)
    return 0


class Rebuilt(Result):
    """What was done with one record: `added`, `would be added` (a dry run), or `complete`."""

    agent_model: str
    namespace: str
    outcome: Literal["added", "would be added", "complete"]
    record_created: bool
    added: tuple[str, ...]
    left_out: tuple[str, ...]


async def merge_and_write(
    agents: ClusterAgents, snapshot: AgentSnapshot, catalog: RepositoryCatalog, *, dry_run: bool
) -> Rebuilt:
    """Add what the Hub knows to the record. If another writer changes the record meanwhile, it is merged again.

    Raises:
        CommandError: there is no record and none can be made, or the record changes too often.
    """
    for _ in range(MAX_CONFLICTS):
        start = current_or_first_record(snapshot)
        merged = with_published(start, catalog, agent_model=snapshot.full_name)
        if merged.record == snapshot.record:
            return _rebuilt(snapshot, merged, outcome="complete")
        if dry_run:
            return _rebuilt(snapshot, merged, outcome="would be added")
        try:
            await agents.write_record(snapshot, merged.record)
        except RecordChangedError:
            (snapshot,) = await agents.list_named(snapshot.namespace, [snapshot.name])
            continue
        return _rebuilt(snapshot, merged, outcome="added")
    raise CommandError(
        f"the record of {snapshot.name} changed {MAX_CONFLICTS} times while it was rebuilt: run the command again"
    )


def current_or_first_record(snapshot: AgentSnapshot) -> Record:
    """Return the record; without one, the record that the operator would make from the agents' file and statuses.

    Raises:
        CommandError: no record can be made.
    """
    if snapshot.record is not None:
        return snapshot.record
    assert snapshot.agent_model is not None
    if snapshot.owner:
        raise CommandError(
            f"{snapshot.name} has no record of its own: the older AgentModel {snapshot.owner} owns the same agent; "
            f"rebuild the record of {snapshot.owner}"
        )
    if snapshot.agent_model.metadata.deletion_timestamp is not None:
        raise CommandError(
            f"AgentModel {snapshot.name} is being deleted, so no record is made for it; create it again if it is "
            "still needed"
        )
    if snapshot.file is None:
        raise CommandError(
            f"{snapshot.name} has no record, and none can be made, because the agents' file cannot be read: "
            f"{snapshot.file_problem}; correct the file and run the command again"
        )
    return first_record(snapshot.state(datetime.now(UTC)))


def _rebuilt(
    snapshot: AgentSnapshot, merged: Merged, *, outcome: Literal["added", "would be added", "complete"]
) -> Rebuilt:
    return Rebuilt(
        agent_model=snapshot.name,
        namespace=snapshot.namespace,
        outcome=outcome,
        record_created=outcome != "complete" and snapshot.record is None,
        added=tuple(merged.added),
        left_out=tuple(merged.left),
    )


def print_result(rebuilt: Rebuilt) -> None:
    """Print each addition on stdout and each repository that was left out on stderr."""
    agent = f"{rebuilt.agent_model} in {rebuilt.namespace}"
    if rebuilt.outcome == "complete":
        print(f"{agent}: the record already has everything that the Hub knows")
    else:
        verb = "would be made" if rebuilt.outcome == "would be added" else "made"
        created = f"record {verb} from the cluster; " if rebuilt.record_created else ""
        print(f"{agent}: {created}{counted(len(rebuilt.added), 'entry', plural='entries')} {rebuilt.outcome}")
    for words in rebuilt.added:
        print(f"  + {words}")
    for words in rebuilt.left_out:
        print(f"  left out: {words}", file=sys.stderr)
