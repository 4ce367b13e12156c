"""Evaluators that a workspace binds to a dataset: they add feedback to the runs of its experiments, some time later.

The real service runs a prompt or code. Here the score is the share of the expected answer's words that the run's answer
has, and the key is the rule's `display_name`. `sandbox_delay_seconds` is not the service's: the feedback is there so
many seconds after somebody first looked for it.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from typing import Any
from uuid import UUID, uuid4, uuid5

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from modelops.sandbox.langsmith.access import json_body
from modelops.sandbox.langsmith.database import Database, load_json

_WORDS = re.compile(r"\w+")


class RuleCreate(BaseModel):
    """Body of POST /runs/rules, as far as evaluators of experiments need it."""

    model_config = ConfigDict(extra="allow")

    display_name: str = Field(min_length=1, max_length=180)
    dataset_id: UUID
    sampling_rate: float = Field(default=1.0, ge=0, le=1)
    is_enabled: bool = True
    sandbox_delay_seconds: float = 0.5


class Rules:
    """The routes of rules, and what the rules say of runs. Rules are lost with the process."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._rules: dict[str, RuleCreate] = {}
        self._seen: dict[str, float] = {}

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            route
            for prefix in ("", "/api/v1")
            for route in (
                web.post(f"{prefix}/runs/rules", self.create),
                web.get(f"{prefix}/runs/rules", self.search),
            )
        ]

    async def create(self, request: web.Request) -> web.Response:
        rule, name = RuleCreate.model_validate(await json_body(request)), str(uuid4())
        self._rules[name] = rule
        return web.json_response(self._json(name, rule))

    async def search(self, request: web.Request) -> web.Response:
        del request
        return web.json_response([self._json(name, rule) for name, rule in self._rules.items()])

    def due(self) -> list[dict[str, Any]]:
        """The feedback that the rules have given by now, as bodies of POST /feedback."""
        found = []
        for name, rule in self._rules.items():
            if not rule.is_enabled:
                continue
            rows = self._db.rows(
                "SELECT r.id, r.document, r.session_id FROM runs r JOIN sessions s ON s.id = r.session_id "
                "WHERE s.reference_dataset_id = ?",
                str(rule.dataset_id),
            )
            for row in rows:
                feedback = uuid5(UUID(name), row["id"])
                first = self._seen.setdefault(str(feedback), time.monotonic())
                if time.monotonic() - first < rule.sandbox_delay_seconds or not _sampled(feedback, rule):
                    continue
                if self._db.row("SELECT 1 FROM feedback WHERE id = ?", str(feedback)):
                    continue
                run = load_json(row["document"])
                found.append(
                    {
                        "id": str(feedback),
                        "run_id": row["id"],
                        "session_id": row["session_id"],
                        "key": rule.display_name,
                        "score": round(self._score(run), 4),
                        "feedback_source": {"type": "auto_eval", "metadata": {"rule_id": name}},
                    }
                )
        return found

    def _score(self, run: dict[str, Any]) -> float:
        example = self._db.row(
            "SELECT outputs FROM examples WHERE id = ? ORDER BY valid_from DESC", run["reference_example_id"]
        )
        expected = set(_WORDS.findall(json.dumps(load_json(example["outputs"]) if example else {})))
        given = set(_WORDS.findall(json.dumps(run.get("outputs") or {})))
        return len(expected & given) / max(1, len(expected))

    def _json(self, name: str, rule: RuleCreate) -> dict[str, Any]:
        return {"id": name, "tenant_id": self._db.tenant_id, **rule.model_dump(mode="json")}


def _sampled(feedback: UUID, rule: RuleCreate) -> bool:
    return hashlib.sha256(feedback.bytes).digest()[0] < rule.sampling_rate * 256
