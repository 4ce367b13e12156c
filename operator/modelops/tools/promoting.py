"""`promote`: a person goes on with a canary. It is one merge patch of `spec.promote`, in the caller's rights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from modelops.api.v1alpha1.rollout import CanaryStep, Rollout
from modelops.client import AsyncClient, NotFound, has_finished
from modelops.domain.reasons import RolloutReason
from modelops.tools.errors import ToolRefused
from modelops.tools.explaining import find_object
from modelops.tools.results import Change


@dataclass(frozen=True, kw_only=True)
class Opening:
    """What a promotion would open. `promote`: the new value of spec.promote; None where nothing is left to open.

    `words`: what it does, for people.
    """

    rollout: Rollout
    promote: dict[str, Any] | None
    words: str


async def promotion_of(
    client: AsyncClient, name: str, *, full: bool = False, skip_step: bool = False
) -> Opening:
    """What a promotion of this Rollout would open now.

    Without `full` and `skip_step` it opens the step that waits for a person, and nothing else: a watch with a fixed
    time, and an analysis before its timeout, are not cut short by mistake.

    Raises:
        NotFound: there is no such Rollout.
        ToolRefused: it has no canary, or it waits for no person; the message says what to do.
    """
    rollout = await find_object(client, name, kind="Rollout")
    assert isinstance(rollout, Rollout)
    return opening(rollout, full=full, skip_step=skip_step)


def opening(rollout: Rollout, *, full: bool, skip_step: bool) -> Opening:
    """As `promotion_of`, of a Rollout that was read."""
    name, status, asked = rollout.metadata.name, rollout.status, rollout.spec.promote
    if has_finished(rollout):
        return Opening(
            rollout=rollout,
            promote=None,
            words=f"Rollout {name} has ended already, as {status.phase.value}",
        )
    if rollout.spec.abort or status.abort_reason or rollout.metadata.deletion_timestamp is not None:
        raise ToolRefused(f"Rollout {name} is being aborted, and a promotion does not take that back")
    canary = rollout.spec.strategy.canary
    if canary is None:
        raise ToolRefused(f"Rollout {name} has no canary, so it has no step that a person could open")
    if asked is not None and asked.full:
        return Opening(rollout=rollout, promote=None, words=f"Rollout {name} is promoted in full already")
    if full:
        return Opening(
            rollout=rollout,
            promote={"full": True},
            words=f"Rollout {name} leaves out its other steps and promotes the candidate"
            f"{'' if status.weight else ', after its first weight'}{_held(rollout)}",
        )
    at = _step_to_open(rollout, canary.steps, skip_step=skip_step)
    if asked is not None and asked.through_step is not None and asked.through_step >= at:
        return Opening(
            rollout=rollout,
            promote=None,
            words=f"step {at} of Rollout {name} is open already{_held(rollout)}",
        )
    return Opening(
        rollout=rollout,
        promote={"throughStep": at},
        words=f"Rollout {name} goes on after step {at} of {len(canary.steps)}{_held(rollout)}",
    )


async def promote_rollout(
    client: AsyncClient, name: str, *, full: bool = False, skip_step: bool = False
) -> Change:
    """Open what `promotion_of` says. Raises as that, and ToolRefused where the Rollout was deleted."""
    found = await promotion_of(client, name, full=full, skip_step=skip_step)
    return await open_steps(client, found)


async def open_steps(client: AsyncClient, found: Opening) -> Change:
    """Write `spec.promote`. Raises ToolRefused where the Rollout was deleted."""
    rollout, name = found.rollout, found.rollout.metadata.name
    if found.promote is not None:
        try:
            patch = {"spec": {"promote": found.promote}}
            await client.rollouts.patch(name, patch, uid=rollout.metadata.uid)
        except NotFound as error:
            raise ToolRefused(f"Rollout {name} was deleted in the meantime") from error
    return Change(
        kind="Rollout",
        name=name,
        agent_name=rollout.spec.agent_model_ref.name,
        done=found.promote is not None,
        message=found.words,
    )


def _step_to_open(rollout: Rollout, steps: tuple[CanaryStep, ...], *, skip_step: bool) -> int:
    """The number of the step that a promotion opens. Raises ToolRefused where no step waits."""
    name, at = rollout.metadata.name, rollout.status.step
    place = f"{name} -n {rollout.metadata.namespace}"
    current = steps[at - 1] if 1 <= at <= len(steps) else None
    waits = current is not None and current.set_weight is None
    if skip_step and waits:
        return at
    if skip_step:
        following = next((n for n, one in enumerate(steps, 1) if n > at and one.set_weight is None), None)
        if following is None:
            raise ToolRefused(
                f"Rollout {name} has no pause and no analysis after step {at} of {len(steps)}: it goes on by itself "
                "when the agents have confirmed the weight"
            )
        return following
    if _waits_for_a_person(rollout, current):
        return at
    if waits:
        raise ToolRefused(
            f"step {at} of Rollout {name} ends by itself: {_words(current)}. To end it early, use "
            f"`modelops promote {place} --skip-step`; to promote at once, `--full`"
        )
    raise ToolRefused(
        f"Rollout {name} waits for no person: it is at step {at} of {len(steps)}, {rollout.status.reason or 'new'}. "
        f"To open its next pause beforehand, use `modelops promote {place} --skip-step`; to promote at once, `--full`"
    )


def _waits_for_a_person(rollout: Rollout, current: CanaryStep | None) -> bool:
    if current is None:
        return False
    if rollout.status.reason == RolloutReason.WaitingForPromotion.value:
        return True
    return current.pause is not None and current.pause.duration_seconds is None


def _words(step: CanaryStep | None) -> str:
    if step is not None and step.pause is not None:
        return f"it is a pause of {step.pause.duration_seconds} healthy seconds"
    seconds = step.analysis.timeout_seconds if step is not None and step.analysis is not None else 0
    return f"it is an analysis, which asks a person after {seconds} s"


def _held(rollout: Rollout) -> str:
    """What still holds the rollout although its steps are open, for people."""
    if rollout.spec.paused:
        place = f"{rollout.metadata.name} -n {rollout.metadata.namespace}"
        return f", once it is resumed: spec.paused is set (`modelops resume {place}`)"
    if rollout.status.offer is not None:
        place = f"{rollout.metadata.name} -n {rollout.metadata.namespace}"
        return f", once it is approved: `modelops approve {place}`"
    return ""
