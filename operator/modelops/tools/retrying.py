"""`retry`: a new Rollout with the spec of one that has ended, because a Rollout runs only once."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from modelops.api.v1alpha1.rollout import Rollout, RolloutPhase
from modelops.client import AsyncClient, ClientError, has_finished
from modelops.domain.record import MalformedRecord, Record
from modelops.domain.versions import release_version
from modelops.tools.conditions import what_happens
from modelops.tools.errors import ToolRefused
from modelops.tools.explaining import find_object
from modelops.tools.names import create_once
from modelops.tools.results import Retry
from modelops.tools.waiting import follow

LEFT_OUT: Final = ("paused", "promote", "abort", "approval", "requestedBy")
"""What a person said to the old Rollout, and not to the new one."""


async def retry_spec(client: AsyncClient, name: str) -> tuple[Rollout, dict[str, Any]]:
    """The Rollout that has ended, and the spec of a new one.

    Raises:
        NotFound: there is no such Rollout.
        ToolRefused: it has not ended, or it has succeeded.
    """
    old = await find_object(client, name, kind="Rollout")
    assert isinstance(old, Rollout)
    place = f"{name} -n {old.metadata.namespace}"
    if not has_finished(old):
        raise ToolRefused(
            f"Rollout {name} has not ended: it is {old.status.phase.value}. Abort it first with "
            f"`modelops abort {place}`, or wait for its end"
        )
    if old.status.phase is RolloutPhase.SUCCEEDED:
        raise ToolRefused(f"Rollout {name} has succeeded, so there is nothing to try again")
    spec = {key: value for key, value in old.spec.wire().items() if key not in LEFT_OUT}
    return old, {**spec, "requestedBy": (await client.whoami()).name}


async def retry_rollout(
    client: AsyncClient, name: str, *, created_by: str = "modelops", dry_run: bool = False
) -> Retry:
    """Create the new Rollout, or return the one that an equal request has created and that still runs.

    Raises:
        as `retry_spec`.
    """
    old, spec = await retry_spec(client, name)
    agent = old.spec.agent_model_ref.name
    made, created = await create_once(
        client, client.rollouts, agent, "retry", spec, created_by=created_by, dry_run=dry_run
    )
    changes = differences_since(old, await _record(client, agent))
    return Retry(
        rollout_id=made.metadata.name,
        agent_name=agent,
        retries=name,
        created=created,
        ended=f"{old.status.phase.value} ({old.status.reason}): {what_happens(old)}",
        different=changes,
        message=f"rollout {made.metadata.name} tries {name} again; follow it with: {follow(made)}",
    )


def differences_since(old: Rollout, record: Record | None) -> tuple[str, ...]:
    """What is different now from the time of the old Rollout, one sentence each."""
    found, candidate = [], old.status.candidate
    created = old.metadata.creation_timestamp
    if record is not None and created is not None and datetime.fromisoformat(record.deployed_at) > created:
        found.append(
            f"{record.stable.version} ({record.stable.model}) is stable since {record.deployed_at}, after the old "
            "rollout was created: the candidate is compared with this one"
        )
    if record is not None and candidate is not None:
        version = release_version(candidate.version)
        if record.stable.model == candidate.model and record.stable.revision == candidate.revision:
            found.append(
                f"{candidate.model} serves already, as {record.stable.version}: there is nothing to try"
            )
        if record.undone.get(version):
            found.append(f"an undo left {version} at {record.undone[version]}")
    if old.spec.promote is not None:
        found.append("spec.promote of the old rollout is left out: its pauses wait again")
    if old.spec.paused:
        found.append(
            "spec.paused of the old rollout is left out: the new one does not wait before its first step"
        )
    if old.status.approvals:
        found.append(
            "its approvals are left out: what needs an approval is asked again, at the prices of today"
        )
    if old.status.evaluated is not None:
        found.append(
            f"the candidate is evaluated again (it was: {old.status.evaluated.verdict}), which is paid again"
        )
    return tuple(found)


async def _record(client: AsyncClient, agent: str) -> Record | None:
    try:
        found: Record | None = await client.record(agent)
        return found
    except (ClientError, MalformedRecord):
        return None
