"""`modelops registry rebuild`: a record from the cluster, and what only the Hub remembers."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime

from modelops.cli.agents_view import MOST_CONFLICTS, Agents, CannotTell, Changed, View
from modelops.cli.failures import told
from modelops.cli.hub_access import asked, organisation
from modelops.cli.kube_access import connected
from modelops.domain.agentmodel.bootstrap import first_record
from modelops.domain.agentmodel.published import Merged, with_published
from modelops.domain.hub_repositories import Shelf
from modelops.domain.record import Record


def run(arguments: argparse.Namespace) -> int:
    """Exit status 0: the record has all of it, or would have; 1: something cannot be read; 2: no cluster, no Hub."""
    if not connected(arguments, command="registry rebuild"):
        return 2
    return told("registry rebuild", lambda: rebuilt(arguments))


def rebuilt(arguments: argparse.Namespace) -> int:
    agents = Agents()
    names = [arguments.agent_model] if arguments.agent_model else []
    seen = agents.named(arguments.namespace, names)
    org = organisation(arguments, (view.record for view in seen if view.record is not None))
    shelf = asked(lambda hub: hub.read(org))
    for view in seen:
        put(agents, view, shelf, dry_run=arguments.dry_run)
    return 0


def put(agents: Agents, view: View, shelf: Shelf, *, dry_run: bool) -> None:
    """Merge and write; whoever else writes the record meanwhile is read and added to.

    Raises:
        CannotTell: there is no record and none can be made, or it changes faster than it can be added to.
    """
    for _ in range(MOST_CONFLICTS):
        start = record_of(view)
        merged = with_published(start, shelf, agent_model=view.full_name)
        if dry_run or merged.record == view.record:
            say(view, merged, done="would be added" if merged.record != view.record else "")
            return
        try:
            agents.write(view, merged.record)
        except Changed:
            view = agents.named(view.namespace, [view.name])[0]
            continue
        say(view, merged, done="added")
        return
    raise CannotTell(
        f"the record of {view.name} changed {MOST_CONFLICTS} times while it was rebuilt: try again"
    )


def record_of(view: View) -> Record:
    """The record that is there; else the one that the operator would make from file and statuses.

    Raises:
        CannotTell: there is nothing to make it from.
    """
    if view.record is not None:
        return view.record
    assert view.agent_model is not None
    if view.older:
        raise CannotTell(f"{view.name} has no record of its own: AgentModel {view.older} owns the same agent")
    if view.agent_model.metadata.deletion_timestamp is not None:
        raise CannotTell(f"AgentModel {view.name} is being deleted: no record is made for it")
    if view.file is None:
        raise CannotTell(
            f"the record of {view.name} is gone, and what serves it cannot be read: {view.file_problem}"
        )
    return first_record(view.observed(datetime.now(UTC)))


def say(view: View, merged: Merged, *, done: str) -> None:
    """What was, or would be, added, line by line; what was left on stderr."""
    where = f"{view.name} in {view.namespace}"
    made = view.record is None
    if not done:
        print(f"{where}: the record has all that the Hub remembers")
    else:
        verb = "would be made" if done.startswith("would") else "made"
        print(f"{where}: {f'record {verb} from the cluster; ' if made else ''}{len(merged.added)} {done}")
    for words in merged.added:
        print(f"  + {words}")
    for words in merged.left:
        print(f"  not taken in: {words}", file=sys.stderr)
