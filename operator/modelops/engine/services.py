"""The clients of what is outside Kubernetes, shared by the reconcilers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from modelops.domain.facts import Outage
from modelops.domain.record import Record
from modelops.engine.metric_source import MetricSource
from modelops.ports import (
    Endpoints,
    Hub,
    Jobs,
    Json,
    ProgramOwner,
    Programs,
    ProgramSecret,
    Refused,
    TokenRefused,
    Unavailable,
)


@dataclass(frozen=True, kw_only=True)
class Services:
    """Clients and what every call of them needs to know."""

    jobs: Jobs
    hub: Hub
    endpoints: Endpoints
    programs: Programs
    hub_org: str
    """The Hub organisation that is billed where a run names none."""
    require_leadership: Callable[[], None] = lambda: None
    """Raises NotLeader; asked before every write outside Kubernetes."""
    host_refusal: Callable[[str, str, str], str] = lambda _url, _service, _what: ""
    """Why a token of this service may not be sent to this address of `what`; empty where it may be."""
    agent_refusal: Callable[[str, str], str] = lambda _url, _namespace: ""
    """Why an evaluation may not ask an agent of this namespace at this address; empty where it may."""
    metrics: MetricSource | None = None
    """Measures the canary beside the agents' reports; None where nothing can be measured."""
    program_environment: Mapping[str, str] = field(default_factory=dict)
    """Service URLs for our own programs; never secrets."""

    def account_of_endpoint(self, record: Record | None, name: str) -> str:
        """The account of an endpoint by the record: a change of the settings moves none. A new one is in `hub_org`."""
        return (record.endpoint_account(name) if record is not None else "") or self.hub_org

    async def start_program(
        self,
        name: str,
        module: str,
        given: Json,
        *,
        secrets: Mapping[str, ProgramSecret],
        owner: ProgramOwner,
    ) -> None:
        """Starts it; one that was begun with another input (somebody edited the AgentModel) begins anew."""
        environment = self.program_environment
        try:
            await self.programs.start(name, module, given, environment, secrets=secrets, owner=owner)
        except Refused:
            await self.programs.stop(name)
            await self.programs.start(name, module, given, environment, secrets=secrets, owner=owner)


def outage_of(service: str, error: Exception) -> Outage:
    """The fact that a service did not answer, or answered with a refusal."""
    retry_after = error.retry_after if isinstance(error, Unavailable) else None
    return Outage(
        service=service,
        message=str(error),
        retry_after=retry_after,
        refused=not isinstance(error, Unavailable),
        token_refused=isinstance(error, TokenRefused),
    )
