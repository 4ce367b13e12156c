"""Datasets, their versions, tags and splits."""

from __future__ import annotations

import sqlite3
from datetime import datetime
from typing import Literal
from uuid import UUID, uuid4

from aiohttp import web
from pydantic import AwareDatetime, BaseModel, Field

from modelops.sandbox.langsmith.access import (
    RefusedError,
    as_uuid,
    body_as,
    metadata_filter,
    paging,
    path_uuid,
)
from modelops.sandbox.langsmith.database import Database, contains, dump_json, load_json, timestamp
from modelops.sandbox.langsmith.versions import Versions, splits_of


class DatasetCreate(BaseModel):
    """Body of POST /datasets."""

    name: str = Field(min_length=1)
    id: UUID = Field(default_factory=uuid4)
    description: str | None = None
    data_type: Literal["kv", "llm", "chat"] = "kv"
    metadata: dict[str, object] | None = None
    extra: dict[str, object] | None = None
    inputs_schema_definition: dict[str, object] | None = None
    outputs_schema_definition: dict[str, object] | None = None
    transformations: list[dict[str, object]] | None = None


class TagUpdate(BaseModel):
    """Body of PUT /datasets/{id}/tags."""

    as_of: AwareDatetime | datetime
    tag: str = Field(min_length=1)


class ComparativeCreate(BaseModel):
    """Body of POST /datasets/comparative."""

    id: UUID = Field(default_factory=uuid4)
    name: str
    experiment_ids: list[UUID] = Field(min_length=1)
    reference_dataset_id: UUID
    description: str | None = None
    extra: dict[str, object] | None = None


