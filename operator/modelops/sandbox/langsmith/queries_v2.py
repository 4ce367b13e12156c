"""The second version of run queries, which the SDK recommends since 0.15 (`client.runs.query`, `.retrieve`).

Differences from version 1: names are in capitals, the response has only the selected fields, and the range of start
times is by default the last day.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from aiohttp import web
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter

from modelops.sandbox.langsmith.access import RefusedError, body_as, invalid, path_uuid
from modelops.sandbox.langsmith.queries import RunsQuery, decode_cursor, find_runs, next_cursor
from modelops.sandbox.langsmith.runs import Run, Runs

Selected = Literal[
    "ID", "NAME", "RUN_TYPE", "STATUS", "START_TIME", "END_TIME", "LATENCY_SECONDS", "ERROR", "ERROR_PREVIEW",
    "EXTRA", "METADATA", "EVENTS", "INPUTS", "INPUTS_PREVIEW", "OUTPUTS", "OUTPUTS_PREVIEW", "PARENT_RUN_IDS",
    "PROJECT_ID", "TRACE_ID", "THREAD_ID", "DOTTED_ORDER", "IS_ROOT", "REFERENCE_EXAMPLE_ID",
    "REFERENCE_DATASET_ID", "TOTAL_TOKENS", "PROMPT_TOKENS", "COMPLETION_TOKENS", "TOTAL_COST", "PROMPT_COST",
    "COMPLETION_COST", "PROMPT_TOKEN_DETAILS", "COMPLETION_TOKEN_DETAILS", "PROMPT_COST_DETAILS",
    "COMPLETION_COST_DETAILS", "PRICE_MODEL_ID", "TAGS", "APP_PATH", "ATTACHMENTS", "THREAD_EVALUATION_TIME",
    "IS_IN_DATASET", "LAST_QUEUED_AT", "SHARE_URL", "FEEDBACK_STATS", "LS_USER_ID", "FIRST_TOKEN_TIME",
    "MANIFEST",
]  # fmt: skip


class RunsQueryV2(BaseModel):
    """Body of POST /api/v2/runs/query. Fields that the sandbox does not support are refused."""

    model_config = ConfigDict(extra="forbid")

    project_ids: list[UUID] = Field(min_length=1)
    ids: list[UUID] | None = None
    trace_id: UUID | None = None
    reference_examples: list[UUID] | None = None
    run_type: Literal["TOOL", "CHAIN", "LLM", "RETRIEVER", "EMBEDDING", "PROMPT", "PARSER"] | None = None
    is_root: bool | None = None
    has_error: bool | None = None
    min_start_time: AwareDatetime | None = None
    max_start_time: AwareDatetime | None = None
    filter: str | None = None
    selects: list[Selected] = []
    page_size: int = Field(default=100, ge=1, le=1000)
    cursor: str | None = None


class QueriesV2:
    """The routes under /api/v2/runs."""

    def __init__(self, runs: Runs) -> None:
        self._runs = runs

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.post("/api/v2/runs/query", self.query),
            web.get("/api/v2/runs/{id}", self.retrieve),
        ]

    async def query(self, request: web.Request) -> web.Response:
        body = await body_as(request, RunsQueryV2)
        now = datetime.now(UTC)
        found = find_runs(
            self._runs,
            RunsQuery(
                session=body.project_ids,
                id=body.ids,
                trace=body.trace_id,
                reference_example=body.reference_examples,
                run_type=body.run_type.lower() if body.run_type else None,
                is_root=body.is_root,
                error=body.has_error,
                start_time=body.min_start_time or now - timedelta(days=1),
                end_time=body.max_start_time or now,
                filter=body.filter,
            ),
        )
        offset = decode_cursor(body.cursor)
        page = found[offset : offset + body.page_size]
        return web.json_response(
            {
                "items": [_select_fields(run, body.selects) for run in page],
                "next_cursor": next_cursor(offset + body.page_size, len(found)),
            }
        )

    async def retrieve(self, request: web.Request) -> web.Response:
        selects = TypeAdapter(list[Selected]).validate_python(request.query.getall("selects", []))
        if "project_id" not in request.query:
            raise invalid("query.project_id", "Field required")
        run = self._runs.find(path_uuid(request, "id"))
        if run is None or run.get("start_time") is None or run["session_id"] != request.query["project_id"]:
            raise RefusedError(404, "Run not found")
        return web.json_response(_select_fields(self._runs.run_json(run), selects))


def _select_fields(run: Run, selects: list[Selected]) -> dict[str, Any]:
    """Return the selected fields, without those that the sandbox does not store."""
    renamed = {
        **run,
        "run_type": run["run_type"].upper(),
        "status": run["status"].upper(),
        "latency_seconds": run["latency"],
        "project_id": run["session_id"],
        "is_root": run["parent_run_id"] is None,
        "metadata": (run["extra"] or {}).get("metadata", {}),
        "total_cost": float(run["total_cost"] or 0),
    }
    wanted = {name.lower() for name in selects} | {"id"}
    return {key: value for key, value in renamed.items() if key in wanted}
