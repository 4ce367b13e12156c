"""`modelops lineage`: what a version was made from, and where an example went."""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
import uuid
from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from modelops.cli import hub_access, kube_access
from modelops.domain.record import Record, RegistryEntry

if TYPE_CHECKING:
    from modelops.adapters.huggingface.repository_catalog import HuggingFaceRepositoryCatalog
    from modelops.domain.holders import HeldIn, LearntBy, Traced
    from modelops.domain.hub_repositories import Shelf
    from modelops.domain.pruning import Splits

_VERSION = re.compile(r"v[0-9]+\.[0-9]+\.[0-9]+(-rc\.[0-9]+)?")


def register(subparsers: Any) -> None:
    """Adds the subcommand."""
    parser = subparsers.add_parser(
        "lineage",
        help="show what a version was made from, or where an example went",
        description="With --example: every prepared dataset and every model that holds a LangSmith example. "
        "With a version: what it was made from. Exit status 0: found; 1: not found; 2: nobody can tell. HF_TOKEN "
        "must read the organisation's private repositories.",
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("version", nargs="?", type=a_version, help="such as v1.2.0")
    what.add_argument("--example", type=an_example, help="id of a LangSmith example")
    parser.add_argument("--agent-model", help="only this AgentModel (default: all of the namespace)")
    parser.add_argument(
        "-n", "--namespace", help="namespace of the records; without it only the Hub is asked"
    )
    parser.add_argument("--kubeconfig", help="kubeconfig file (default: as kubectl chooses)")
    hub_access.add_arguments(parser)
    parser.add_argument(
        "-o", "--output", choices=["text", "json"], default="text", help="default: %(default)s"
    )
    parser.set_defaults(run=run)


def a_version(text: str) -> str:
    """Raises ArgumentTypeError."""
    if _VERSION.fullmatch(text) is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no version: write v<major>.<minor>.<patch>")
    return text


def an_example(text: str) -> str:
    """The id as LangSmith writes it. Raises ArgumentTypeError."""
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no id of a LangSmith example, which is a UUID: copy it from the example's page"
        ) from None


def run(arguments: argparse.Namespace) -> int:
    """Exit status 0: found; 1: not found; 2: nobody can tell, or wrong usage."""
    from modelops.cli.failures import told

    if arguments.namespace is None and (arguments.version or arguments.agent_model):
        print("modelops lineage: name the namespace of the record with -n", file=sys.stderr)
        return 2
    if arguments.namespace is not None and not kube_access.connected(arguments, command="lineage"):
        return 2
    return told("lineage", lambda: of_version(arguments) if arguments.version else of_example(arguments))


# Of a version ----------------------------------------------------------------------------------------------


def of_version(arguments: argparse.Namespace) -> int:
    found = [
        (record.agent, entry)
        for record in records(arguments)
        if (entry := record.entry(arguments.version)) is not None
    ]
    if arguments.output == "json":
        print(
            json.dumps(
                [{"agent": agent, **entry.model_dump(mode="json")} for agent, entry in found], indent=2
            )
        )
    for agent, entry in found if arguments.output == "text" else []:
        print("\n".join(f"{name:<14}{value}" for name, value in described(agent, entry) if value))
    if not found:
        print(f"no agent has a version {arguments.version} in {arguments.namespace}", file=sys.stderr)
    return 0 if found else 1


def described(agent: str, entry: RegistryEntry) -> list[tuple[str, str]]:
    """What a version was made from, as lines of a name and a value; an empty value is not known."""
    told = entry.lineage
    data = told.get("dataset") or {}
    recipe = dict(told.get("recipe") or {})
    digest = recipe.pop("digest", "")
    scores = ", ".join(f"{name} {value}" for name, value in entry.eval_scores.items())
    return [
        ("version", f"{entry.version} of {agent}"),
        ("status", entry.deployment_status),
        ("repository", at(entry.hub_repo, told.get("revision"))),
        ("base model", at(entry.base_model, told.get("base_revision"))),
        ("method", entry.training_method),
        ("trained at", entry.trained_at),
        ("data from", at(entry.training_dataset, data.get("as_of"))),
        ("dataset", at(data.get("repo"), data.get("revision"))),
        ("data digest", data.get("digest") or ""),
        ("prompt digest", told.get("prompt") or ""),
        ("recipe", " ".join(f"{key}={value}" for key, value in recipe.items())),
        ("recipe digest", digest),
        ("job", told.get("job") or ""),
        ("cost", f"${told['cost_usd']}" if told.get("cost_usd") else ""),
        ("evaluation", f"{scores} on {entry.eval_dataset}" if scores else ""),
        ("rebuilt", "from the Hub or the cluster: what is missing was lost" if told.get("rebuilt") else ""),
        ("pruned", told.get("pruned_at") or ""),
    ]


