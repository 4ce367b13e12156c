"""Changing the roles of endpoints in the record."""

from __future__ import annotations

from collections.abc import Mapping

from modelops.api.v1alpha1.agentmodel import EndpointRole
from modelops.domain.agentmodel.actions import AgentModelPlan
from modelops.domain.agentmodel.state import State
from modelops.domain.plan import Plan, WriteRecord


def with_roles(state: State, roles: Mapping[str, EndpointRole], purpose: str) -> AgentModelPlan:
    """Writes these roles of endpoints into the record. A stable one, and a canary's, has no time to stop."""
    record = state.require_record()
    serving = (EndpointRole.STABLE, EndpointRole.CANARY)
    entries = tuple(
        entry.model_copy(
            update={
                "role": roles[entry.name].value,
                "stop_after": "" if roles[entry.name] in serving else entry.stop_after,
            }
        )
        if entry.name in roles
        else entry
        for entry in record.endpoints
    )
    write = WriteRecord(
        record=record.with_(endpoints=entries), purpose=f"{purpose}: {', '.join(sorted(roles))}"
    )
    return Plan(steps=(write,), requeue_after=0)
