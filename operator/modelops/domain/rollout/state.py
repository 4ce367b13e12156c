"""Everything that a decision about a Rollout is made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from math import inf

from modelops.api.v1alpha1.agentmodel import AgentModel
from modelops.api.v1alpha1.rollout import CandidateStatus, Intent, Rollout
from modelops.api.v1alpha1.trainingrun import TrainingRun
from modelops.domain.agentsfile import AgentEntry, RoutingBlock, StableTarget
from modelops.domain.analysis import Evidence
from modelops.domain.established import require_established
from modelops.domain.facts import UNSEEN, Outage, Unseen
from modelops.domain.metrics.counting import MetricReading
from modelops.domain.record import ActiveRollout, Record, Target
from modelops.domain.stop import Stop
from modelops.ports import AgentReports, AgentTraffic, Endpoint, ModelInfo, ProgramState


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
    """Settings of the installation. All durations are in seconds."""

    canary_seconds: int = 1800
    """`canary_until` is this far ahead; when it has passed, routers go back to stable by themselves."""
    renew_seconds: int = 600
    """`canary_until` is renewed when it is this much older than a new one would be."""
    poll_seconds: float = 5.0
    """How often a rollout that waits for agents or samples is reconciled, besides at each change of their reports."""
    approval_seconds: float = 86400.0
    """How long an offer can be approved."""
    installation: str = ""
    hub_org: str = ""
    """The Hugging Face account in which new endpoints are created."""


@dataclass(frozen=True, kw_only=True)
class CanaryMeasurements:
    """What this process has measured on the canary. A restart loses it, and the measurement starts anew."""

    healthy_seconds: float = 0.0
    """Healthy time of the current step that this process has counted and the status does not have yet."""
    first_bad_age_ms: int | None = None
    """Milliseconds since the first report of canary errors or latency above its limit."""
    newest_report_age_ms: int = 0
    """Milliseconds since the newest report arrived."""
    write_ms: int | None = None
    """Milliseconds from the decision to abort to the API server's answer to the tombstone."""
    listening_seconds: float = inf
    """How long this process has been taking reports; agents send one every 5 s."""
    effect_ms: int | None = None
    """Milliseconds from the tombstone's write to the last agent's confirmation."""


@dataclass(frozen=True, kw_only=True)
class State:
    """What one decision knows. Facts from outside Kubernetes are UNSEEN until the decision asks for them."""

    now: datetime
    rollout: Rollout
    identity: str
    settings: RolloutSettings
    agent_model: AgentModel | None
    record: Record | None
    run: TrainingRun | None = None
    """The TrainingRun that the candidate names; None where it names none, or the run does not exist."""
    file: File | None = None
    file_problem: str = ""
    file_missing: bool = False
    """The ConfigMap does not exist, so nothing can be restored in it. A malformed file is waited for instead."""
    mount_problem: str = ""
    """Why Pods of the agent never see a change of the file; empty where none is known to miss it."""
    active_rollout: Rollout | None = None
    """The Rollout that has the agent lock, this one included; None where none has, or its object does not exist."""
    waiting: tuple[Rollout, ...] = ()
    """The other Rollouts of this AgentModel that have not ended and have no lock; empty once this one has begun."""
    stop: Stop | None = None
    """The emergency stop that holds the agent; None where none is set."""
    older_owner: str = ""
    """Name of an older AgentModel for the same agent in the same ConfigMap; empty where there is none."""
    file_refusal: str = ""
    """Why the API server refused this process's last write of the file; empty after a write that it took."""
    file_is_live: bool = False
    """Whether `file`, or why there is none, was read from the API server for this decision."""
    secret_problem: str = ""
    rebase: tuple[str, RoutingBlock | None] | None = None
    """(uid, the block that the intent was decided from), if this process wrote a new intent, sent the write of the file
    once, and the API server refused it with a conflict."""
    measurements: CanaryMeasurements = field(default_factory=CanaryMeasurements)
    reports: AgentReports | None = None
    """For the intended generation; None where no router has reported and no Pod is expected."""
    traffic: AgentTraffic | None = None
    """The agent's sessions since this process listens, for the forecast; None where it is made, or nothing is known."""
    evidence: Evidence | None = None
    """What the sessions of the reports show, with the bets of earlier reports; None: judged from these alone."""

    endpoint: Endpoint | Outage | Unseen | None = UNSEEN
    answers: bool | Unseen = UNSEEN
    price: int | Outage | Unseen | None = UNSEEN
    """Micro-USD per hour of one replica of the candidate's endpoint."""
    candidate_model: ModelInfo | Outage | Unseen | None = UNSEEN
    check: ProgramState | Outage | Unseen | None = UNSEEN
    """The program that checks whether the evaluation can be made; asked before the agent is locked."""
    evaluation: ProgramState | Outage | Unseen | None = UNSEEN
    keys_replaced: bool | Outage | Unseen = UNSEEN
    """Whether the Secrets have other keys now than the program that refused one was started with."""
    metrics: Mapping[str, MetricReading | None] | Outage | Unseen = UNSEEN
    """The newest answers about the metrics that are due, by name; None where the provider has not answered yet."""

    @property
    def uid(self) -> str:
        return self.rollout.metadata.uid

    @property
    def abort_is_requested(self) -> bool:
        """Whether a person asked for an abort, by the spec or by deletion: then no latch is needed."""
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

    def require_active(self) -> ActiveRollout:
        """The entry of the record that locks the agent, for the steps after `ensure_agent_locked`."""
        return require_established(self.require_record().active, "the lock on the agent")

    def require_file(self) -> File:
        """The agents' file, for the steps that checked whether it could be read."""
        return require_established(self.file, "the agents' file")

    def require_candidate(self) -> CandidateStatus:
        """The candidate in the status, for the steps after `report_agent_lock`."""
        return require_established(self.rollout.status.candidate, "the candidate in the status")

    def require_intent(self) -> Intent:
        """The intended routing, for the steps after `ensure_canary_armed`."""
        return require_established(self.rollout.status.intent, "the intended routing")

    def require_reports(self) -> AgentReports:
        """The agents' reports, for the steps after `await_agents_in_sync`."""
        return require_established(self.reports, "the agents' reports")


def same_target(found: StableTarget | None, target: Target) -> bool:
    """Whether the file's stable keys name the target.

    A key that the file leaves out is not compared, except for the address of a model that has an endpoint of its own:
    agents cannot call it without one.
    """
    if found is None or found.model is None:
        return False
    if target.endpoint == "huggingface" and target.endpoint_url and not found.endpoint_url:
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
    """The target as the five stable keys of the agents' file."""
    return StableTarget(
        model=target.served_model or target.model,
        endpoint=target.endpoint,
        version=target.version,
        endpoint_url=target.endpoint_url,
        api_key_env=target.api_key_env,
    )
