"""The storage of runs: validates received fields, merges later parts of a run, and builds the API's JSON."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from modelops.sandbox.langsmith.access import RefusedError, invalid
from modelops.sandbox.langsmith.database import Database, dump_json, load_json, timestamp
from modelops.sandbox.langsmith.sessions import Sessions
from modelops.sandbox.langsmith.statistics import feedback_statistics, latency, usage

Run = dict[str, Any]

_DOTTED_PART = re.compile(r"\d{8}T\d{12}Z([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")


class RunFields(BaseModel):
    """The fields of a run. Unknown fields are dropped, as in the real service."""

    model_config = ConfigDict(extra="ignore")

    id: UUID
    trace_id: UUID | None = None
    dotted_order: str | None = None
    name: str | None = None
    run_type: Literal["tool", "chain", "llm", "retriever", "embedding", "prompt", "parser"] | None = None
    start_time: datetime | float | None = None
    end_time: datetime | float | None = None
    session_id: UUID | None = None
    session_name: str | None = None
    parent_run_id: UUID | None = None
    reference_example_id: UUID | None = None
    inputs: dict[str, object] | None = None
    outputs: dict[str, object] | None = None
    error: str | None = None
    extra: dict[str, object] | None = None
    events: list[dict[str, object]] | None = None
    serialized: dict[str, object] | None = None
    tags: list[str] | None = Field(default=None)


class Runs:
    """Stores runs. A post and any number of patches with the same id make one run."""

    def __init__(self, database: Database, sessions: Sessions) -> None:
        self._db = database
        self._sessions = sessions

    def ingest(self, given: Run, *, new: bool, where: str) -> None:
        """Merge a post (`new`) or a patch into the stored run. Refuses missing or contradictory fields with a 422."""
        fields = _validated(given, where)
        run_id = fields["id"]
        if new:
            for name in ("name", "run_type", "start_time"):
                if fields.get(name) is None:
                    raise invalid(f"{where}.{name}", "Field required")
        stored = self.find(run_id) or {}
        merged = {**stored, **{key: value for key, value in fields.items() if value is not None}}
        merged["session_id"] = self._session_of(fields, stored, where)
        merged.pop("session_name", None)
        merged.setdefault("trace_id", run_id)
        self._db.write(
            "INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?, ?)",
            *(run_id, merged["session_id"], merged["trace_id"], merged.get("start_time"), dump_json(merged)),
        )
        if stored and stored["session_id"] != merged["session_id"]:
            self._db.write(
                "UPDATE feedback SET session_id = ? WHERE run_id = ?", merged["session_id"], run_id
            )

    def find(self, run_id: str) -> Run | None:
        """Return the stored run of that id, or None."""
        row = self._db.row("SELECT document FROM runs WHERE id = ?", run_id)
        return load_json(row["document"]) if row else None

    def list_runs(self, *, sessions: list[str], trace_id: str | None) -> list[Run]:
        """Return the runs of these projects (if empty: of all) and of the trace if given, newest start first."""
        clauses, values = ["start_time IS NOT NULL"], []
        if sessions:
            clauses.append(f"session_id IN ({','.join('?' * len(sessions))})")
            values += sessions
        if trace_id:
            clauses.append("trace_id = ?")
            values.append(trace_id)
        query = f"SELECT document FROM runs WHERE {' AND '.join(clauses)} ORDER BY start_time DESC, id"
        return [load_json(row["document"]) for row in self._db.rows(query, *values)]

    def run_json(self, run: Run) -> Run:
        """Return a run as the API shows it, with computed fields such as latency and cost."""
        tokens = usage(run)
        scores = self._db.rows("SELECT document FROM feedback WHERE run_id = ?", run["id"])
        return {
            "error": None,
            "end_time": None,
            "outputs": None,
            "parent_run_id": None,
            "reference_example_id": None,
            "events": [],
            "tags": [],
            "extra": {},
            "inputs": {},
            **run,
            "status": status(run),
            "latency": latency(run),
            "prompt_tokens": tokens["prompt_tokens"],
            "completion_tokens": tokens["completion_tokens"],
            "total_tokens": tokens["total_tokens"],
            "total_cost": str(tokens["total_cost"]) if tokens["total_cost"] else None,
            "parent_run_ids": _DOTTED_PART.findall(run.get("dotted_order") or "")[:-1],
            "feedback_stats": feedback_statistics(load_json(row["document"]) for row in scores),
            "app_path": f"/o/{self._db.tenant_id}/projects/p/{run['session_id']}/r/{run['id']}",
        }

    def _session_of(self, fields: Run, stored: Run, where: str) -> str:
        if fields.get("session_id"):
            session_id = str(fields["session_id"])
            if not self._db.row("SELECT 1 FROM sessions WHERE id = ?", session_id):
                raise RefusedError(404, f"{where}: session {session_id} not found")
            return session_id
        if stored and not fields.get("session_name"):
            return str(stored["session_id"])
        return self._sessions.get_or_create(fields.get("session_name") or "default")


def status(run: Run) -> str:
    """`error`, `success` or `pending`."""
    if run.get("error"):
        return "error"
    return "success" if run.get("end_time") else "pending"


def check_order(given: Run, where: str) -> None:
    """Refuse a run of a batch with a 422 unless its trace id and dotted order exist and match its id."""
    fields = _validated(given, where)
    order, run_id, trace_id = fields.get("dotted_order"), fields["id"], fields.get("trace_id")
    if not order or not trace_id:
        raise invalid(f"{where}.dotted_order", "trace_id and dotted_order are required")
    parts = order.split(".")
    ids = [match.group(1) for part in parts if (match := _DOTTED_PART.fullmatch(part))]
    if len(ids) != len(parts) or ids[0] != trace_id or ids[-1] != run_id:
        raise invalid(
            f"{where}.dotted_order", "dotted_order should begin with the trace_id and end with the run's id"
        )
    parent = fields.get("parent_run_id")
    if (len(ids) > 1 or parent) and (len(ids) < 2 or ids[-2] != parent):
        raise invalid(f"{where}.parent_run_id", "parent_run_id should be the last but one of dotted_order")


def _validated(given: Run, where: str) -> Run:
    if not isinstance(given, dict) or "id" not in given:
        raise invalid(f"{where}.id", "Field required")
    fields = RunFields.model_validate(given)
    document = fields.model_dump(mode="json")
    for name, value in (("start_time", fields.start_time), ("end_time", fields.end_time)):
        document[name] = _time(value)
    return document


def _time(value: datetime | float | None) -> str | None:
    if value is None:
        return None
    if isinstance(value, datetime):
        return timestamp(value if value.tzinfo else value.replace(tzinfo=UTC))
    return timestamp(datetime.fromtimestamp(value / 1000, UTC))
