"""The routing block of an intent, and whether the file has it."""

from __future__ import annotations

from datetime import timedelta

from modelops.api.v1alpha1.rollout import Intent
from modelops.domain.agentsfile import CanaryTarget, RolloutMark, RoutingBlock
from modelops.domain.record import Target
from modelops.domain.rollout.state import State


def next_generation(state: State) -> int:
    """One more than the highest of the file's generation, the intent's, and the time in milliseconds."""
    block, intent = state.block, state.rollout.status.intent
    return (
        max(
            block.generation if block else 0,
            intent.generation if intent else 0,
            int(state.now.timestamp() * 1000),
        )
        + 1
    )


def new_expiry(state: State) -> str:
    """The time at which routers go back to stable by themselves unless the block is renewed, in UTC."""
    moment = state.now + timedelta(seconds=state.settings.canary_seconds)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def block_of(state: State, intent: Intent, candidate: Target) -> RoutingBlock:
    """The block that the intent asks for."""
    if intent.state == "Promoting":
        return RoutingBlock.promoted(uid=state.uid, step=intent.step, generation=intent.generation)
    return RoutingBlock(
        generation=intent.generation,
        salt=state.uid,
        rollout=RolloutMark(state.uid, intent.step, "Progressing"),
        canary_until=new_expiry(state),
        canary=CanaryTarget(
            weight=intent.weight,
            model=candidate.served_model or candidate.model,
            served_model=candidate.served_model or None,
            endpoint=candidate.endpoint,
            endpoint_url=candidate.endpoint_url,
            api_key_env=candidate.api_key_env,
            version=candidate.version,
        ),
    )


def equals_intent(state: State, candidate: Target) -> bool:
    """Whether the file's block is the intended one, apart from `canary_until`, which is renewed."""
    intent, block = state.rollout.status.intent, state.block
    if intent is None or block is None or intent.state != "Progressing":
        return False
    wanted = block_of(state, intent, candidate)
    return (block.generation, block.salt, block.rollout, block.canary) == (
        wanted.generation,
        wanted.salt,
        wanted.rollout,
        wanted.canary,
    )
