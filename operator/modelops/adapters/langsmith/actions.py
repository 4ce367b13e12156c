"""One action of the operator, and the LangSmith run that records it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from modelops.adapters.langsmith.wire import JsonValue, dotted_order


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One action of the operator. Times are Unix seconds; `error` is set where the action failed."""

    action: str
    kind: str
    namespace: str
    name: str
    uid: str
    agent: str
    inputs: Mapping[str, JsonValue]
    outputs: Mapping[str, JsonValue]
    started: float
    ended: float
    tags: Sequence[str]
    error: str | None


def trace_run(action: Action, project: str) -> dict[str, JsonValue]:
    """A finished root run of the project. Every call makes a new id, so call it once for each action."""
    from langsmith import uuid7

    run_id = uuid7()
    metadata: dict[str, JsonValue] = {
        "agent": action.agent,
        "kind": action.kind,
        "namespace": action.namespace,
        "name": action.name,
        "uid": action.uid,
        "action": action.action,
    }
    return {
        "id": str(run_id),
        "trace_id": str(run_id),
        "dotted_order": dotted_order(run_id, action.started),
        "session_name": project,
        "name": f"{action.kind} {action.action}",
        "run_type": "chain",
        "start_time": _iso(action.started),
        "end_time": _iso(action.ended),
        "inputs": action.inputs,
        "outputs": action.outputs,
        "error": action.error,
        "tags": ["modelops-operator", action.agent, action.kind, *action.tags],
        "extra": {"metadata": metadata},
    }


def _iso(unix_seconds: float) -> str:
    return datetime.fromtimestamp(unix_seconds, UTC).isoformat()
