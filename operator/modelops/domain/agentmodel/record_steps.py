"""Creating the agent's record, and adding to it what only the statuses still have."""

from __future__ import annotations

from modelops.api.v1alpha1.names import FINALIZER
from modelops.domain.agentmodel.actions import AgentModelFact, AgentModelPlan
from modelops.domain.agentmodel.bootstrap import first_record, with_statuses
from modelops.domain.agentmodel.state import State
from modelops.domain.agentmodel.status_report import RESYNC_SECONDS, report_status
from modelops.domain.plan import Plan, WriteFinalizers, WriteRecord, WriteStatus


def ensure_finalizer(state: State) -> AgentModelPlan | None:
    """The finalizer keeps the AgentModel until its endpoints are stopped."""
    meta = state.agent_model.metadata
    if FINALIZER in meta.finalizers:
        return None
    return Plan(steps=(WriteFinalizers(finalizers=(*meta.finalizers, FINALIZER)),), requeue_after=0)


def ensure_record(state: State) -> AgentModelPlan | None:
    """Creates a new agent's record, or rebuilds a deleted one, once the file can be read: it names the stable model.

    All objects are read from the API server for this. A record that is rebuilt from an old copy of a status would miss
    what only the newest one names.
    """
    if state.record is not None:
        return None
    if state.file is None:
        return report_status(state, RESYNC_SECONDS / 4)
    if not state.live:
        return Plan(needs=AgentModelFact.LIVE)
    return Plan(steps=(WriteRecord(record=first_record(state), purpose="first record"),), requeue_after=0)


def restore_record_from_statuses(state: State) -> AgentModelPlan | None:
    """Adds to the record what a status has and the record does not.

    Statuses follow from the record, so a status that has more was written before the record was rebuilt or restored.
    This AgentModel's own status may be an old copy: writing it unchanged proves that it is not.
    """
    record = state.require_record()
    restored = with_statuses(state, record)
    if restored == record:
        return None
    if not state.live:
        return Plan(needs=AgentModelFact.LIVE)
    return Plan(
        steps=(
            WriteStatus(status=state.agent_model.status),
            WriteRecord(record=restored, purpose="restore what only the statuses have"),
        ),
        requeue_after=0,
    )
