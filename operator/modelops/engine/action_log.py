"""LangSmith traces of the steps of plans, best effort, in addition to Events and logs."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final, assert_never

from modelops.domain.plan import (
    Action,
    Announce,
    Write,
    WriteFile,
    WriteFinalizers,
    WriteRecord,
    WriteRolloutStatus,
    WriteStatus,
)
from modelops.ports import Json, Traces

MAX_TRACED: Final = 2048
"""How many steps are kept to recognise a repetition."""


class ActionLog:
    """Turns the steps of plans into traces. A step that is repeated with the same outcome is traced once."""

    def __init__(self, traces: Traces | None) -> None:
        self._traces = traces
        self._last: OrderedDict[tuple[str, str], dict[str, Any]] = OrderedDict()

    def note(
        self,
        step: Write | Action,
        regarding: Json,
        *,
        agent: str,
        outcome: str,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        """Traces one step on the object `regarding` and its outcome; `details` are further outputs of the action."""
        traced = _traced(step)
        if self._traces is None or traced is None:
            return
        action, outputs = traced[0], {**traced[1], "outcome": outcome, **(details or {})}
        metadata = regarding["metadata"]
        key = (str(metadata["uid"]), action)
        if self._last.get(key) == outputs:
            return
        self._last[key] = outputs
        self._last.move_to_end(key)
        while len(self._last) > MAX_TRACED:
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


def _traced(step: Write | Action) -> tuple[str, Mapping[str, Any]] | None:
    """Name and outputs of a step, without secrets; None for steps that are not traced."""
    if isinstance(step, Action):
        return (step.trace, step.particulars()) if step.trace else None
    match step:
        case WriteRecord():
            return "record", {"purpose": step.purpose}
        case WriteFile():
            return "routing", {"purpose": step.purpose}
        case Announce():
            return step.reason, {"message": step.message, "warning": step.warning}
        case WriteStatus() | WriteRolloutStatus() | WriteFinalizers():
            return None
        case _:
            assert_never(step)
