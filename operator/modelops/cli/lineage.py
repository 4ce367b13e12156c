"""`modelops lineage`: shows what a version was made from, or which data and models contain an example."""

from __future__ import annotations

import argparse
import json
import re
import sys
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from modelops.cli import hub_access, output, session

if TYPE_CHECKING:
    from modelops.adapters.huggingface.repository_catalog import HuggingFaceRepositoryCatalog
    from modelops.client import AsyncClient
    from modelops.domain.example_lineage import DatasetWithExample, ExampleLineage, ModelWithExample
    from modelops.domain.hub_repositories import RepositoryCatalog
    from modelops.domain.pruning import Splits
    from modelops.domain.record import Record, RegistryEntry

_VERSION = re.compile(r"v[0-9]+\.[0-9]+\.[0-9]+(-rc\.[0-9]+)?")


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "lineage",
        help="show what a version was made from, or what contains an example",
        description="With a version: show what it was made from. With --example: show every prepared dataset that "
        "contains a LangSmith example, and every model that was trained on one of these. Exit status 0: found; 1: not "
        "found; 2: unknown, because the Hub or the cluster did not answer or a dataset does not list its examples. "
        "HF_TOKEN must be able to read the organisation's private repositories.",
    )
    subject = parser.add_mutually_exclusive_group(required=True)
    subject.add_argument("version", nargs="?", type=parse_version, help="a model version, such as v1.2.0")
    subject.add_argument("--example", type=parse_example_id, help="id of a LangSmith example")
    session.add_named(
        parser,
        "--agent-model",
        "agent_models",
        help="name of an AgentModel (default: all of the namespace)",
    )
    session.add_arguments(
        parser, namespace="namespace of the records; with --example and without it only the Hub is searched"
    )
    hub_access.add_arguments(parser)
    parser.add_argument(
        "-o", "--output", choices=["text", "json"], default="text", help="default: %(default)s"
    )
    parser.set_defaults(run=run)


def parse_version(text: str) -> str:
    """Return the version. Raises ArgumentTypeError if it is none."""
    if _VERSION.fullmatch(text) is None:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a version: write v<major>.<minor>.<patch>, such as v1.2.0"
        )
    return text


def parse_example_id(text: str) -> str:
    """Return the id in LangSmith's spelling. Raises ArgumentTypeError if it is no UUID."""
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not the id of a LangSmith example, which is a UUID: copy it from the example's page"
        ) from None


def run(arguments: argparse.Namespace) -> int:
    """Exit status 0: found; 1: not found; 2: unknown, or wrong usage."""
    from modelops.cli.hub_errors import run_with_hub

    if arguments.example and arguments.agent_model and arguments.namespace is None:
        print("modelops lineage: name the namespace of the record with -n", file=sys.stderr)
        return 2
    return run_with_hub("lineage", arguments, show_version if arguments.version else show_example)


async def show_version(client: AsyncClient, arguments: argparse.Namespace) -> int:
    """Print what a version was made from."""
    records = await read_records(client, arguments)
    version, found = find_version(records, arguments.version)
    if found and version != arguments.version:
        print(f"{arguments.version} was promoted and is {version} since then", file=sys.stderr)
    if arguments.output == "json":
        entries = [{"agent": agent, **entry.model_dump(mode="json")} for agent, entry in found]
        print(json.dumps(entries, indent=2))
    for agent, entry in found if arguments.output == "text" else []:
        output.print_fields(dict(describe_version(agent, entry)))
    if not found:
        from modelops.domain.nearest import did_you_mean

        known = dict.fromkeys(v for record in records for v in versions_of(record))
        print(
            f"modelops lineage: no agent in namespace {await client.namespace()} has a version {arguments.version}: "
            f"{did_you_mean(arguments.version, known, none='none has any')}",
            file=sys.stderr,
        )
    return 0 if found else 1


def find_version(records: Sequence[Record], version: str) -> tuple[str, list[tuple[str, RegistryEntry]]]:
    """The agents that have this version, with its entry, and its present name.

    A release candidate that was promoted is found as the release that it became.
    """
    from modelops.domain.versions import release_version

    for name in dict.fromkeys((version, release_version(version))):
        found = [
            (record.agent, entry) for record in records if (entry := version_entry(record, name)) is not None
        ]
        if found:
            return name, found
    return version, []


def version_entry(record: Record, version: str) -> RegistryEntry | None:
    """The version's entry in the history; the baseline, which was not trained, has one without lineage."""
    from modelops.domain.record import RegistryEntry

    served = record.served.get(version)
    if (entry := record.entry(version)) is not None or served is None:
        return entry
    return RegistryEntry(
        version=version,
        model=served.model,
        base_model="",
        training_method="",
        training_dataset="",
        trained_at="",
        hub_repo="",
        deployment_status="deployed" if version == record.stable.version else "superseded",
    )


def versions_of(record: Record) -> list[str]:
    """All versions of an agent that `modelops lineage` can show."""
    return [
        *record.served,
        *(entry.version for entry in record.history if entry.version not in record.served),
    ]


