"""The routes that receive runs and feedback: single runs, batches, and multipart streams."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from aiohttp import web

from modelops.sandbox.langsmith.access import RefusedError, as_uuid, invalid, json_body, path_uuid
from modelops.sandbox.langsmith.database import Database
from modelops.sandbox.langsmith.feedback import Feedback
from modelops.sandbox.langsmith.multipart import Part, parse_parts
from modelops.sandbox.langsmith.runs import Run, Runs, check_order

MAX_BATCH_BYTES = 20_971_520
MAX_BATCH_RUNS = 100
_JSON_FIELDS = {"inputs", "outputs", "events", "extra", "error", "serialized"}

INFO = {
    "version": "0.16.5",
    "license_expiration_time": None,
    "instance_flags": {
        "dataset_examples_multipart_enabled": True,
        "zstd_compression_enabled": True,
        "sdb_query_enabled": False,
    },
    "batch_ingest_config": {
        "use_multipart_endpoint": True,
        "size_limit": MAX_BATCH_RUNS,
        "size_limit_bytes": MAX_BATCH_BYTES,
        "scale_up_qsize_trigger": 1000,
        "scale_up_nthreads_limit": 16,
        "scale_down_nempty_trigger": 4,
    },
}
"""The response of GET /info."""


class Ingest:
    """The routes that receive runs."""

    def __init__(self, database: Database, runs: Runs, feedback: Feedback) -> None:
        self._db = database
        self._runs = runs
        self._feedback = feedback

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.get("/info", self.info),
            web.post("/runs", self.create),
            web.patch("/runs/{id}", self.update),
            web.post("/runs/batch", self.batch),
            web.post("/runs/multipart", self.multipart),
        ]

    async def info(self, _: web.Request) -> web.Response:
        return web.json_response(INFO)

    async def create(self, request: web.Request) -> web.Response:
        run = _require_object(await json_body(request), "body")
        if self._runs.find(as_uuid(str(run.get("id")), "body.id")):
            raise RefusedError(409, f"Run with id {run['id']} already exists")
        self._runs.ingest(run, new=True, where="body")
        return web.json_response({"message": "Run created"}, status=202)

    async def update(self, request: web.Request) -> web.Response:
        run_id = path_uuid(request, "id")
        if not self._runs.find(run_id):
            raise RefusedError(404, "Run not found")
        run = {**_require_object(await json_body(request), "body"), "id": run_id}
        self._runs.ingest(run, new=False, where="body")
        return web.json_response({"message": "Run updated"}, status=202)

    async def batch(self, request: web.Request) -> web.Response:
        body = _require_object(await json_body(request), "body")
        given = [
            (kind == "post", _require_object(run, f"body.{kind}.{number}"), f"body.{kind}.{number}")
            for kind in ("post", "patch")
            for number, run in enumerate(body.get(kind) or [])
        ]
        self._ingest_all(given)
        return web.json_response({"message": "Runs batch ingested"}, status=202)

    async def multipart(self, request: web.Request) -> web.Response:
        runs: dict[tuple[str, str], Run] = defaultdict(dict)
        scores: list[tuple[str, Any]] = []
        for part in await parse_parts(request):
            kind, _, rest = part.name.partition(".")
            subject, _, field = rest.partition(".")
            if kind == "feedback":
                scores.append((subject, part.json_object()))
            elif kind in {"post", "patch"}:
                _add_part(runs[kind, as_uuid(subject, f"body.{part.name}")], field, part)
            elif kind != "attachment":
                raise invalid(f"body.{part.name}", "Unknown part")
        self._ingest_all([(kind == "post", run, f"body.{kind}.{one}") for (kind, one), run in runs.items()])
        for feedback_id, entry in scores:
            self._feedback.save({**entry, "id": feedback_id}, run_may_come_later=True)
        return web.json_response({"message": "Runs batch ingested"}, status=202)

    def _ingest_all(self, given: list[tuple[bool, Run, str]]) -> None:
        for _, run, where in given:
            check_order(run, where)
        with self._db.transaction():
            for new, run, where in given:
                self._runs.ingest(run, new=new, where=where)


def _add_part(run: Run, field: str, part: Part) -> None:
    """Add a part to a run: the run itself, or one of its fields that was sent separately."""
    if field == "":
        run |= part.json_object()
    elif field in _JSON_FIELDS:
        run[field] = part.json()
    elif not field.startswith("attachment"):
        raise invalid(f"body.{part.name}", "Unknown part")


def _require_object(value: object, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise invalid(where, "Input should be a JSON object")
    return value
