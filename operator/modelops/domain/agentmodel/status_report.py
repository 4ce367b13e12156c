"""Writing the AgentModel's status, with an Event for each condition that changed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from modelops.api.v1alpha1.agentmodel import AgentModelStatus
from modelops.api.v1alpha1.meta import ConditionStatus
from modelops.domain.agentmodel.actions import AgentModelPlan
from modelops.domain.agentmodel.project import differs, project_status
from modelops.domain.agentmodel.readiness import MAX_OUT_OF_SYNC_SECONDS
from modelops.domain.agentmodel.state import State
from modelops.domain.agentmodel.watch import seconds_until_next_look
from modelops.domain.kstatus import RECONCILING, STALLED
from modelops.domain.plan import Announce, Plan, WriteStatus
from modelops.domain.reasons import AgentModelReason

RESYNC_SECONDS = 60.0
UNWATCHED_SECONDS = 5.0
"""Until a ConfigMap or Secret that cannot be used is read again. No event tells that it was created or labelled: the
watch of ConfigMaps selects by the label, and Secrets are not watched."""
ENDPOINT_POLL_SECONDS = 5.0
DRILL_POLL_SECONDS = 0.25
"""Between two looks at the confirmations that a drill waits for; each report causes one as well."""
UNDO_POLL_SECONDS = 1.0
"""Between two looks at the endpoint that an undo waits for."""
SAID_BY_READY = frozenset({STALLED, RECONCILING})
GOOD_WHEN_TRUE = frozenset({"Ready", "InSync", "BudgetAvailable"})


def report_status(state: State, requeue_after: float | None) -> AgentModelPlan:
    """Writes the status where it has changed. Decides again after these seconds; sooner where no event would tell."""
    if requeue_after is not None and (state.file is None or state.secret_problem):
        requeue_after = min(requeue_after, UNWATCHED_SECONDS)
    status, old = project_status(state), state.agent_model.status
    if not differs(status, old):
        return Plan(requeue_after=requeue_after)
    return Plan(
        steps=(WriteStatus(status=status), *announce_changed_conditions(old, status)),
        requeue_after=requeue_after,
    )


def announce_changed_conditions(old: AgentModelStatus, new: AgentModelStatus) -> Iterator[Announce]:
    """An Event for each condition that changed. A new AgentModel has one for Ready and for each problem.

    Ready often has the reason and the message of another condition; they are said once.
    """
    said = set()
    before = {condition.type: condition.status for condition in old.conditions}
    for condition in new.conditions:
        if condition.type in SAID_BY_READY:
            continue
        good = (condition.status is ConditionStatus.TRUE) == (condition.type in GOOD_WHEN_TRUE)
        expected = ConditionStatus(condition.status) if good and condition.type != "Ready" else None
        if before.get(condition.type, expected) is not condition.status:
            message = condition.message or AgentModelReason.named(condition.reason).doc
            if (condition.reason, message) in said:
                continue
            said.add((condition.reason, message))
            yield Announce(reason=condition.reason, message=message, warning=not good)


def another_agent_model_owns_the_agent(state: State) -> AgentModelPlan | None:
    """Two AgentModels over one agent would write the same file: the newer one only reports the conflict."""
    return report_status(state, None) if state.older else None


def record_is_not_readable(state: State) -> AgentModelPlan | None:
    """A record that cannot be read is never overwritten."""
    return report_status(state, RESYNC_SECONDS) if state.record_problem else None


def report_and_requeue(state: State) -> AgentModelPlan:
    """The status, and a new decision when the next endpoint is to be stopped."""
    after = RESYNC_SECONDS
    for entry in state.require_record().endpoints:
        if entry.stop_after:
            left = (datetime.fromisoformat(entry.stop_after) - state.now) / timedelta(seconds=1)
            after = min(after, max(ENDPOINT_POLL_SECONDS / 5, left + 0.1))
    if state.require_record().undo is not None:
        after = min(after, UNDO_POLL_SECONDS)
    if state.require_record().drill is not None:
        after = min(after, DRILL_POLL_SECONDS)
    look = seconds_until_next_look(state)
    after = after if look is None else min(after, look)
    if 0 < state.out_of_sync_seconds < MAX_OUT_OF_SYNC_SECONDS:
        after = min(after, MAX_OUT_OF_SYNC_SECONDS - state.out_of_sync_seconds + 0.1)
    plan = report_status(state, after)
    return plan if plan.empty or state.rest_seconds <= 0 else Plan(requeue_after=state.rest_seconds)
