"""A plan: steps executed in order, each write conditional on what the decision was made from.

The first step that does not succeed ends the plan; then the state is observed and decided again. A definite conflict
never repeats a write by itself. Only an action that is `independent` of the steps after it does not keep them from
being executed: one refused cancellation must not stop the others.

Each kind has its own actions and facts (`domain/<kind>/actions.py`): dataclasses and enums, which its reconciler
executes and fetches by a `match` that `assert_never` closes. So mypy proves that each action has an executor and each
fact a source, and nothing follows from the text of a message.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import Enum, StrEnum
from typing import Any, ClassVar, Generic, TypeVar, final

from modelops.api.v1alpha1.meta import StatusModel
from modelops.domain.record import Record


@final
@dataclass(frozen=True, kw_only=True)
class WriteStatus:
    """Replaces the object's status, conditional on its resourceVersion."""

    status: StatusModel


@final
@dataclass(frozen=True, kw_only=True)
class WriteRolloutStatus:
    """Replaces the status of a Rollout that is not the object of the plan, conditional on its resourceVersion.

    Only an undo and a rollout that supersedes do this, to latch the abort of the active one (protocol, Undo 2).
    """

    name: str
    uid: str
    resource_version: str
    """The one from which the status was decided."""
    status: StatusModel


@final
@dataclass(frozen=True, kw_only=True)
class WriteFinalizers:
    """Replaces the object's finalizers, conditional on its resourceVersion."""

    finalizers: tuple[str, ...]


@final
@dataclass(frozen=True, kw_only=True)
class WriteRecord:
    """Replaces the AgentModel's record, conditional on the resourceVersion that it was read at."""

    record: Record
    purpose: str
    """For logs and traces only."""


@final
@dataclass(frozen=True, kw_only=True)
class WriteFile:
    """Replaces the agents' file, conditional on the resourceVersion that it was read at.

    `intended` names the intent that this plan wrote from scratch just before (uid, block decided from);
    only such a write may be rebased after a definite conflict (protocol, Advance 4).
    """

    text: str
    purpose: str
    """For logs and traces only."""
    intended: tuple[str, Any] | None = None
    raises: bool = False
    """Whether it gives sessions to a candidate: the emergency stop is read live right before (Emergency stop 1)."""
    restores_stable: bool = False
    """Whether all sessions go back to stable by this write; the reconciler times it."""


@final
@dataclass(frozen=True, kw_only=True)
class Announce:
    """An Event for people; best effort."""

    reason: str
    message: str
    warning: bool = False


Write = WriteStatus | WriteRolloutStatus | WriteFinalizers | WriteRecord | WriteFile | Announce
"""A step that the executor carries out for every kind, by the Kubernetes API."""


class Authority(Enum):
    """With whose credentials an action may be executed."""

    AGENT = "agent"
    """The agent's own only: the action starts something, or may spend money."""
    INSTALLATION = "installation"
    """The installation's may stand in where the agent's are gone: the action ends what bills."""
    NONE = "none"
    """No credentials are needed: nothing outside this cluster changes."""


@dataclass(frozen=True, kw_only=True)
class Action:
    """Something outside the conditional writes. Its result is observed afterwards, not returned."""

    authority: ClassVar[Authority]
    trace: ClassVar[str]
    """Its name in the traces; empty where nothing outside this process changes, so that nothing is traced."""
    independent: ClassVar[bool] = False
    """Whether the steps after it do not depend on it: where it fails, they are executed before the failure counts."""

    def particulars(self) -> Mapping[str, str | int]:
        """What the trace says of it: its plain values, without inputs and secrets."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if isinstance(value, str | int) and value != ""}


class Fact(StrEnum):
    """A fact from outside Kubernetes; its value is the field of the kind's `State` that holds it."""


ActionT_co = TypeVar("ActionT_co", bound=Action, covariant=True)
FactT_co = TypeVar("FactT_co", bound=Fact, covariant=True)


@dataclass(frozen=True, kw_only=True)
class Plan(Generic[ActionT_co, FactT_co]):
    """What to do now, and when to look again if nothing happens (seconds; None: only on events)."""

    steps: tuple[Write | ActionT_co, ...] = ()
    requeue_after: float | None = None
    needs: FactT_co | None = None
    """A fact that the decision lacks: it is fetched, then the decision is made again."""

    @property
    def empty(self) -> bool:
        return not self.steps
