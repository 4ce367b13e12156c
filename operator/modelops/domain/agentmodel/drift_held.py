"""Whether `spec.driftPolicy` acts on a drift, and why not where it holds it: protocol "Drift" 3 and 4."""

from __future__ import annotations

from modelops.api.v1alpha1.agentmodel import DriftPolicy
from modelops.domain.agentmodel.state import State
from modelops.domain.agentsfile import StableTarget
from modelops.domain.record import Record, Target
from modelops.domain.rollout.state import same_target
from modelops.domain.undo import undone_at


def why_held(state: State) -> str | None:
    """Why the drift is held although the policy is another one; None under Hold, and where the policy acts."""
    record, file, policy = state.record, state.file, state.agent_model.spec.drift_policy
    if record is None or file is None or policy is DriftPolicy.HOLD:
        return None
    if policy is DriftPolicy.RESTORE:
        if not record.stable.since and not record.last_undo_at:
            return (
                "spec.driftPolicy Restore does not put the keys back before the first promotion: spec.baseline may be "
                "the mistake as well as the file"
            )
        if record.restored != commit_of(record):
            return None
        return (
            "spec.driftPolicy Restore has put the keys back once since the last promotion or undo, and somebody "
            "changed them again: it does not fight. Find out who writes them"
        )
    found = adoptable(record, file.entry.stable)
    return f"spec.driftPolicy Adopt does not take it over: {found}" if isinstance(found, str) else None


def commit_of(record: Record) -> str:
    """What identifies the last change of stable on record: a promotion, an undo, an adoption, another baseline."""
    stable = record.stable
    return " ".join((stable.version, stable.model, stable.since, record.last_undo_at))


def adoptable(record: Record, stable: StableTarget | None) -> Target | str:
    """3: the version of the file's stable keys, or why it is not taken over."""
    if stable is None or stable.model is None:
        return "the file names no model"
    found = [target for target in record.served.values() if same_target(stable, target)]
    if not found:
        return f"{stable.model} ({stable.version or 'no version'}) never served {record.agent}"
    if len(found) > 1:
        return f"the file names no version, and {stable.model} served as {' and '.join(t.version for t in found)}"
    target = found[0]
    at = undone_at(record, target)
    if at:
        return f"an undo left {target.version} at {at}. To serve it again, create a Rollout to it"
    entry = next((e for e in record.endpoints if e.name == target.endpoint_name), None)
    if target.endpoint_name and (entry is None or entry.is_ending):
        start = f"`modelops rollback --to {target.version}`"
        return f"the endpoint of {target.version} was stopped. {start} starts it first"
    return target
