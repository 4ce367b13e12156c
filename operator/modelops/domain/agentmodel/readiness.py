"""Whether agents are served by what status.stable says: the first problem that makes that doubtful, with its remedy."""

from __future__ import annotations

from modelops.api.v1alpha1.rollout import Rollout
from modelops.api.v1alpha1.trainingrun import TrainingRun
from modelops.domain.agentmodel.drift_held import why_held
from modelops.domain.agentmodel.state import State
from modelops.domain.agentmodel.undo_endpoint import waiting_message
from modelops.domain.agents_config_map import other_file_problem
from modelops.domain.conditions import condition_of
from modelops.domain.drift import drift_between
from modelops.domain.reasons import AgentModelReason, RolloutReason, TrainingReason
from modelops.domain.rollout.status import TERMINAL
from modelops.domain.undo import unrecorded_mark

MAX_OUT_OF_SYNC_SECONDS = 30.0
"""Agents report every 5 s, and a Pod that starts needs a few seconds more: after this long it is no transition."""
ANSWERING_STATES = frozenset({"running", "updating", "scaledToZero"})
"""States of an Inference Endpoint that answers; one that is scaled to zero starts with the first request."""


def first_problem(state: State) -> tuple[AgentModelReason, str] | None:
    """The reason and message of the first problem that keeps the AgentModel from being ready."""
    if state.agent_model.metadata.deletion_timestamp is not None:
        return AgentModelReason.Deleting, deletion_message(state)
    if state.older:
        return AgentModelReason.TargetConflict, f"AgentModel {state.older} already owns this agent"
    if state.record_problem:
        return AgentModelReason.RecordNotReadable, state.record_problem
    if state.file is None:
        return AgentModelReason.ConfigNotUsable, state.file_problem
    if state.mount_problem:
        return AgentModelReason.ConfigNotUsable, state.mount_problem
    other_file = other_file_problem(state.agent_model, state.record)
    if other_file:
        return AgentModelReason.ConfigNotUsable, other_file
    abort = blocked_abort(state)
    if abort is not None:
        return AgentModelReason.ConfigNotUsable, abort
    undoing = going_back(state)
    if undoing is not None:
        return AgentModelReason.GoingBack, undoing
    drift = stable_drift(state)
    if drift is not None:
        return drift_reason(state), drift
    if state.secret_problem:
        return AgentModelReason.SecretNotUsable, state.secret_problem
    outage = state.service_outage
    if outage is not None:
        refused = outage.token_refused
        return (
            AgentModelReason.TokenRefused if refused else AgentModelReason.EndpointServiceUnavailable,
            outage.message,
        )
    refused_token = user_with_refused_token(state)
    if refused_token is not None:
        return AgentModelReason.TokenRefused, refused_token
    endpoint = endpoint_problem(state)
    if endpoint is not None:
        return AgentModelReason.EndpointNotRunning, endpoint
    agents = agents_problem(state)
    return (AgentModelReason.AgentsNotInSync, agents) if agents is not None else None


def blocked_abort(state: State) -> str | None:
    """What an abort of the active rollout waits for while agents may still use its canary; None where none waits."""
    rollout = state.active_rollout
    if rollout is None or rollout.status.phase in TERMINAL:
        return None
    routing = condition_of(rollout.status.conditions, "RoutingPropagated")
    if routing is None or routing.status != "False" or routing.reason != RolloutReason.ConfigNotUsable.value:
        return None
    return f"Rollout {rollout.metadata.name} cannot take its canary from the agents: {routing.message}"


def stable_drift(state: State) -> str | None:
    """`drift_between` for the AgentModel; None where the file or the record cannot be read."""
    if state.record is None or state.file is None:
        return None
    drift = drift_between(state.record, state.file.entry, agent_model=state.agent_model.metadata.name)
    held = why_held(state) if drift is not None else None
    return f"{drift}. {held}" if held else drift


def going_back(state: State) -> str | None:
    """Drift 1: what an undo waits for, or that the file has one that the record lacks; None where none is under way."""
    record = state.record
    if record is None:
        return None
    if record.undo is not None:
        return waiting_message(state)
    mark = unrecorded_mark(record, state.file.entry.routing if state.file is not None else None)
    if mark is None:
        return None
    return f"the agents' file was changed by a direct undo to {mark.rollout.undo}: it goes on record"