def at(what: Any, moment: Any) -> str:
    return f"{what} @ {moment}" if what and moment else str(what or "")


# Of an example ---------------------------------------------------------------------------------------------


def of_example(arguments: argparse.Namespace) -> int:
    from modelops.domain.holders import traced

    known = records(arguments) if arguments.namespace is not None else ()
    org = hub_access.organisation(arguments, known)
    agent = known[0].agent if arguments.agent_model else ""

    async def look(hub: HuggingFaceRepositoryCatalog) -> tuple[Shelf, dict[str, Splits]]:
        shelf = await hub.read(org, agent=agent)
        return shelf, await holding(hub, shelf, arguments.example)

    shelf, splits = hub_access.asked(look)
    found = traced(shelf, splits, known)
    if arguments.output == "json":
        print(json.dumps({"example": arguments.example, "found": found.found, **asdict(found)}, indent=2))
    else:
        print("\n".join(lines(found, arguments.example)))
    if found.found:
        return 0
    return 2 if found.unsaid else 1


async def holding(hub: HuggingFaceRepositoryCatalog, shelf: Shelf, example: str) -> dict[str, Splits]:
    """Splits with the example, by repository and commit of prepared data."""

    async def of(repo: str, revisions: Iterable[str]) -> tuple[str, Splits]:
        asked = list(revisions)
        splits = await asyncio.gather(*(hub.splits_with(repo, revision, example) for revision in asked))
        return repo, dict(zip(asked, splits, strict=True))

    return dict(await asyncio.gather(*(of(one.repo, one.revisions) for one in shelf.datasets)))


def lines(found: Traced, example: str) -> Iterable[str]:
    """For people."""
    yield f"example {example}: " + ("" if found.found or found.unsaid else "in no prepared dataset")
    for data in found.datasets:
        yield f"dataset  {data.repo} @ {data.revision[:12]}  {of_data(data)}"
    for model in found.models:
        yield f"model    {model.version} of {model.agent}  {model.repo} @ {model.revision[:12]}  {of_model(model)}"
    if found.unsaid:
        yield (
            f"{len(found.unsaid)} of these cannot say which examples they hold: they were prepared by an older "
            "version, or their data are gone"
        )


def of_data(data: HeldIn) -> str:
    if data.splits is None:
        return "does not say"
    rows = f", {data.rows} rows" if data.rows is not None else ""
    return f"{' and '.join(data.splits)}{rows}"


def of_model(model: LearntBy) -> str:
    learnt = "does not say" if model.splits is None else learnt_from(model.splits)
    status = f", {model.status}" if model.status else ", not in a record" if model.current is None else ""
    return f"{learnt}{status}{', current stable' if model.current else ''}"


def learnt_from(splits: tuple[str, ...]) -> str:
    return "trained on it" if "train" in splits else "held out from it: only its loss was measured on it"


def records(arguments: argparse.Namespace) -> tuple[Record, ...]:
    """Of the namespace, or of the one AgentModel. Raises CannotTell."""
    from modelops.cli.agents_view import Agents, CannotTell

    names = [arguments.agent_model] if arguments.agent_model else []
    views = Agents().named(arguments.namespace, names)
    found = tuple(view.record for view in views if view.record is not None)
    if names and not found:
        raise CannotTell(f"AgentModel {names[0]} has no record: `modelops registry rebuild` makes one")
    return found
