"""Scores of runs and of whole experiments."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from aiohttp import web
from pydantic import BaseModel, Field, field_validator

from modelops.sandbox.langsmith.access import RefusedError, as_uuid, json_body, paging, path_uuid
from modelops.sandbox.langsmith.database import Database, dump_json, load_json
from modelops.sandbox.langsmith.rules import Rules


class FeedbackCreate(BaseModel):
    """Body of POST /feedback. Without a run, the feedback is about the whole session."""

    id: UUID = Field(default_factory=uuid4)
    run_id: UUID | None = None
    trace_id: UUID | None = None
    session_id: UUID | None = None
    key: str = Field(min_length=1, max_length=180)
    score: float | bool | None = None
    value: float | bool | str | dict[str, object] | None = None
    comment: str | None = None
    correction: str | dict[str, object] | None = None
    feedback_source: dict[str, object] | None = None
    comparative_experiment_id: UUID | None = None
    feedback_group_id: UUID | None = None
    start_time: datetime | None = None
    extra: dict[str, object] | None = None
    error: bool | None = None

    @field_validator("score")
    @classmethod
    def _stored_exactly(cls, score: float | None) -> float | None:
        if score is not None and round(score, 4) != score:
            raise ValueError("score should have at most 4 decimal places")
        return score


class Feedback:
    """The routes under /feedback."""

    def __init__(self, database: Database, rules: Rules | None = None) -> None:
        self._db = database
        self._rules = rules

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.post("/feedback", self.create),
            web.get("/feedback", self.search),
            web.get("/feedback/{id}", self.get),
            web.patch("/feedback/{id}", self.update),
            web.delete("/feedback/{id}", self.delete),
        ]

    async def create(self, request: web.Request) -> web.Response:
        return web.json_response(self.save(await json_body(request), run_may_come_later=False))

    async def search(self, request: web.Request) -> web.Response:
        limit, offset = paging(request)
        for given in self._rules.due() if self._rules else ():
            self.save(given, run_may_come_later=False)
        query = request.query
        runs = {as_uuid(one, "query.run") for one in query.getall("run", [])}
        sessions = {as_uuid(one, "query.session") for one in query.getall("session", [])}
        keys = set(query.getall("key", []))
        found = [
            load_json(row["document"])
            for row in self._db.rows("SELECT * FROM feedback ORDER BY created_at DESC, id")
            if (not runs or row["run_id"] in runs)
            and (not sessions or row["session_id"] in sessions)
            and (not keys or row["key"] in keys)
        ]
        return web.json_response(found[offset : offset + limit])

    async def get(self, request: web.Request) -> web.Response:
        return web.json_response(self._get(path_uuid(request, "id")))

    async def update(self, request: web.Request) -> web.Response:
        document = self._get(path_uuid(request, "id"))
        changes = await json_body(request)
        document |= changes if isinstance(changes, dict) else {}
        FeedbackCreate.model_validate(document)
        document["modified_at"] = self._db.now()
        self._db.write("UPDATE feedback SET document = ? WHERE id = ?", dump_json(document), document["id"])
        return web.json_response(document)

    async def delete(self, request: web.Request) -> web.Response:
        document = self._get(path_uuid(request, "id"))
        self._db.write("DELETE FROM feedback WHERE id = ?", document["id"])
        return web.json_response({"message": "Feedback deleted"})

    def save(self, given: object, *, run_may_come_later: bool) -> dict[str, Any]:
        """Save an entry; it replaces an entry with the same id. Refuses an unknown run with a 404."""
        entry = FeedbackCreate.model_validate(given)
        document = entry.model_dump(mode="json")
        if entry.run_id is not None:
            run = self._db.row("SELECT session_id FROM runs WHERE id = ?", str(entry.run_id))
            if run is None and not run_may_come_later:
                raise RefusedError(404, f"Run {entry.run_id} not found")
            document["session_id"] = run["session_id"] if run else document["session_id"]
        elif entry.session_id is None:
            raise RefusedError(422, "One of run_id and session_id is required")
        elif not self._db.row("SELECT 1 FROM sessions WHERE id = ?", str(entry.session_id)):
            raise RefusedError(404, f"Session {entry.session_id} not found")
        now = self._db.now()
        document |= {"created_at": now, "modified_at": now}
        self._db.write(
            "INSERT OR REPLACE INTO feedback VALUES (?, ?, ?, ?, ?, ?)",
            *(
                document["id"],
                document["run_id"],
                document["session_id"],
                entry.key,
                now,
                dump_json(document),
            ),
        )
        return document

    def _get(self, feedback_id: str) -> dict[str, Any]:
        row = self._db.row("SELECT document FROM feedback WHERE id = ?", feedback_id)
        if row is None:
            raise RefusedError(404, "Feedback not found")
        document: dict[str, Any] = load_json(row["document"])
        return document
