"""A plan: steps carried out in order, each write conditional on what the decision was made from.

The first step that does not succeed ends the plan; then everything is observed and decided again.
A definite conflict never repeats a write by itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from modelops.api.v1alpha1.meta import StatusModel
from modelops.domain.record import Record


@dataclass(frozen=True, kw_only=True)
class WriteStatus:
    """Replaces the object's status, conditional on its resourceVersion."""

    status: StatusModel


@dataclass(frozen=True, kw_only=True)
class WriteFinalizers:
    """Replaces the object's finalizers, conditional on its resourceVersion."""

    finalizers: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class WriteRecord:
    """Replaces the AgentModel's record, conditional on the resourceVersion that it was read at."""

    record: Record
    purpose: str


@dataclass(frozen=True, kw_only=True)
class WriteFile:
    """Replaces the agents' file, conditional on the resourceVersion that it was read at.

    `intended` names the intent that this plan wrote from scratch just before (uid, block decided from);
    only such a write may be rebased after a definite conflict (protocol, Advance 4).
    """

    text: str
    purpose: str
    intended: tuple[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class Do:
    """Something outside Kubernetes; the kind's reconciler knows how. Its result is observed, not returned."""

    action: str
    arguments: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Announce:
    """An Event for people; best effort."""

    reason: str
    message: str
    warning: bool = False


Step = WriteStatus | WriteFinalizers | WriteRecord | WriteFile | Do | Announce


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to do now, and when to look again if nothing happens (seconds; None: only on events)."""

    steps: tuple[Step, ...] = ()
    requeue_after: float | None = None
    needs: str = ""
    """A fact that the decision lacks: it is fetched, then the decision is made again."""

    @property
    def empty(self) -> bool:
        return not self.steps
