"""The history of an AgentModel's status: which version served when, and what kept the agent from being ready."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from modelops.api.v1alpha1.agentmodel import AgentModelStatus
from modelops.api.v1alpha1.history import AgentModelTransition
from modelops.api.v1alpha1.meta import Condition
from modelops.domain.conditions import condition_of
from modelops.domain.record import BY_WATCH, Record
from modelops.domain.status_history import appended, shortened

SERVES: Final = "VersionServes"
WENT_BACK: Final = "WentBack"
UNDO_ENDED: Final = "UndoEnded"
"""Reasons of entries that no condition has: another version serves, after an undo, and spec.undo ended otherwise."""


def with_agent_transitions(
    old: AgentModelStatus, new: AgentModelStatus, *, record: Record | None, now: datetime
) -> AgentModelStatus:
    """The new status with the old history and an entry for each change that people ask about later."""
    history = old.history
    version = new.stable.version if new.stable is not None else ""
    for reason, message in (
        *_served(old, new, record),
        *_undo_ended(old, new),
        *_condition_changed(old, new, "Ready"),
        *_condition_changed(old, new, "BudgetAvailable"),
    ):
        ready = condition_of(new.conditions, "Ready")
        entry = AgentModelTransition(
            number=1,
            at=now.replace(microsecond=0),
            phase="Ready" if ready is not None and ready.status.value == "True" else "NotReady",
            reason=reason,
            message=shortened(message),
            version=version,
        )
        history = appended(history, entry)
    return new.model_copy(update={"history": history})


def _served(
    old: AgentModelStatus, new: AgentModelStatus, record: Record | None
) -> tuple[tuple[str, str], ...]:
    if new.stable is None or (old.stable is not None and old.stable.version == new.stable.version):
        return ()
    now_serves = f"{new.stable.version} ({new.stable.model}) serves"
    if old.stable is None:
        return ((SERVES, now_serves),)
    before = old.stable.version
    if record is None or before not in record.undone:
        return ((SERVES, f"{now_serves}; before it {before} served"),)
    by_watch = old.undo is not None and old.undo.by == BY_WATCH
    why = ", because the watch after its promotion saw a breach" if by_watch else ""
    return ((WENT_BACK, f"{now_serves} again: an undo left {before}{why}"),)


def _undo_ended(old: AgentModelStatus, new: AgentModelStatus) -> tuple[tuple[str, str], ...]:
    """An end of spec.undo that brought nothing back; one that did is told by the version that serves."""
    ended = new.last_undo
    if ended is None or ended.outcome == "Promoted":
        return ()
    if old.last_undo is not None and old.last_undo.id == ended.id:
        return ()
    return ((UNDO_ENDED, f"spec.undo {ended.id} ended as {ended.outcome}: {ended.message}"),)


def _condition_changed(
    old: AgentModelStatus, new: AgentModelStatus, kind: str
) -> tuple[tuple[str, str], ...]:
    before, now = condition_of(old.conditions, kind), condition_of(new.conditions, kind)
    if now is None or _same(before, now) or (before is None and kind != "Ready"):
        return ()
    return ((now.reason, now.message),)


def _same(before: Condition | None, now: Condition) -> bool:
    return before is not None and (before.status, before.reason) == (now.status, now.reason)
