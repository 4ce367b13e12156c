"""What kstatus says of a custom resource, by the rules of sigs.k8s.io/cli-utils/pkg/kstatus v0.37.2.

Helm 4 and Flux use the fork github.com/fluxcd/cli-utils, whose rules are the same (v1.2.1). From `generic.go`:
`checkGenericProperties`, `checkGeneration`; from `status.go`: `Compute`, `checkReadyCondition`. The rules of built-in
kinds are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

TERMINATING, IN_PROGRESS, FAILED, CURRENT = "Terminating", "InProgress", "Failed", "Current"


def kstatus(item: Mapping[str, Any]) -> str:
    """The status of the object as the API server returns it."""
    metadata, status = item["metadata"], item.get("status") or {}
    if metadata.get("deletionTimestamp"):
        return TERMINATING
    generation, observed = metadata.get("generation"), status.get("observedGeneration")
    if None not in (generation, observed) and generation != observed:
        return IN_PROGRESS
    conditions = status.get("conditions") or ()
    for condition in conditions:
        if condition["status"] == "True" and condition["type"] == "Reconciling":
            return IN_PROGRESS
        if condition["status"] == "True" and condition["type"] == "Stalled":
            return FAILED
    for condition in conditions:
        if condition["type"] == "Ready":
            return CURRENT if condition["status"] == "True" else IN_PROGRESS
    return CURRENT