class Datasets:
    """The routes under /datasets, except those of examples."""

    def __init__(self, database: Database, versions: Versions) -> None:
        self._db = database
        self._versions = versions

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.get("/datasets", self.search),
            web.post("/datasets", self.create),
            web.post("/datasets/comparative", self.compare),
            web.get("/datasets/{id}", self.get),
            web.delete("/datasets/{id}", self.delete),
            web.get("/datasets/{id}/version", self.version),
            web.get("/datasets/{id}/versions", self.list_versions),
            web.get("/datasets/{id}/splits", self.splits),
            web.put("/datasets/{id}/tags", self.tag),
        ]

    async def search(self, request: web.Request) -> web.Response:
        limit, offset = paging(request)
        query = request.query
        wanted, ids = metadata_filter(request), [as_uuid(one, "query.id") for one in query.getall("id", [])]
        found = [
            row
            for row in self._db.rows("SELECT * FROM datasets ORDER BY created_at DESC, id")
            if query.get("name") in (None, row["name"])
            and query.get("name_contains", "").lower() in row["name"].lower()
            and (not ids or row["id"] in ids)
            and contains(load_json(row["metadata"]), wanted)
        ]
        return web.json_response([self._dataset_json(row) for row in found[offset : offset + limit]])

    async def create(self, request: web.Request) -> web.Response:
        body = await body_as(request, DatasetCreate)
        taken = "SELECT 1 FROM datasets WHERE name = ? OR id = ?"
        if self._db.row(taken, body.name, str(body.id)):
            raise RefusedError(409, f"Dataset with name {body.name} already exists")
        now = self._db.now()
        metadata = body.metadata or (body.extra or {}).get("metadata") or {}
        schemas = {
            "inputs_schema_definition": body.inputs_schema_definition,
            "outputs_schema_definition": body.outputs_schema_definition,
            "transformations": body.transformations,
        }
        self._db.write(
            "INSERT INTO datasets VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            *(str(body.id), body.name, now, now, body.description, body.data_type),
            *(dump_json(metadata), dump_json(schemas)),
        )
        return web.json_response(self._dataset_json(self._versions.dataset(str(body.id))))

    async def get(self, request: web.Request) -> web.Response:
        return web.json_response(self._dataset_json(self._versions.dataset(path_uuid(request, "id"))))

    async def delete(self, request: web.Request) -> web.Response:
        dataset_id = str(self._versions.dataset(path_uuid(request, "id"))["id"])
        with self._db.transaction():
            for table in ("examples", "versions", "tags"):
                self._db.write(f"DELETE FROM {table} WHERE dataset_id = ?", dataset_id)
            self._db.write("DELETE FROM datasets WHERE id = ?", dataset_id)
        return web.json_response({"message": "Dataset deleted"})

    async def version(self, request: web.Request) -> web.Response:
        dataset_id = str(self._versions.dataset(path_uuid(request, "id"))["id"])
        tag, as_of = request.query.get("tag"), request.query.get("as_of")
        if (tag is None) == (as_of is None):
            raise RefusedError(422, "Exactly one of tag and as_of must be given")
        found = self._versions.resolve(dataset_id, tag or as_of or "")
        if found is None:
            raise RefusedError(404, "Dataset version not found")
        return web.json_response(self._version_json(dataset_id, found))

    async def list_versions(self, request: web.Request) -> web.Response:
        dataset_id = str(self._versions.dataset(path_uuid(request, "id"))["id"])
        limit, offset = paging(request)
        shown = [self._version_json(dataset_id, as_of) for as_of in self._versions.list_times(dataset_id)]
        search = request.query.get("search", "")
        found = [one for one in shown if not search or search in one["tags"]]
        return web.json_response(found[offset : offset + limit])

    async def splits(self, request: web.Request) -> web.Response:
        dataset_id = str(self._versions.dataset(path_uuid(request, "id"))["id"])
        moment = self._versions.resolve_or_404(dataset_id, request.query.get("as_of", "latest"))
        names = {
            name
            for row in self._versions.examples(dataset_id, moment)
            for name in splits_of(load_json(row["metadata"]))
        }
        return web.json_response(sorted(names))

    async def tag(self, request: web.Request) -> web.Response:
        dataset_id = str(self._versions.dataset(path_uuid(request, "id"))["id"])
        body = await body_as(request, TagUpdate)
        as_of = timestamp(body.as_of)
        if as_of not in self._versions.list_times(dataset_id):
            raise RefusedError(404, "as_of must be an exact version of the dataset")
        self._db.write("INSERT OR REPLACE INTO tags VALUES (?, ?, ?)", dataset_id, body.tag, as_of)
        return web.json_response(self._version_json(dataset_id, as_of))

    async def compare(self, request: web.Request) -> web.Response:
        body = await body_as(request, ComparativeCreate)
        self._versions.dataset(str(body.reference_dataset_id))
        for experiment in body.experiment_ids:
            if not self._db.row("SELECT 1 FROM sessions WHERE id = ?", str(experiment)):
                raise RefusedError(404, f"Experiment {experiment} not found")
        now = self._db.now()
        document = body.model_dump(mode="json") | {
            "tenant_id": self._db.tenant_id,
            "created_at": now,
            "modified_at": now,
            "experiments_info": [{"id": str(one)} for one in body.experiment_ids],
        }
        self._db.write("INSERT OR REPLACE INTO comparatives VALUES (?, ?)", str(body.id), dump_json(document))
        return web.json_response(document)

    def _dataset_json(self, row: sqlite3.Row) -> dict[str, object]:
        dataset_id = row["id"]
        return {
            "id": dataset_id,
            "tenant_id": self._db.tenant_id,
            "name": row["name"],
            "description": row["description"],
            "created_at": row["created_at"],
            "modified_at": row["modified_at"],
            "data_type": row["data_type"],
            "metadata": load_json(row["metadata"]),
            "example_count": self._db.number(
                "SELECT count(*) FROM examples WHERE dataset_id = ? AND valid_to IS NULL", dataset_id
            ),
            "session_count": self._db.number(
                "SELECT count(*) FROM sessions WHERE reference_dataset_id = ?", dataset_id
            ),
            "last_session_start_time": None,
            **load_json(row["schemas"]),
        }

    def _version_json(self, dataset_id: str, as_of: str) -> dict[str, list[str] | str]:
        rows = self._db.rows("SELECT tag FROM tags WHERE dataset_id = ? AND as_of = ?", dataset_id, as_of)
        tags = [str(row["tag"]) for row in rows]
        if as_of == self._versions.list_times(dataset_id)[0]:
            tags.insert(0, "latest")
        return {"tags": tags, "as_of": as_of}
