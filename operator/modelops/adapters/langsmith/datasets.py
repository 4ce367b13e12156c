"""Resolves a reference to a dataset and one of its versions.

    client = LangSmithConnection(api_url=..., api_key=...).client()
    found = resolve_dataset(client, "ls://stdlib-docstrings")
    examples = list(client.list_examples(dataset_id=found.id, as_of=found.version, splits=["train"]))

All functions block: call them from a program or in a thread.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from modelops.adapters.langsmith.errors import (
    DatasetNotFound,
    DatasetVersionNotFound,
    LangSmithError,
    NotFound,
    translated_errors,
)
from modelops.domain.nearest import nearest

if TYPE_CHECKING:
    from langsmith import Client
    from langsmith.schemas import Dataset

SCHEME = "ls://"
LATEST = "latest"
_NEWEST = 100
"""Datasets among which a wrong name is looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedDataset:
    """One version of one dataset.

    `version` is the time of the version (ISO 8601 with an offset). Pass it to `list_examples` as `as_of`, so that
    examples that were added later are left out. `example_count` is the count of the newest version, because
    LangSmith keeps no count per version; 0 means that the dataset is empty. `licence` is the dataset's metadata
    key `licence` or `license`, empty where it has neither.
    """

    id: str
    name: str
    version: str
    example_count: int
    url: str
    licence: str = ""


def resolve_dataset(client: Client, ref: str, *, as_of: str = LATEST) -> ResolvedDataset:
    """The dataset and version that `ref` (`ls://<id or exact name>`, or the bare form) and `as_of` name.

    `as_of` is a tag (`latest`, `prod`) or an ISO 8601 time, which means the last version at or before that time.
    A dataset whose name looks like a UUID is found by its name if no id matches.

    Raises DatasetNotFound, DatasetVersionNotFound, LangSmithUnauthorized, LangSmithUnavailable,
    LangSmithRefused.
    """
    wanted = ref.removeprefix(SCHEME).strip()
    if not wanted:
        raise DatasetNotFound(
            f"the reference {ref!r} names no dataset. Write ls://<dataset id or exact name>."
        )
    dataset = _find_by_id(client, wanted) or _find_by_name(client, wanted)
    if dataset is None:
        raise DatasetNotFound(
            f"LangSmith at {client.api_url} has no dataset with the id or exact name {wanted!r}"
            f"{_meant(client, wanted)}: check the name, which is case-sensitive, and that the key belongs to the "
            "dataset's workspace."
        )
    return ResolvedDataset(
        id=str(dataset.id),
        name=dataset.name,
        version=_resolve_version(client, dataset, as_of),
        example_count=dataset.example_count or 0,
        url=dataset.url or "",
        licence=_licence(dataset),
    )


def _meant(client: Client, wanted: str) -> str:
    """The names that are like the one that was asked for, among the newest datasets that there are."""
    try:
        with translated_errors(doing="listing datasets", url=client.api_url):
            near = nearest(wanted, [dataset.name for dataset in client.list_datasets(limit=_NEWEST)])
    except LangSmithError:  # It is only a hint.
        return ""
    return f" (did you mean {' or '.join(near)}?)" if near else ""


def _licence(dataset: Dataset) -> str:
    metadata = dataset.metadata or {}
    return str(metadata.get("licence") or metadata.get("license") or "")


def _find_by_id(client: Client, wanted: str) -> Dataset | None:
    try:
        dataset_id = UUID(wanted)
    except ValueError:
        return None
    try:
        with translated_errors(doing=f"reading dataset {wanted!r}", url=client.api_url):
            found: Dataset = client.read_dataset(dataset_id=dataset_id)
            return found
    except NotFound:
        return None


def _find_by_name(client: Client, wanted: str) -> Dataset | None:
    with translated_errors(doing=f"looking for dataset {wanted!r}", url=client.api_url):
        found = list(client.list_datasets(dataset_name=wanted, limit=1))
    return found[0] if found and found[0].name == wanted else None


def _resolve_version(client: Client, dataset: Dataset, as_of: str) -> str:
    moment = _parse_time(as_of)
    try:
        with translated_errors(
            doing=f"reading version {as_of!r} of dataset {dataset.name!r}", url=client.api_url
        ):
            found = (
                client.read_dataset_version(dataset_id=dataset.id, as_of=moment)
                if moment
                else client.read_dataset_version(dataset_id=dataset.id, tag=as_of)
            )
    except NotFound:
        if as_of == LATEST and not dataset.example_count:
            return (dataset.modified_at or dataset.created_at).isoformat()
        raise DatasetVersionNotFound(
            f"Dataset {dataset.name!r} has no version {as_of!r}. Use an existing tag (such as 'latest'), or an "
            "ISO 8601 time that is not before the first example."
        ) from None
    return found.as_of.isoformat()


def _parse_time(as_of: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(as_of)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.astimezone()
