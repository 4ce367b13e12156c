"""A job that gets no hardware: given up for another attempt elsewhere, where the choice is the operator's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from modelops.domain.facts import UNSEEN
from modelops.domain.plan import Plan
from modelops.domain.reasons import TrainingReason as Why
from modelops.domain.training.outcome.attempts import chooses_hardware, retries, retry_limit
from modelops.domain.training.pricing.estimate import CannotEstimate
from modelops.domain.training.pricing.price import priced
from modelops.domain.training.state import Observed
from modelops.domain.training.status import moved, said
from modelops.ports import Job, ModelInfo


def job_is_stuck(seen: Observed, job: Job) -> Plan | None:
    """It has waited for long, and other hardware would do: latched, so that it is stopped.

    Without other hardware, or where it was chosen by name, it is waited for until the deadline: a job that waits costs
    nothing.
    """
    recorded = seen.run.status.job
    since = recorded.intended_at if recorded else None
    waited = (seen.now - since).total_seconds() if since else 0.0
    if (
        waited < seen.settings.scheduling_seconds
        or not chooses_hardware(seen)
        or retries(seen) >= retry_limit(seen)
    ):
        return None
    for fact in ("flavors", "base", "base_config"):
        if getattr(seen, fact) is UNSEEN:
            return Plan(needs=fact)
    found = other_flavor(seen)
    if not found:
        return None
    here = seen.run.status.estimate.flavor if seen.run.status.estimate else ""
    message = f"job {job.id} waited {waited / 60:.0f} min for {here}: {found} is tried in its place"
    why = Why.STUCK_IN_SCHEDULING
    latched = moved(seen, seen.run.status.phase, why, message, ending=why.value)
    return Plan(steps=said(seen, latched, why, message), requeue_after=0)


def other_flavor(seen: Observed) -> str:
    """Hardware that would be taken if that of the job did not exist; empty where there is none, or nobody says."""
    status = seen.run.status
    known = isinstance(seen.flavors, tuple) and isinstance(seen.base, ModelInfo)
    if (
        not known
        or not isinstance(seen.base_config, Mapping | None)
        or status.dataset is None
        or status.estimate is None
    ):
        return ""
    assert isinstance(seen.flavors, tuple)
    others = tuple(flavor for flavor in seen.flavors if flavor.name != status.estimate.flavor)
    try:
        return priced(replace(seen, flavors=others), status.dataset).flavor
    except CannotEstimate:
        return ""