def drift_reason(state: State) -> AgentModelReason:
    """Drift 5: whether the file names a version that an undo left, which is never adopted."""
    stable = state.file.entry.stable if state.file is not None else None
    undone = state.record is not None and stable is not None and stable.version in state.record.undone
    return AgentModelReason.UndoneVersionServes if undone else AgentModelReason.StableDrift


def user_with_refused_token(state: State) -> str | None:
    """A TrainingRun or Rollout of the agent that waits because Hugging Face refuses the token, and its message."""
    for run in state.runs.values():
        if run.status.reason == TrainingReason.TokenRefused.value:
            return f"TrainingRun {run.metadata.name}: {message_of(run)}"
    for rollout in state.rollouts.values():
        if rollout.status.reason == RolloutReason.TokenRefused.value:
            return f"Rollout {rollout.metadata.name}: {message_of(rollout)}"
    return None


def message_of(user: TrainingRun | Rollout) -> str:
    """What the run or rollout says it waits for."""
    ready = condition_of(user.status.conditions, "Ready")
    return ready.message if ready is not None else user.status.reason


def endpoint_problem(state: State) -> str | None:
    """Why the endpoint of the stable model does not serve it; None where it does, or has no endpoint of ours."""
    record = state.record
    if record is None or not record.stable.endpoint_name:
        return None
    stable, name = record.stable, record.stable.endpoint_name
    others = ", ".join(version for version in record.served if version != stable.version)
    undo = f"create a Rollout with candidate.version set to a version that served before ({others})"
    if all(entry.name != name for entry in record.endpoints):
        return (
            f"endpoint {name} of {stable.version} ({stable.model}) was stopped, and agents that call it get errors: "
            f"{undo}; after that, another Rollout can go back to {stable.version} and starts its endpoint"
        )
    if state.listed_endpoints is None:
        return None
    listed = next((endpoint for endpoint in state.listed_endpoints if endpoint.name == name), None)
    if listed is None:
        return f"endpoint {name} of {stable.version} ({stable.model}) does not exist at the service: it is created"
    if listed.state not in ANSWERING_STATES:
        words = f": {listed.message}" if listed.message else ""
        return (
            f"endpoint {name} of {stable.version} ({stable.model}) is {listed.state}{words}. If it does not start, "
            f"{undo}"
        )
    if listed.url and stable.endpoint_url and listed.url.rstrip("/") != stable.endpoint_url.rstrip("/"):
        return (
            f"endpoint {name} of {stable.version} is now at {listed.url}, and the agents' file names "
            f"{stable.endpoint_url}: {undo}"
        )
    return None


def agents_problem(state: State) -> str | None:
    """Which agent processes may use an older version of the file; None where all have confirmed the newest one."""
    reports, record = state.reports, state.record
    if reports is None or record is None or state.out_of_sync_seconds < MAX_OUT_OF_SYNC_SECONDS:
        return None
    refusing = f" {reports.refusing} of them have refused a version of it." if reports.refusing else ""
    if reports.config_errors:
        refusing = f" They refuse it: {'; '.join(reports.config_errors)}."
    behind = f" (not: {', '.join(state.unconfirmed)})" if state.unconfirmed else ""
    return (
        f"{reports.in_sync} of {reports.expected} agent processes of {record.agent} have confirmed the newest "
        f"version of the file{behind}. The others may use an older version of the file, because "
        f"they do not see ConfigMap {record.config_map}, refuse it, or cannot report.{refusing} router.state() in the "
        "agent says which"
    )


def deletion_message(state: State) -> str:
    """What the deletion waits for."""
    record = state.record
    names = ", ".join(entry.name for entry in record.endpoints) if record else ""
    if not names:
        return "the AgentModel is being deleted"
    outage = state.service_outage
    if outage is not None or state.lacks_hub_token:
        cause = outage.message if outage is not None else state.secret_problem
        return f"the AgentModel is being deleted, and its endpoints {names} cannot be stopped now: {cause}"
    if state.entry is None:
        return (
            f"the AgentModel is being deleted, and its endpoints {names} are not stopped now, because the agents' file "
            f"cannot be read and may name their models: {state.file_problem}. After an hour the AgentModel is removed "
            "in any case, and they run on and bill"
        )
    return (
        f"the AgentModel is being deleted: endpoints {names} are stopped as soon as the agents' file names other "
        "models and no agent reports theirs as in use. After an hour the AgentModel is removed in any case, and they "
        "run on and bill"
    )
