"""Traces of what was done to the world, once each: best effort, beside the Events and logs."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final

from modelops.domain.plan import Announce, Do, Step, WriteFile, WriteRecord
from modelops.ports import Json, Traces

QUIET: Final = frozenset({"tick", "tick_reset", "forget_submission", "retry_dataset", "retry_evaluation"})
"""Of this process alone: nothing outside changes."""
MOST_REMEMBERED: Final = 2048


class ActionLog:
    """Turns the steps of plans into traces; a step that is repeated with the same outcome is told once."""

    def __init__(self, traces: Traces | None) -> None:
        self._traces = traces
        self._last: OrderedDict[tuple[str, str], dict[str, Any]] = OrderedDict()

    def note(
        self, step: Step, regarding: Json, *, agent: str, outcome: str, told: Mapping[str, Any] | None = None
    ) -> None:
        """One step on the object `regarding` and what came of it; `told`: what the action itself says."""
        said = _said(step)
        if self._traces is None or said is None:
            return
        action, outputs = said[0], {**said[1], "outcome": outcome, **(told or {})}
        metadata = regarding["metadata"]
        key = (str(metadata["uid"]), action)
        if self._last.get(key) == outputs:
            return
        self._last[key] = outputs
        self._last.move_to_end(key)
        while len(self._last) > MOST_REMEMBERED:
            self._last.popitem(last=False)
        self._traces.action(
            action,
            kind=str(regarding.get("kind", "")),
            namespace=str(metadata.get("namespace", "")),
            name=str(metadata["name"]),
            uid=str(metadata["uid"]),
            agent=agent,
            outputs=outputs,
        )


def _said(step: Step) -> tuple[str, dict[str, Any]] | None:
    """Name and particulars of a step; None for what is not worth a trace. No inputs, no secrets."""
    match step:
        case WriteRecord():
            return "record", {"purpose": step.purpose}
        case WriteFile():
            return "routing", {"purpose": step.purpose}
        case Announce():
            return step.reason, {"message": step.message, "warning": step.warning}
        case Do() if step.action not in QUIET:
            plain = {k: v for k, v in step.arguments.items() if isinstance(v, str | int) and k != "after"}
            entry = getattr(step.arguments.get("entry"), "name", None)
            return step.action, {**plain, "name": entry} if entry else plain
    return None
