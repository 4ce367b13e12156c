"""Projects, which LangSmith's API calls sessions. An experiment is a session with a reference dataset."""

from __future__ import annotations

import sqlite3
from datetime import datetime
from uuid import UUID, uuid4

from aiohttp import web
from pydantic import BaseModel, Field

from modelops.sandbox.langsmith.access import (
    RefusedError,
    as_uuid,
    body_as,
    flag,
    metadata_filter,
    paging,
    path_uuid,
)
from modelops.sandbox.langsmith.database import Database, contains, dump_json, load_json, timestamp
from modelops.sandbox.langsmith.statistics import session_statistics


class SessionCreate(BaseModel):
    """Body of POST /sessions."""

    name: str = Field(min_length=1, max_length=512)
    id: UUID = Field(default_factory=uuid4)
    start_time: datetime | None = None
    description: str | None = None
    extra: dict[str, object] | None = None
    reference_dataset_id: UUID | None = None


class SessionUpdate(BaseModel):
    """Body of PATCH /sessions/{id}; null leaves a field unchanged."""

    name: str | None = None
    end_time: datetime | None = None
    description: str | None = None
    extra: dict[str, object] | None = None


class Sessions:
    """The routes under /sessions."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.get("/sessions", self.search),
            web.post("/sessions", self.create),
            web.get("/sessions/{id}", self.get),
            web.patch("/sessions/{id}", self.update),
            web.delete("/sessions/{id}", self.delete),
        ]

    async def search(self, request: web.Request) -> web.Response:
        limit, offset = paging(request)
        query = request.query
        wanted, ids = metadata_filter(request), [as_uuid(one, "query.id") for one in query.getall("id", [])]
        references = [
            as_uuid(one, "query.reference_dataset") for one in query.getall("reference_dataset", [])
        ]
        found = [
            row
            for row in self._db.rows("SELECT * FROM sessions ORDER BY start_time DESC, id")
            if query.get("name") in (None, row["name"])
            and query.get("name_contains", "").lower() in row["name"].lower()
            and (not ids or row["id"] in ids)
            and (not references or row["reference_dataset_id"] in references)
            and not (flag(request, "reference_free") and row["reference_dataset_id"])
            and contains(_metadata(row), wanted)
        ]
        page = found[offset : offset + limit]
        return web.json_response(
            [self.session_json(row, stats=flag(request, "include_stats")) for row in page]
        )

    async def create(self, request: web.Request) -> web.Response:
        body = await body_as(request, SessionCreate)
        dataset = str(body.reference_dataset_id) if body.reference_dataset_id else None
        if dataset and not self._db.row("SELECT 1 FROM datasets WHERE id = ?", dataset):
            raise RefusedError(404, f"Dataset {dataset} not found")
        existing = self._db.row("SELECT * FROM sessions WHERE name = ? OR id = ?", body.name, str(body.id))
        if existing and flag(request, "upsert"):
            return web.json_response(self.session_json(existing, stats=False))
        if existing:
            raise RefusedError(409, f"Session with name {body.name} already exists")
        self._insert(body, dataset)
        return web.json_response(self.session_json(self._get(str(body.id)), stats=False))

    async def get(self, request: web.Request) -> web.Response:
        row = self._get(path_uuid(request, "id"))
        return web.json_response(self.session_json(row, stats=flag(request, "include_stats")))

    async def update(self, request: web.Request) -> web.Response:
        row = self._get(path_uuid(request, "id"))
        body = await body_as(request, SessionUpdate)
        if body.name and self._db.row(
            "SELECT 1 FROM sessions WHERE name = ? AND id <> ?", body.name, row["id"]
        ):
            raise RefusedError(409, f"Session with name {body.name} already exists")
        self._db.write(
            "UPDATE sessions SET name = ?, end_time = ?, description = ?, extra = ? WHERE id = ?",
            body.name or row["name"],
            timestamp(body.end_time) if body.end_time else row["end_time"],
            body.description if body.description is not None else row["description"],
            dump_json({**load_json(row["extra"]), **(body.extra or {})}),
            row["id"],
        )
        return web.json_response(self.session_json(self._get(row["id"]), stats=False))

    async def delete(self, request: web.Request) -> web.Response:
        row = self._get(path_uuid(request, "id"))
        with self._db.transaction():
            self._db.write("DELETE FROM feedback WHERE session_id = ?", row["id"])
            self._db.write("DELETE FROM runs WHERE session_id = ?", row["id"])
            self._db.write("DELETE FROM sessions WHERE id = ?", row["id"])
        return web.json_response({"message": "Session deleted"}, status=202)

    def get_or_create(self, name: str) -> str:
        """Return the id of the project with that name. As in the real service, a missing project is created."""
        found = self._db.row("SELECT id FROM sessions WHERE name = ?", name)
        if found:
            return str(found["id"])
        body = SessionCreate(name=name)
        self._insert(body, None)
        return str(body.id)

    def session_json(self, row: sqlite3.Row, *, stats: bool) -> dict[str, object]:
        """Return a project as the API shows it."""
        extra = load_json(row["extra"])
        shown = {
            "id": row["id"],
            "tenant_id": self._db.tenant_id,
            "name": row["name"],
            "start_time": row["start_time"],
            "end_time": row["end_time"],
            "description": row["description"],
            "extra": extra,
            "default_dataset_id": None,
            "reference_dataset_id": row["reference_dataset_id"],
        }
        return shown | session_statistics(self._db, row["id"]) if stats else shown

    def _insert(self, body: SessionCreate, dataset: str | None) -> None:
        self._db.write(
            "INSERT INTO sessions VALUES (?, ?, ?, NULL, ?, ?, ?)",
            str(body.id),
            body.name,
            timestamp(body.start_time) if body.start_time else self._db.now(),
            body.description,
            dump_json(body.extra or {}),
            dataset,
        )

    def _get(self, session_id: str) -> sqlite3.Row:
        row = self._db.row("SELECT * FROM sessions WHERE id = ?", session_id)
        if row is None:
            raise RefusedError(404, "Session not found")
        return row


def _metadata(row: sqlite3.Row) -> object:
    return load_json(row["extra"]).get("metadata", {})
