"""The one place where a desired routing becomes a write of the file that the agents read (docs/designs/015)."""

from __future__ import annotations

from dataclasses import dataclass

from modelops.domain.agentsfile import (
    KEEP,
    CanaryTarget,
    Keep,
    RolloutMark,
    RoutingBlock,
    StableTarget,
    edit,
)
from modelops.domain.plan import WriteFile
from modelops.domain.record import Record, Target
from modelops.domain.rollout.state import File, same_target, stable_keys


@dataclass(frozen=True, kw_only=True)
class DesiredRouting:
    """What the agent's entry should say: the routing block, and for a promotion or its reversal the stable keys."""

    block: RoutingBlock
    stable: StableTarget | Keep = KEEP
    """`KEEP` leaves the stable keys as they are."""


def write_routing(
    desired: DesiredRouting,
    *,
    file: File,
    agent: str,
    purpose: str,
    follows_new_intent: str = "",
    raises: bool = False,
    restores_stable: bool = False,
) -> WriteFile:
    """The write of the desired routing into `agents.yaml`, conditional on the file as it was read.

    `follows_new_intent`: uid of the rollout whose intent this plan writes from scratch just before; only such a write
    may be rebased (protocol, Advance 4). `raises`: it gives sessions to a candidate, so a stop forbids it.

    Raises:
        UneditableAgentsFile: the file cannot be changed without touching what belongs to other people.
    """
    return WriteFile(
        text=render(desired, file=file, agent=agent),
        purpose=purpose,
        intended=(follows_new_intent, file.entry.routing) if follows_new_intent else None,
        raises=raises,
        restores_stable=restores_stable,
    )


def render(desired: DesiredRouting, *, file: File, agent: str) -> str:
    """The file's text with the desired routing.

    Raises:
        UneditableAgentsFile: as `write_routing`.
    """
    return edit(file.text, agent, stable=desired.stable, routing=desired.block)


def try_every_edit(*, file: File, uid: str, candidate: Target, record: Record) -> None:
    """Edits the text as a rollout does: canary, promotion, and the way back from a promotion that is not committed.

    Raises:
        UneditableAgentsFile: as `write_routing`.
    """
    mark = RolloutMark(uid, 1, "Progressing")
    # The address of an endpoint is known only once it runs.
    target = candidate.model_copy(
        update={"endpoint_url": candidate.endpoint_url or "https://endpoint.invalid/v1"}
    )
    canary = CanaryTarget(
        weight=0, model=target.model, version=target.version, endpoint_url=target.endpoint_url
    )
    armed = edit(file.text, record.agent, routing=RoutingBlock(1, uid, mark, "2025-12-10T00:30:00Z", canary))
    promoted = edit(
        armed,
        record.agent,
        stable=stable_keys(target),
        routing=RoutingBlock.promoted(uid=uid, step=2, generation=2),
    )
    edit(
        promoted,
        record.agent,
        stable=stable_keys(record.stable),
        routing=RoutingBlock.aborted(uid=uid, step=2, generation=3),
    )


def tombstone_routing(
    *, record: Record, file: File, uid: str, promoted: Target | None, step: int, generation: int
) -> DesiredRouting | None:
    """The tombstone of the rollout `uid` (protocol, Abort 3); None where the file has it and needs no other change.

    The stable keys are restored where they name a candidate whose promotion was not committed. `promoted`: what stable
    is after that promotion.
    """
    stable, block = file.entry.stable, file.entry.routing
    uncommitted = (
        promoted is not None and same_target(stable, promoted) and not same_target(stable, record.stable)
    )
    if block is not None and block.salt == uid and block.rollout.state == "Aborted" and not uncommitted:
        return None
    return DesiredRouting(
        block=RoutingBlock.aborted(uid=uid, step=step, generation=generation),
        stable=stable_keys(record.stable) if uncommitted else KEEP,
    )
