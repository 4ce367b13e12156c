"""What a decision about an AgentModel may do outside Kubernetes, and which facts it may ask for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from modelops.domain.plan import Action, Authority, Fact, Plan, Write
from modelops.domain.record import EndpointEntry


class AgentModelFact(Fact):
    """Each member is a field of `domain.agentmodel.state.State`, where what it means is documented."""

    ENDPOINTS = "endpoints"
    ANSWERS = "answers"
    PRICE = "price"
    LIVE = "live"
    """The agents' file and all statuses, read past the cache."""


@dataclass(frozen=True, kw_only=True)
class CreateEndpoint(Action):
    """Creates the Inference Endpoint that the record names."""

    authority: ClassVar[Authority] = Authority.AGENT
    independent: ClassVar[bool] = True
    trace: ClassVar[str] = "create_endpoint"

    entry: EndpointEntry

    def particulars(self) -> Mapping[str, str | int]:
        return {"name": self.entry.name}


@dataclass(frozen=True, kw_only=True)
class DeleteEndpoint(Action):
    """Deletes an Inference Endpoint; one that does not exist is no error."""

    authority: ClassVar[Authority] = Authority.INSTALLATION
    independent: ClassVar[bool] = True
    trace: ClassVar[str] = "delete_endpoint"

    name: str


@dataclass(frozen=True, kw_only=True)
class SettleOrphanedAttempt(Action):
    """Closes, stops and settles an attempt whose TrainingRun does not exist (protocol, Paid job 11)."""

    authority: ClassVar[Authority] = Authority.INSTALLATION
    independent: ClassVar[bool] = True
    trace: ClassVar[str] = "settle_orphaned_attempt"

    key: str
    """The reservation's, `<run uid>/<attempt>`."""
    uid: str
    attempt: int


@dataclass(frozen=True, kw_only=True)
class ResumeEndpoint(Action):
    """Starts a paused Inference Endpoint again; one that runs already is no error."""

    authority: ClassVar[Authority] = Authority.AGENT
    independent: ClassVar[bool] = True
    trace: ClassVar[str] = "resume_endpoint"

    name: str


AgentModelAction = CreateEndpoint | DeleteEndpoint | ResumeEndpoint | SettleOrphanedAttempt
AgentModelPlan = Plan[AgentModelAction, AgentModelFact]
AgentModelStep = Write | AgentModelAction
