"""The routes that read runs: by id, by POST /runs/query, and the statistics of POST /runs/stats."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from modelops.sandbox.langsmith.access import RefusedError, body_as, invalid, path_uuid
from modelops.sandbox.langsmith.database import timestamp
from modelops.sandbox.langsmith.filters import FilterError, parse
from modelops.sandbox.langsmith.runs import Run, Runs
from modelops.sandbox.langsmith.statistics import run_statistics


class RunsQuery(BaseModel):
    """Body of POST /runs/query. All conditions must match; an unknown field is refused."""

    model_config = ConfigDict(extra="forbid")

    session: list[UUID] | None = None
    id: list[UUID] | None = None
    trace: UUID | None = None
    parent_run: UUID | None = None
    reference_example: list[UUID] | None = None
    run_type: str | None = None
    is_root: bool | None = None
    error: bool | None = None
    start_time: datetime | None = None
    end_time: datetime | None = None
    filter: str | None = None
    select: list[str] | None = None
    order: str = "desc"
    limit: int = Field(default=100, ge=1, le=100)
    cursor: str | None = None
    skip_pagination: bool = False


class Queries:
    """The routes that read runs."""

    def __init__(self, runs: Runs) -> None:
        self._runs = runs

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.post("/runs/query", self.query),
            web.post("/runs/stats", self.stats),
            web.get("/runs/{id}", self.get),
        ]

    async def get(self, request: web.Request) -> web.Response:
        run = self._runs.find(path_uuid(request, "id"))
        if run is None or run.get("start_time") is None:
            raise RefusedError(404, "Run not found")
        return web.json_response(self._runs.run_json(run))

    async def query(self, request: web.Request) -> web.Response:
        body = await body_as(request, RunsQuery)
        if not (body.session or body.id or body.trace or body.parent_run or body.reference_example):
            raise RefusedError(
                400, "At least one of 'session', 'id', 'parent_run', 'trace' or 'reference_example' is needed"
            )
        found = find_runs(self._runs, body)
        offset = decode_cursor(body.cursor)
        shown = [_select_fields(run, body.select) for run in found[offset : offset + body.limit]]
        following = next_cursor(offset + body.limit, len(found))
        return web.json_response({"runs": shown, "cursors": {"next": following, "prev": None}})

    async def stats(self, request: web.Request) -> web.Response:
        body = await body_as(request, RunsQuery)
        return web.json_response(run_statistics(find_runs(self._runs, body)))


def find_runs(runs: Runs, query: RunsQuery) -> list[Run]:
    """Return the runs that match a query, newest start first. Refuses an invalid filter with a 400."""
    try:
        wanted = parse(query.filter) if query.filter else None
    except FilterError as error:
        raise RefusedError(400, f"Invalid filter: {error}") from None
    stored = runs.list_runs(
        sessions=[str(one) for one in query.session or []],
        trace_id=str(query.trace) if query.trace else None,
    )
    found = [runs.run_json(run) for run in stored if _matches(run, query)]
    if wanted is not None:
        found = [run for run in found if wanted(run)]
    return found if query.order == "desc" else found[::-1]


def next_cursor(end: int, count: int) -> str | None:
    """Return the cursor of the next page; None after the last page."""
    return base64.urlsafe_b64encode(str(end).encode()).decode() if end < count else None


def _matches(run: Run, body: RunsQuery) -> bool:
    ids = {str(one) for one in body.id or []}
    examples = {str(one) for one in body.reference_example or []}
    return (
        (not ids or run["id"] in ids)
        and (not examples or run.get("reference_example_id") in examples)
        and (body.parent_run is None or run.get("parent_run_id") == str(body.parent_run))
        and (body.run_type is None or run.get("run_type") == body.run_type)
        and (body.is_root is None or (run.get("parent_run_id") is None) == body.is_root)
        and (body.error is None or bool(run.get("error")) == body.error)
        and (body.start_time is None or run["start_time"] >= _timestamp(body.start_time))
        and (body.end_time is None or run["start_time"] <= _timestamp(body.end_time))
    )


def _select_fields(run: Run, fields: list[str] | None) -> dict[str, Any]:
    if not fields:
        return run
    # The SDK cannot construct a Run without these fields.
    kept = {*fields, "id", "name", "run_type", "start_time", "trace_id"}
    return {key: value for key, value in run.items() if key in kept}


def decode_cursor(cursor: str | None) -> int:
    """Return the number of runs before a cursor. Refuses an invalid cursor with a 422."""
    try:
        return int(base64.urlsafe_b64decode(cursor)) if cursor else 0
    except ValueError:
        raise invalid("body.cursor", "not a cursor of this service") from None


def _timestamp(moment: datetime) -> str:
    return timestamp(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
