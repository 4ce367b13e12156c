"""The formats in which examples are received, stored and returned."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid4

from aiohttp import web
from pydantic import BaseModel, Field

from modelops.sandbox.langsmith.access import as_uuid, invalid
from modelops.sandbox.langsmith.database import load_json
from modelops.sandbox.langsmith.multipart import parse_parts
from modelops.sandbox.langsmith.versions import ExampleRow, splits_of, with_splits


class ExampleCreate(BaseModel):
    """Body of POST /examples, and an item of POST /examples/bulk."""

    dataset_id: UUID
    inputs: dict[str, object] | None = None
    outputs: dict[str, object] | None = None
    metadata: dict[str, object] | None = None
    split: str | list[str] | None = None
    id: UUID | None = None
    source_run_id: UUID | None = None


class ExampleUpdate(BaseModel):
    """Body of PATCH /examples/{id}; null leaves a field unchanged."""

    id: UUID | None = None
    inputs: dict[str, object] | None = None
    outputs: dict[str, object] | None = None
    metadata: dict[str, object] | None = None
    split: str | list[str] | None = None


class SplitUpdate(BaseModel):
    """Body of PUT /datasets/{id}/splits."""

    split_name: str = Field(min_length=1)
    examples: list[UUID]
    remove: bool = False


async def parse_upload(request: web.Request) -> dict[str, dict[str, Any]]:
    """Parse an upload into fields by example. Parts: `<uuid>` (metadata, split), `<uuid>.inputs`, `<uuid>.outputs`."""
    found: dict[str, dict[str, Any]] = {}
    for part in await parse_parts(request):
        name, _, field = part.name.partition(".")
        example = found.setdefault(as_uuid(name, "body"), {})
        if field == "":
            example |= part.json_object()
        elif field in {"inputs", "outputs"}:
            example[field] = part.json_object()
        elif not field.startswith("attachment"):
            raise invalid(f"body.{part.name}", "Unknown part")
    if not found:
        raise invalid("body", "No examples in the upload")
    return found


def new_row(body: ExampleCreate) -> ExampleRow:
    """Return a new example. Refuses one without inputs with a 422."""
    if body.inputs is None:
        raise invalid("body.inputs", "Field required")
    return ExampleRow(
        id=str(body.id or uuid4()),
        inputs=body.inputs,
        outputs=body.outputs,
        metadata=with_splits(body.metadata, body.split),
        source_run_id=str(body.source_run_id) if body.source_run_id else None,
    )


def changed_row(row: ExampleRow, fields: Mapping[str, Any]) -> ExampleRow:
    """Return the example with the given fields changed. Its splits stay unless the fields contain them."""
    metadata = dict(fields["metadata"]) if fields.get("metadata") is not None else dict(row.metadata)
    metadata.setdefault("dataset_split", splits_of(row.metadata))
    return ExampleRow(
        id=row.id,
        inputs=fields.get("inputs", row.inputs),
        outputs=fields.get("outputs", row.outputs),
        metadata=with_splits(metadata, fields.get("split")),
        source_run_id=row.source_run_id,
    )


def example_json(row: sqlite3.Row) -> dict[str, object]:
    """Return one version of an example as the API shows it."""
    return {
        "id": row["id"],
        "dataset_id": row["dataset_id"],
        "name": f"#{row['id'][:4]} @ {row['dataset_id'][:8]}",
        "inputs": load_json(row["inputs"]),
        "outputs": load_json(row["outputs"]),
        "metadata": load_json(row["metadata"]),
        "created_at": row["created_at"],
        "modified_at": row["valid_from"],
        "source_run_id": row["source_run_id"],
        "attachment_urls": None,
    }
