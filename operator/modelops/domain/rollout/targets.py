"""The candidate as a target: while it is a canary, and as the stable model that it becomes."""

from __future__ import annotations

from modelops.domain.record import Target
from modelops.domain.rollout.state import Observed
from modelops.domain.versions import released


def candidate_target(seen: Observed) -> Target | None:
    """What the claim names, with the address that its endpoint has."""
    record, found = seen.record, seen.rollout.status.candidate
    if record is None or record.active is None or not seen.holds_agent_lock:
        return None
    target = record.active.candidate
    if found is not None and found.endpoint_url:
        return target.model_copy(update={"endpoint_url": found.endpoint_url})
    return target


def promoted_target(seen: Observed) -> Target | None:
    """The same as stable: a release candidate becomes a release."""
    target = candidate_target(seen)
    if target is None:
        return None
    return target.model_copy(
        update={"version": released(target.version), "since": seen.now.strftime("%Y-%m-%dT%H:%M:%SZ")}
    )
