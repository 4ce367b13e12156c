"""`modelops prune`: removes old repositories from the Hub, and says of each other one why it stays."""

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
from modelops.cli.kube_access import add_arguments, connected
from modelops.cli.lineage import an_example

if TYPE_CHECKING:
    from modelops.adapters.huggingface.repository_catalog import HuggingFaceRepositoryCatalog
    from modelops.cli.agents_view import Agents, View
    from modelops.domain.hub_repositories import Shelf
    from modelops.domain.in_use import InUse
    from modelops.domain.pruning import Policy, Splits, Verdict

UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_DURATION = re.compile(r"([0-9]+)([dhms])")


def register(subparsers: Any) -> None:
    """Adds the subcommand."""
    parser = subparsers.add_parser(
        "prune",
        help="remove old models and datasets from the Hub",
        description="Says of each repository of an agent whether it would be removed, and why; with --yes removes "
        "it and writes that into the record. What is stable, previous, served, tried, or being trained stays. With "
        "--example: what must go so that this example is gone, whatever its age. HF_TOKEN must write the "
        "organisation's repositories. Exit status 1: something with the example stays.",
    )
    parser.add_argument(
        "agent_model", nargs="?", help="name of an AgentModel (default: all of the namespace)"
    )
    add_arguments(parser)
    hub_access.add_arguments(parser)
    parser.add_argument(
        "--older-than", type=a_duration, default="90d", help="such as 90d or 12h (default: %(default)s)"
    )
    parser.add_argument(
        "--keep", type=a_count, default=3, help="newest versions that stay at any age (default: %(default)s)"
    )
    parser.add_argument("--example", type=an_example, help="id of a LangSmith example")
    parser.add_argument("--yes", action="store_true", help="remove; without it nothing is changed")
    parser.add_argument(
        "-o", "--output", choices=["text", "json"], default="text", help="default: %(default)s"
    )
    parser.set_defaults(run=run)


def a_duration(text: str) -> timedelta:
    """Raises ArgumentTypeError."""
    found = _DURATION.fullmatch(text)
    if found is None:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no duration: write a number and d, h, m or s, such as 90d"
        )
    return timedelta(seconds=int(found[1]) * UNITS[found[2]])


