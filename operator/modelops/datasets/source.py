"""Reading LangSmith: one version of the dataset, once, into a journal that a restart goes on from.

The journal is `<name>.jsonl`, one example a line in the order of their ids, and `<name>.json`, which is
written last. Fifty thousand examples are never in memory at once.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelops.adapters.langsmith.connection import LangSmithConnection
from modelops.adapters.langsmith.datasets import LATEST, resolve_dataset
from modelops.adapters.langsmith.errors import LangSmithError, translated_errors
from modelops.datasets.spool import Spool
from modelops.workdir import ProgramFailure, WorkDir

if TYPE_CHECKING:
    from langsmith import Client


@dataclass(frozen=True, kw_only=True, slots=True)
class Example:
    """One example as LangSmith has it; the shapes are not yet checked.

    `source_run` is the id of the run that it was made from, empty where there is none.
    """

    id: str
    inputs: Any
    outputs: Any
    metadata: dict[str, Any]
    source_run: str = ""


@dataclass(frozen=True, kw_only=True)
class Version:
    """One version of a dataset. `as_of` is its own time; `licence` what the dataset's metadata say of it."""

    dataset_id: str
    name: str
    as_of: str
    count: int = 0
    licence: str = ""


@dataclass(frozen=True, kw_only=True)
class Snapshot(Version):
    """All examples of one version of a dataset, ordered by id."""

    examples: tuple[Example, ...]


@dataclass(frozen=True, kw_only=True)
class Journal:
    """One version of a dataset on disk; iterated over, its examples ordered by id."""

    version: Version
    path: Path

    def __iter__(self) -> Iterator[Example]:
        with self.path.open("rb") as lines:
            for line in lines:
                yield Example(**json.loads(line))


def connect() -> Client:
    """A client from `LANGSMITH_ENDPOINT` and `LANGSMITH_API_KEY`; ProgramFailure where one is missing."""
    for variable in ("LANGSMITH_ENDPOINT", "LANGSMITH_API_KEY"):
        if not os.environ.get(variable):
            raise ProgramFailure(
                "LangSmithUnauthorized",
                f"{variable} is not set for this program; name a Secret in spec.secretRefs.langsmith",
            )
    return LangSmithConnection(
        api_url=os.environ["LANGSMITH_ENDPOINT"],
        api_key=os.environ["LANGSMITH_API_KEY"],
        web_url=os.environ.get("LANGSMITH_WEB_URL") or None,
        workspace_id=os.environ.get("LANGSMITH_WORKSPACE_ID") or None,
    ).client()


def journal(
    work: WorkDir,
    name: str,
    ref: str,
    *,
    as_of: str | None,
    splits: Sequence[str] = (),
    about: str = "",
) -> Journal:
    """The dataset's examples as this program has read them before, or from LangSmith.

    Raises ProgramFailure with LangSmith's reason; `about`: which dataset of the input it speaks of, if not the first.
    """
    path = work.folder / f"{name}.jsonl"
    known = work.read(f"{name}.json")
    if known is None:
        with Spool(work.folder / f".{name}.part") as unordered:
            version, places = _read(unordered, ref, as_of=as_of, splits=splits, about=about)
            with Spool(path) as ordered:
                for _, place in sorted(places):
                    ordered.add(unordered.line(place))
            unordered.path.unlink()
        known = asdict(version)
        work.write(f"{name}.json", known)
    return Journal(version=Version(**known), path=path)


def snapshot(
    work: WorkDir, name: str, ref: str, *, as_of: str | None, splits: Sequence[str] = ()
) -> Snapshot:
    """`journal`, with all examples in memory: for an evaluation, which asks few."""
    found = journal(work, name, ref, as_of=as_of, splits=splits)
    return Snapshot(**asdict(found.version), examples=tuple(found))


def _read(
    into: Spool, ref: str, *, as_of: str | None, splits: Sequence[str], about: str = ""
) -> tuple[Version, list[tuple[str, int]]]:
    client = connect()
    try:
        found = resolve_dataset(client, ref, as_of=as_of or LATEST)
        with translated_errors(doing=f"reading examples of dataset {found.name!r}", url=client.api_url):
            listed = client.list_examples(
                dataset_id=found.id, as_of=found.version, splits=list(splits) or None
            )
            places = [(str(e.id), into.add(_line(e))) for e in listed]
    except LangSmithError as error:
        raise ProgramFailure(error.reason, str(error), transient=error.transient, about=about) from error
    finally:
        client.close(timeout=0)
    version = Version(
        dataset_id=found.id,
        name=found.name,
        as_of=found.version,
        count=len(places),
        licence=found.licence,
    )
    return version, places


def _line(example: Any) -> bytes:
    document = {
        "id": str(example.id),
        "inputs": example.inputs,
        "outputs": example.outputs,
        "metadata": example.metadata or {},
        "source_run": str(example.source_run_id or ""),
    }
    return json.dumps(document).encode() + b"\n"
