"""Stops and pauses what runs: each is one merge patch of a control field, in the caller's rights."""

from __future__ import annotations

from modelops.api.v1alpha1.rollout import Rollout
from modelops.api.v1alpha1.trainingrun import TrainingRun
from modelops.client import AsyncClient, NotFound, has_finished
from modelops.tools.errors import ToolRefused
from modelops.tools.explaining import find_object
from modelops.tools.results import Change


async def abort_rollout(client: AsyncClient, name: str) -> Change:
    """Abort a Rollout: all traffic goes back to stable. It cannot be taken back.

    Raises:
        NotFound: there is no such Rollout.
    """
    rollout = await find_object(client, name, kind="Rollout")
    assert isinstance(rollout, Rollout)
    return await _set(
        client, rollout, "abort", True, done="is being aborted: all traffic goes back to stable"
    )


async def pause_rollout(client: AsyncClient, name: str, *, paused: bool) -> Change:
    """Keep a Rollout from its next step, or let it go on. Raises NotFound."""
    rollout = await find_object(client, name, kind="Rollout")
    assert isinstance(rollout, Rollout)
    words = "does not begin its next step" if paused else "goes on with its steps"
    return await _set(client, rollout, "paused", paused, done=words)


async def cancel_training(client: AsyncClient, name: str) -> Change:
    """Stop a TrainingRun and its job for good; what it cost until then stays billed. Raises NotFound."""
    run = await find_object(client, name, kind="TrainingRun")
    assert isinstance(run, TrainingRun)
    done = "is being cancelled, with its job" if run.status.job else "is being cancelled"
    return await _set(client, run, "cancel", True, done=done)


async def suspend_training(client: AsyncClient, name: str, *, suspend: bool) -> Change:
    """Stop a TrainingRun's job until it is resumed, or resume it from its last checkpoint. Raises NotFound."""
    run = await find_object(client, name, kind="TrainingRun")
    assert isinstance(run, TrainingRun)
    words = "is being suspended: its job stops" if suspend else "goes on from its last checkpoint"
    return await _set(client, run, "suspend", suspend, done=words)


async def _set(
    client: AsyncClient, found: TrainingRun | Rollout, field: str, value: bool, *, done: str
) -> Change:
    name, agent = found.metadata.name, found.spec.agent_model_ref.name
    kind, change = found.kind, {"spec": {field: value}}
    if has_finished(found):
        return Change(
            kind=kind,
            name=name,
            agent_name=agent,
            done=False,
            message=f"{kind} {name} has ended already, as {found.status.phase.value}",
        )
    if getattr(found.spec, field) == value:
        return Change(
            kind=kind, name=name, agent_name=agent, done=False, message=f"{kind} {name} {done} already"
        )
    try:
        if isinstance(found, Rollout):
            await client.rollouts.patch(name, change, uid=found.metadata.uid)
        else:
            await client.training_runs.patch(name, change, uid=found.metadata.uid)
    except NotFound as error:
        raise ToolRefused(f"{kind} {name} was deleted in the meantime") from error
    return Change(kind=kind, name=name, agent_name=agent, done=True, message=f"{kind} {name} {done}")
