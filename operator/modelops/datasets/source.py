"""Reading LangSmith: one version of the dataset, once, into a journal that a restart goes on from."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from modelops.adapters.langsmith.connection import LangSmithConnection
from modelops.adapters.langsmith.datasets import LATEST, resolve_dataset
from modelops.adapters.langsmith.errors import LangSmithError, reported
from modelops.datasets.groups import digest
from modelops.workdir import ProgramFailure, WorkDir

if TYPE_CHECKING:
    from langsmith import Client


@dataclass(frozen=True, kw_only=True)
class Example:
    """One example as LangSmith has it; the shapes are not yet checked."""

    id: str
    inputs: Any
    outputs: Any
    metadata: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """All examples of one version of a dataset, ordered by id. `as_of` is that version's own time."""

    dataset_id: str
    name: str
    as_of: str
    examples: tuple[Example, ...]


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


def snapshot(
    work: WorkDir, name: str, ref: str, *, as_of: str | None, splits: Sequence[str] = ()
) -> Snapshot:
    """The dataset's examples from the journal `<name>.json`, or from LangSmith and then into it.

    Raises ProgramFailure with LangSmith's reason.
    """
    known = work.read(f"{name}.json")
    if known is None:
        known = asdict(_read(ref, as_of=as_of, splits=splits))
        work.write(f"{name}.json", known)
    return Snapshot(
        dataset_id=known["dataset_id"],
        name=known["name"],
        as_of=known["as_of"],
        examples=tuple(Example(**example) for example in known["examples"]),
    )


def evaluation_inputs(work: WorkDir, ref: str) -> tuple[str, frozenset[str]]:
    """The evaluation dataset's name and the digests of its examples' inputs; no more of it is kept."""
    known = work.read("evaluation.json")
    if known is None:
        found = _read(ref, as_of=None, splits=(), about="evaluation_dataset")
        digests = sorted({digest(e.inputs) for e in found.examples if isinstance(e.inputs, dict)})
        known = {"name": found.name, "digests": digests}
        work.write("evaluation.json", known)
    return known["name"], frozenset(known["digests"])


def _read(ref: str, *, as_of: str | None, splits: Sequence[str], about: str = "") -> Snapshot:
    client = connect()
    try:
        found = resolve_dataset(client, ref, as_of=as_of or LATEST)
        with reported(doing=f"reading examples of dataset {found.name!r}", url=client.api_url):
            listed = client.list_examples(
                dataset_id=found.id, as_of=found.version, splits=list(splits) or None
            )
            examples = [
                Example(id=str(e.id), inputs=e.inputs, outputs=e.outputs, metadata=e.metadata or {})
                for e in listed
            ]
    except LangSmithError as error:
        raise ProgramFailure(error.reason, str(error), transient=error.transient, about=about) from error
    finally:
        client.close(timeout=0)
    return Snapshot(
        dataset_id=found.id,
        name=found.name,
        as_of=found.version,
        examples=tuple(sorted(examples, key=lambda example: example.id)),
    )
