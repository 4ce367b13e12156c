"""Everything that a decision about an AgentModel is made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from math import inf

from modelops.api.v1alpha1.agentmodel import AgentModel
from modelops.api.v1alpha1.rollout import Rollout
from modelops.api.v1alpha1.trainingrun import TrainingRun
from modelops.domain.established import require_established
from modelops.domain.facts import UNSEEN, Outage, Unseen
from modelops.domain.record import Record
from modelops.domain.rollout.state import File
from modelops.ports import AgentReports, Endpoint


@dataclass(frozen=True, kw_only=True)
class State:
    """One moment. `runs` and `rollouts` are those that name this AgentModel, by identity digest."""

    now: datetime
    agent_model: AgentModel
    record: Record | None
    record_problem: str = ""
    older: str = ""
    """Name of an older AgentModel over the same agent in the same ConfigMap."""
    file: File | None = None
    file_problem: str = ""
    file_missing: bool = False
    """The ConfigMap does not exist, so there is nothing to put back; a malformed file is waited for instead."""
    secret_problem: str = ""
    can_clean_up: bool = False
    """Whether there is a token to end what bills with, although a Secret is not usable."""
    rollouts: Mapping[str, Rollout]
    runs: Mapping[str, TrainingRun]
    unreadable: frozenset[str] = frozenset()
    """Uids of rollouts that exist and cannot be read: they are not gone."""
    reports: AgentReports | None = None
    listening_seconds: float = inf
    """How long this process has been taking reports: before agents had time to send one, nobody knows what is used."""
    rest_seconds: float = 0.0
    """For how long the status that was just written is let be: what is only shown may be a second late."""
    endpoints: tuple[Endpoint, ...] | Outage | Unseen = UNSEEN
    """The endpoints that the service has, by the names on record; asked only where the record has any."""
    live: bool = False
    """Whether file, AgentModel, runs and rollouts were read from the API server for this decision, not from caches."""

    def require_record(self) -> Record:
        """The agent's record, for the steps after `ensure_record`."""
        return require_established(self.record, "the agent's record")
