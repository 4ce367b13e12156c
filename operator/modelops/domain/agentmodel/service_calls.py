"""The calls of services that an agent needs now, in one plan: none that fails keeps another from being made."""

from __future__ import annotations

from modelops.domain.agentmodel.actions import AgentModelPlan
from modelops.domain.agentmodel.endpoints import creation_steps, deletion_steps, resume_steps
from modelops.domain.agentmodel.orphans import settlement_steps
from modelops.domain.agentmodel.state import State
from modelops.domain.agentmodel.status_report import ENDPOINT_POLL_SECONDS
from modelops.domain.plan import Plan


def call_services(state: State) -> AgentModelPlan | None:
    """Deletes, resumes and creates endpoints, and settles the attempts of TrainingRuns that do not exist.

    A service that creates nothing at the moment (no quota, a rate limit) or that deletes nothing holds up nothing else.
    Settlements come last: each writes the record itself, and the unchanged record before a creation must not undo that.
    """
    deletions, creations = deletion_steps(state), creation_steps(state)
    steps = (*deletions, *resume_steps(state), *creations, *settlement_steps(state))
    if not steps:
        return None
    soon = deletions or creations or state.require_record().undo is not None
    after = ENDPOINT_POLL_SECONDS / 10 if soon else ENDPOINT_POLL_SECONDS
    return Plan(steps=steps, requeue_after=after)
