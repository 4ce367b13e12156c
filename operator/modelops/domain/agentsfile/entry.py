"""One agent's entry of agents.yaml, as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

RolloutState = Literal["Progressing", "Promoted", "Aborted"]


@dataclass(frozen=True, slots=True)
class StableTarget:
    """The five keys of an agent's entry that say which model serves it. None: the key is not in the file."""

    model: str | None = None
    endpoint: str | None = None
    version: str | None = None
    endpoint_url: str | None = None
    api_key_env: str | None = None


@dataclass(frozen=True, slots=True)
class CanaryTarget:
    """The candidate and its share, `weight` in percent from 0 to 100.

    `endpoint_url` is the OpenAI-compatible base URL with its version segment (`https://.../v1`).
    """

    weight: int
    model: str
    served_model: str | None = None
    endpoint: str | None = None
    endpoint_url: str | None = None
    api_key_env: str | None = None
    version: str | None = None

    def __post_init__(self) -> None:
        """Raises ValueError for a weight outside 0 to 100."""
        if isinstance(self.weight, bool) or not isinstance(self.weight, int) or not 0 <= self.weight <= 100:
            raise ValueError(f"a canary's weight must be an integer from 0 to 100, not {self.weight!r}")


@dataclass(frozen=True, slots=True)
class RolloutMark:
    """The rollout that wrote the block, and the step that it had reached."""

    uid: str
    step: int
    state: RolloutState
    undo: str | None = None
    """The version to which an undo went by this write; then the block is the undo's mark, and `uid` is who asked."""


@dataclass(frozen=True, slots=True)
class RoutingBlock:
    """`routing` of one agent. `salt` is the rollout's uid, `canary_until` an RFC 3339 time as the file has it."""

    generation: int
    salt: str
    rollout: RolloutMark
    canary_until: str | None = None
    canary: CanaryTarget | None = None

    @property
    def weight(self) -> int:
        """The canary's share in percent; 0 unless Progressing."""
        return self.canary.weight if self.canary and self.rollout.state == "Progressing" else 0

    @classmethod
    def aborted(cls, *, uid: str, step: int, generation: int) -> RoutingBlock:
        """The block after an abort: all requests go to stable."""
        return cls(generation=generation, salt=uid, rollout=RolloutMark(uid, step, "Aborted"))

    @classmethod
    def undone(cls, *, by: str, to: str, generation: int) -> RoutingBlock:
        """The mark of an undo: all requests go to stable, which is the version `to` by the same write."""
        return cls(generation=generation, salt=by, rollout=RolloutMark(by, 0, "Aborted", undo=to))

    @classmethod
    def promoted(cls, *, uid: str, step: int, generation: int) -> RoutingBlock:
        """The block after a promotion: all requests go to stable, which is now the candidate's model."""
        return cls(generation=generation, salt=uid, rollout=RolloutMark(uid, step, "Promoted"))


@dataclass(frozen=True, slots=True)
class AgentEntry:
    """The entry of one agent. `stable` and `routing` are None where the file has no such keys."""

    stable: StableTarget | None = None
    routing: RoutingBlock | None = None
