"""Creating the agent's record, and adding to it what only the statuses still have."""

from __future__ import annotations

from modelops.api.v1alpha1.names import FINALIZER
from modelops.domain.agentmodel.actions import AgentModelFact, AgentModelPlan, AgentModelStep
from modelops.domain.agentmodel.bootstrap import baseline_target, first_record, with_statuses
from modelops.domain.agentmodel.state import State
from modelops.domain.agentmodel.status_report import RESYNC_SECONDS, report_status
from modelops.domain.agents_config_map import location_in_spec, location_on_record
from modelops.domain.drift import is_same_baseline
from modelops.domain.money import display_usd
from modelops.domain.plan import Announce, Plan, WriteFinalizers, WriteRecord, WriteStatus
from modelops.domain.record import Record
from modelops.domain.rollout.state import same_target
from modelops.domain.versions import BASELINE


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
    record = first_record(state)
    steps: tuple[AgentModelStep, ...] = (WriteRecord(record=record, purpose="first record"),)
    if state.agent_model.status.stable is not None:
        steps = (
            *steps,
            Announce(reason="RecordRebuilt", message=rebuilt_message(state, record), warning=True),
        )
    return Plan(steps=steps, requeue_after=0)


def rebuilt_message(state: State, record: Record) -> str:
    """What a record that was made from statuses has, and what may be lost."""
    name, booked = state.agent_model.metadata.name, display_usd(record.booked(f"{state.now:%Y-%m}"))
    known = {entry.version for entry in record.history} | record.served.keys()
    lost = [v.version for v in state.agent_model.status.versions if v.version not in known]
    versions = f"Versions {', '.join(lost)} are not in it" if lost else "Older versions may not be in it"
    return (
        f"the record of AgentModel {name} was missing and was made again from the statuses and the agents' file. "
        f"{record.stable.version} ({record.stable.model}) is stable, and {booked} of this month are booked. "
        f"{versions}: `modelops registry rebuild {name} -n {state.agent_model.metadata.namespace}` adds what the Hub "
        "still has"
    )


def follow_file_of_spec(state: State) -> AgentModelPlan | None:
    """The record names the file of an AgentModel that was deleted and created again with another one.

    Only while no rollout is active: one that is ends in the file that it has written. The AgentModel is read live: an
    old copy would name the file of before.
    """
    record, wanted = state.require_record(), location_in_spec(state.agent_model)
    if record.active is not None or record.undo is not None or location_on_record(record) == wanted:
        return None
    if not state.live:
        return Plan(needs=AgentModelFact.LIVE)
    changed = record.with_(agent=wanted.agent, config_map=wanted.config_map, config_key=wanted.key)
    message = (
        f"rollouts of AgentModel {state.agent_model.metadata.name} now write {wanted}; before it was created again "
        f"they wrote {location_on_record(record)}"
    )
    return Plan(
        steps=(
            WriteRecord(record=changed, purpose="follow the file of the spec"),
            Announce(reason="FileChanged", message=message, warning=False),
        ),
        requeue_after=0,
    )


def adopt_corrected_baseline(state: State) -> AgentModelPlan | None:
    """v1.0.0 is what spec.baseline says while it is stable and the agents' file says the same.

    So a typo in spec.baseline can be corrected. Both are read live: an old copy of one would not agree with the other.
    """
    record, file, baseline = state.require_record(), state.file, baseline_target(state)
    under_way = record.active is not None or record.undo is not None
    if under_way or file is None or record.stable.version != BASELINE:
        return None
    if is_same_baseline(record.stable, baseline) or not same_target(file.entry.stable, baseline):
        return None
    if not state.live:
        return Plan(needs=AgentModelFact.LIVE)
    corrected = baseline.model_copy(update={"since": record.stable.since})
    changed = record.with_(stable=corrected, served={**record.served, BASELINE: corrected})
    message = (
        f"{BASELINE} is now {corrected.model} ({corrected.endpoint}), as spec.baseline and the agents' file say; it "
        f"was {record.stable.model} ({record.stable.endpoint})"
    )
    return Plan(
        steps=(
            WriteRecord(record=changed, purpose="follow the corrected baseline"),
            Announce(reason="BaselineCorrected", message=message, warning=False),
        ),
        requeue_after=0,
    )


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
