"""Reads the status of a TrainingRun, a Rollout or an AgentModel, as JSON from the API server."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]


def status_of(item: Json) -> Json:
    """Return the status, or an empty one."""
    found: Json = item.get("status") or {}
    return found


def condition(item: Json, type_: str) -> Json:
    """Return the condition of that type, or an empty one."""
    return next((c for c in status_of(item).get("conditions") or () if c["type"] == type_), {})


def is_finished(item: Json) -> bool:
    """Whether the object has ended: what `kubectl wait --for=condition=Finished` waits for."""
    return bool(condition(item, "Finished").get("status") == "True")


def ready_message(item: Json) -> str:
    """Return the message of the condition Ready: the operator's explanation of the current phase."""
    return str(condition(item, "Ready").get("message", ""))


def gate_verdict(rollout: Json) -> str:
    """Return the gate's verdict with the operator's message about its numbers."""
    evaluation = status_of(rollout).get("evaluation") or {}
    return f"gate: {evaluation.get('verdict')}. {condition(rollout, 'Evaluated').get('message', '')}"
