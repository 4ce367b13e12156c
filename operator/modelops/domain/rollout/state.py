"""Everything that a decision about a Rollout is made from."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from math import inf

from modelops.api.v1alpha1.agentmodel import AgentModel
from modelops.api.v1alpha1.rollout import CandidateStatus, Intent, Rollout
from modelops.api.v1alpha1.trainingrun import TrainingRun
from modelops.domain.agentsfile import AgentEntry, RoutingBlock, StableTarget
from modelops.domain.established import require_established
from modelops.domain.facts import UNSEEN, Outage, Unseen
from modelops.domain.record import Active, Record, Target
from modelops.ports import AgentReports, Endpoint, ModelInfo, ProgramState


@dataclass(frozen=True, kw_only=True)
class File:
    """The agents' file as it was read."""

    resource_version: str
    text: str
    entry: AgentEntry
    live: bool = False
    """Whether it was read from the API server for this decision, not from the watch's cache."""


@dataclass(frozen=True, kw_only=True)
class RolloutSettings:
    """What the installation says. All durations in seconds."""

    canary_seconds: int = 1800
    """`canary_until` lies this far ahead; when it has passed, routers go back to stable by themselves."""
    renew_seconds: int = 600
    look_seconds: float = 5.0
    """How often a rollout that waits for agents or samples is reconciled, besides at each change of their reports."""
    installation: str = ""


@dataclass(frozen=True, kw_only=True)
class Watched:
    """What this process remembers of the watch on the canary; lost with the process, then counted anew."""

    healthy_seconds: float = 0.0
    """Healthy time of the current step that this process saw, beyond what the status has."""
    first_bad_ms: int | None = None
    """Milliseconds since the first report of canary errors or latency above its limit."""
    arrived_ms: int = 0
    """Milliseconds since the newest report came in."""
    write_ms: int | None = None
    """Milliseconds from the decision to go back to the tombstone's answer."""
    listening_seconds: float = inf
    """How long this process has been taking reports; agents send one every 5 s."""
    effect_ms: int | None = None
    """Milliseconds from the tombstone's write to the last agent's confirmation."""


@dataclass(frozen=True, kw_only=True)
class State:
    """One moment. Facts from outside Kubernetes are UNSEEN until the decision needs them."""

    now: datetime
    rollout: Rollout
    identity: str
    settings: RolloutSettings
    agent_model: AgentModel | None
    record: Record | None
    run: TrainingRun | None = None
    """The TrainingRun that the candidate names, where it does."""
    file: File | None = None
    file_problem: str = ""
    file_missing: bool = False
    """The ConfigMap does not exist, so there is nothing to put back; a malformed file is waited for instead."""
    file_is_live: bool = False
    """Whether `file`, or why there is none, was read from the API server for this decision."""
    secret_problem: str = ""
    rebase: tuple[str, RoutingBlock | None] | None = None
    """This process wrote an intent from scratch, sent its file write once, and it definitely did not land:
    (uid, the block that it was decided from)."""
    watched: Watched = field(default_factory=Watched)
    reports: AgentReports | None = None
    """For the intended generation; None: no router was heard and no Pod is expected."""

    endpoint: Endpoint | Outage | Unseen | None = UNSEEN
    answers: bool | Unseen = UNSEEN
    price: int | Outage | Unseen | None = UNSEEN
    """Micro-USD per hour of one replica of the candidate's endpoint."""
    candidate_model: ModelInfo | Outage | Unseen | None = UNSEEN
    check: ProgramState | Outage | Unseen | None = UNSEEN
    """Whether the evaluation can be made: asked before the claim."""
    evaluation: ProgramState | Outage | Unseen | None = UNSEEN

    @property
    def uid(self) -> str:
        return self.rollout.metadata.uid

    @property
    def asked_to_stop(self) -> bool:
        """Whether a person wants it back: the spec or the deletion says so, no latch is needed."""
        return self.rollout.spec.abort or self.rollout.metadata.deletion_timestamp is not None

    @property
    def holds_agent_lock(self) -> bool:
        return (
            self.record is not None and self.record.active is not None and self.record.active.uid == self.uid
        )

    @property
    def block(self) -> RoutingBlock | None:
        return self.file.entry.routing if self.file else None

    def require_agent_model(self) -> AgentModel:
        """The AgentModel, for the steps after `agent_model_is_missing`."""
        return require_established(self.agent_model, "the AgentModel")

    def require_record(self) -> Record:
        """The agent's record, for the steps after `agent_model_is_missing`."""
        return require_established(self.record, "the agent's record")

    def require_active(self) -> Active:
        """The entry of the record that locks the agent, for the steps after `ensure_agent_locked`."""
        return require_established(self.require_record().active, "the lock on the agent")

    def require_file(self) -> File:
        """The agents' file, for the steps that checked whether it could be read."""
        return require_established(self.file, "the agents' file")

    def require_candidate(self) -> CandidateStatus:
        """The candidate in the status, for the steps after `show_agent_lock`."""
        return require_established(self.rollout.status.candidate, "the candidate in the status")

    def require_intent(self) -> Intent:
        """The intended routing, for the steps after `ensure_canary_armed`."""
        return require_established(self.rollout.status.intent, "the intended routing")

    def require_reports(self) -> AgentReports:
        """The agents' reports, for the steps after `await_agents_in_sync`."""
        return require_established(self.reports, "the agents' reports")


def same_target(found: StableTarget | None, target: Target) -> bool:
    """Whether the file's stable keys name the target; a key that the file leaves out says nothing."""
    if found is None or found.model is None:
        return False
    pairs = (
        (found.model, target.served_model or target.model),
        (found.endpoint, target.endpoint),
        (found.version, target.version),
        (found.endpoint_url, target.endpoint_url),
        (found.api_key_env, target.api_key_env),
    )
    return all(have is None or not want or have == want for have, want in pairs)


def stable_keys(target: Target) -> StableTarget:
    """The file's five keys for a target."""
    return StableTarget(
        model=target.served_model or target.model,
        endpoint=target.endpoint,
        version=target.version,
        endpoint_url=target.endpoint_url,
        api_key_env=target.api_key_env,
    )