def a_count(text: str) -> int:
    """At least one: the newest version says which numbers are taken. Raises ArgumentTypeError."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: keep at least 1 version")
    return int(text)


def run(arguments: argparse.Namespace) -> int:
    """Exit status 0: done; 1: something with the example stays, or cannot be read; 2: no cluster, no Hub."""
    from modelops.cli.failures import told

    if not connected(arguments, command="prune"):
        return 2
    return told("prune", lambda: pruned(arguments))


@dataclass(frozen=True, kw_only=True)
class Surveyed:
    """What the Hub said before the cluster was asked. `holding`: only with an example."""

    shelf: Shelf
    holding: dict[str, Splits] | None


def pruned(arguments: argparse.Namespace) -> int:
    from modelops.cli.agents_view import Agents
    from modelops.domain.pruning import Policy

    agents = Agents()
    names = [arguments.agent_model] if arguments.agent_model else []
    chosen = agents.named(arguments.namespace, names)
    org = hub_access.organisation(arguments, (view.record for view in chosen if view.record is not None))
    found = hub_access.asked(lambda hub: survey(hub, org, arguments.example))
    policy = Policy(older_than=arguments.older_than, keep=arguments.keep)
    verdicts: list[Verdict] = []
    try:
        for view in chosen:
            verdicts += judged_and_removed(agents, arguments, view.name, found, policy)
    finally:
        show(arguments, verdicts)
    stays = arguments.example and any(not verdict.removed for verdict in verdicts)
    return 1 if stays else 0


async def survey(hub: HuggingFaceRepositoryCatalog, org: str, example: str | None) -> Surveyed:
    from modelops.cli.lineage import holding

    shelf = await hub.read(org)
    return Surveyed(shelf=shelf, holding=await holding(hub, shelf, example) if example else None)


def judged_and_removed(
    agents: Agents, arguments: argparse.Namespace, name: str, found: Surveyed, policy: Policy
) -> tuple[Verdict, ...]:
    """The verdicts on one agent's repositories; with `--yes` they are carried out.

    The record is read before what is in use, and its write is conditional: a claim in between is a conflict, and
    everything is looked at again.
    """
    from modelops.cli.agents_view import MOST_CONFLICTS, CannotTell, Changed
    from modelops.domain.pruning import Judge, begun

    for _ in range(MOST_CONFLICTS):
        now = datetime.now(UTC)
        views = everywhere(agents, arguments.namespace)
        view = next((v for v in views if (v.namespace, v.name) == (arguments.namespace, name)), None)
        if view is None or view.record is None:
            raise CannotTell(f"{name} has no record: `modelops registry rebuild {name}` makes one")
        verdicts = Judge(
            record=view.record,
            agent_model=view.full_name,
            shelf=found.shelf.of(view.record.agent),
            uses=needed(views, now),
            policy=policy,
            now=now,
            holding=found.holding,
        ).verdicts()
        if not arguments.yes:
            return verdicts
        announced = begun(view.record, verdicts, at=stamp(now))
        try:
            if announced != view.record:
                agents.write(view, announced)
        except Changed:
            continue
        remove(agents, view, verdicts)
        return verdicts
    raise CannotTell(f"the record of {name} changed {MOST_CONFLICTS} times meanwhile: try again")


def everywhere(agents: Agents, namespace: str) -> list[View]:
    """All agents of the cluster: two namespaces may share an organisation. Of one where no more may be read."""
    from kubernetes.client import ApiException

    try:
        return agents.all(None)
    except ApiException as error:
        if error.status != 403:
            raise
    print(f"only namespace {namespace} can be read: what others use is not known", file=sys.stderr)
    return agents.all(namespace)


def needed(views: Sequence[View], now: datetime) -> InUse:
    from modelops.domain.in_use import InUse, in_use

    uses = InUse()
    for view in views:
        uses = uses.together(in_use(view.scene(), now=now))
    return uses


def remove(agents: Agents, view: View, verdicts: Sequence[Verdict]) -> None:
    """Models first: what they were trained on is not needed without them. Each is put on record when it is gone."""
    from modelops.domain.pruning import unfinished

    newest = agents.named(view.namespace, [view.name])[0]
    assert newest.record is not None
    judged = {verdict.repo for verdict in verdicts}
    chosen = [(verdict.repo, verdict.kind) for verdict in verdicts if verdict.removed]
    left_over = [(repo, kind) for repo, kind in unfinished(newest.record) if repo not in judged]
    for repo, kind in (*chosen, *left_over):
        print(f"removing {kind} {repo}", file=sys.stderr)
        hub_access.asked(lambda hub, repo=repo, kind=kind: hub.delete(repo, kind))  # type: ignore[misc]
        record_gone(agents, view, repo)


def record_gone(agents: Agents, view: View, repo: str) -> None:
    """Raises CannotTell."""
    from modelops.cli.agents_view import MOST_CONFLICTS, CannotTell, Changed
    from modelops.domain.pruning import gone

    for _ in range(MOST_CONFLICTS):
        newest = agents.named(view.namespace, [view.name])[0]
        if newest.record is None:
            return
        changed = gone(newest.record, repo, at=stamp(datetime.now(UTC)))
        if changed == newest.record:
            return
        try:
            agents.write(newest, changed)
        except Changed:
            continue
        return
    raise CannotTell(f"{repo} is gone, and the record of {view.name} does not say so yet: run this again")


def stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def show(arguments: argparse.Namespace, verdicts: Sequence[Verdict]) -> None:
    """A table, or JSON."""
    if arguments.output == "json":
        print(json.dumps([asdict(verdict) for verdict in verdicts], indent=2))
        return
    word = "removed" if arguments.yes else "would go"
    rows = [
        (
            word if verdict.removed else "kept",
            verdict.kind,
            verdict.version or "-",
            verdict.repo,
            verdict.why + (f"; first: {verdict.first}" if verdict.first and arguments.example else ""),
        )
        for verdict in verdicts
    ]
    heads = ("what", "kind", "version", "repository", "why")
    widths = [max(len(row[column]) for row in (heads, *rows)) for column in range(4)]
    for row in (heads, *rows):
        print("  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[4]]))
    removed = sum(verdict.removed for verdict in verdicts)
    if arguments.example:
        print(
            f"\n{removed} of {len(verdicts)} repositories with the example {word}; delete it in LangSmith, too"
        )
    elif not arguments.yes:
        print(f"\n{removed} of {len(verdicts)} would go; nothing was changed: --yes removes them")