def describe_version(agent: str, entry: RegistryEntry) -> list[tuple[str, str]]:
    """Return what a version was made from, as pairs of a name and a value; an empty value is unknown."""
    lineage = entry.lineage
    data = lineage.get("dataset") or {}
    recipe = dict(lineage.get("recipe") or {})
    digest = recipe.pop("digest", "")
    scores = ", ".join(f"{name} {value}" for name, value in entry.eval_scores.items())
    return [
        ("version", f"{entry.version} of {agent}"),
        ("status", entry.deployment_status),
        ("model", entry.model if not entry.hub_repo else ""),
        ("repository", at_revision(entry.hub_repo, lineage.get("revision"))),
        ("base model", at_revision(entry.base_model, lineage.get("base_revision"))),
        ("method", entry.training_method),
        ("trained at", entry.trained_at),
        ("data from", at_revision(entry.training_dataset, data.get("as_of"))),
        ("dataset", at_revision(data.get("repo"), data.get("revision"))),
        ("data digest", data.get("digest") or ""),
        ("prompt digest", lineage.get("prompt") or ""),
        ("recipe", " ".join(f"{key}={recipe_value(value)}" for key, value in recipe.items())),
        ("recipe digest", digest),
        ("job", lineage.get("job") or ""),
        ("cost", output.money(float(lineage["cost_usd"])) if lineage.get("cost_usd") else ""),
        ("evaluation", f"{scores} on {entry.eval_dataset}" if scores else ""),
        (
            "rebuilt",
            "from the Hub or the cluster; missing values were lost" if lineage.get("rebuilt") else "",
        ),
        ("pruned", lineage.get("pruned_at") or ""),
    ]


def recipe_value(value: Any) -> str:
    """A value of a recipe; a list as its elements with commas."""
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def at_revision(source: Any, revision: Any) -> str:
    """Return `source @ revision`, or only the source if the revision is unknown."""
    return f"{source} @ {revision}" if source and revision else str(source or "")


async def show_example(client: AsyncClient, arguments: argparse.Namespace) -> int:
    """Print the datasets and models that contain an example."""
    from modelops.domain.example_lineage import trace_example

    records = await read_records(client, arguments) if arguments.namespace is not None else ()
    org = hub_access.resolve_organisation(arguments, records)
    agent = records[0].agent if arguments.agent_model else ""

    async def search(hub: HuggingFaceRepositoryCatalog) -> tuple[RepositoryCatalog, dict[str, Splits]]:
        catalog = await hub.read(org, agent=agent)
        return catalog, await splits_with_example(hub, catalog, arguments.example)

    catalog, splits = await hub_access.query_hub(search)
    found = trace_example(catalog, splits, records)
    if arguments.output == "json":
        print(json.dumps({"example": arguments.example, "found": found.found, **asdict(found)}, indent=2))
    else:
        print("\n".join(describe_example(found, arguments.example)))
    if found.found:
        return 0
    return 2 if found.undetermined else 1


async def splits_with_example(
    hub: HuggingFaceRepositoryCatalog, catalog: RepositoryCatalog, example: str
) -> dict[str, Splits]:
    """Return the splits that contain the example, by repository and commit of prepared data."""

    import asyncio

    async def search(repo: str, revisions: Iterable[str]) -> tuple[str, Splits]:
        commits = list(revisions)
        splits = await asyncio.gather(*(hub.splits_with(repo, revision, example) for revision in commits))
        return repo, dict(zip(commits, splits, strict=True))

    return dict(await asyncio.gather(*(search(one.repo, one.revisions) for one in catalog.datasets)))


def describe_example(found: ExampleLineage, example: str) -> Iterable[str]:
    """Yield the lines of the text output."""
    yield f"example {example}: " + ("" if found.found or found.undetermined else "in no prepared dataset")
    for data in found.datasets:
        yield f"dataset  {data.repo} @ {data.revision[:12]}  {describe_dataset(data)}"
    for model in found.models:
        name = f"{model.version} of {model.agent}"
        yield f"model    {name}  {model.repo} @ {model.revision[:12]}  {describe_model(model)}"
    if found.undetermined:
        yield (
            f"{len(found.undetermined)} of these {'does' if len(found.undetermined) == 1 else 'do'} not say which "
            "examples they contain: prepared by an older version, or the data were deleted"
        )


def describe_dataset(data: DatasetWithExample) -> str:
    if data.splits is None:
        return "does not say"
    rows = "" if data.rows is None else ", 1 row" if data.rows == 1 else f", {data.rows} rows"
    return f"{' and '.join(data.splits)}{rows}"


def describe_model(model: ModelWithExample) -> str:
    use = "does not say" if model.splits is None else describe_use(model.splits)
    status = f", {model.status}" if model.status else ", not in a record" if model.current is None else ""
    return f"{use}{status}{', current stable' if model.current else ''}"


def describe_use(splits: tuple[str, ...]) -> str:
    return "trained on it" if "train" in splits else "held out from it: only its loss was measured on it"


async def read_records(client: AsyncClient, arguments: argparse.Namespace) -> tuple[Record, ...]:
    """Read the records of the namespace, or of the one AgentModel. Raises CommandError."""
    from modelops.cli.cluster_agents import ClusterAgents
    from modelops.cli.errors import CommandError

    namespace = await client.namespace()
    names = [arguments.agent_model] if arguments.agent_model else []
    snapshots = await ClusterAgents(client).list_named(namespace, names)
    found = tuple(one.record for one in snapshots if one.record is not None)
    if names and not found:
        raise CommandError(
            f"AgentModel {names[0]} has no record: make one with `modelops registry rebuild {names[0]} -n {namespace}`"
        )
    return found
