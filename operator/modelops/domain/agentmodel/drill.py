"""The rehearsal of a rollback (designs/025): the write of an abort where there is nothing to abort, and its seconds.

It is a tombstone with a new generation over a file that gives no session to a canary, so no session moves, whatever
happens in between. The record says first that it is under way. That write fails where a rollout has taken the lock
since, and no rollout takes it before the end: an intent never meets a file that a drill has changed.
"""

from __future__ import annotations

from typing import Final

from modelops.domain.agentmodel.actions import AgentModelPlan
from modelops.domain.agentmodel.readiness import stable_drift
from modelops.domain.agentmodel.state import State
from modelops.domain.agentmodel.undo import next_generation
from modelops.domain.agentsfile import RoutingBlock
from modelops.domain.plan import Announce, Plan, WriteRecord
from modelops.domain.record import Drill, DrillResult
from modelops.domain.rollout.routing_write import DesiredRouting, write_routing
from modelops.domain.undo import why_not_settled

DRILL_SECONDS: Final = 60.0
"""For so long confirmations are waited for. A mounted file that nobody touches follows within a minute or two."""
CONFIRMED: Final = "Confirmed"
NOT_CONFIRMED: Final = "NotConfirmed"
REFUSED: Final = "Refused"
INTERRUPTED: Final = "Interrupted"


def rehearse_rollback(state: State) -> AgentModelPlan | None:
    """Begins the drill that spec.drill asks for, or ends the one that is under way. None while it waits."""
    record, asked = state.require_record(), state.agent_model.spec.drill
    if record.drill is not None:
        return end_drill(state, record.drill)
    if asked is None or (record.last_drill is not None and record.last_drill.id == asked.id):
        return None
    base = state.file.resource_version if state.file is not None else ""
    drill = Drill(id=asked.id, at=state.now.isoformat(timespec="seconds"), base=base)
    refusal = why_not_now(state)
    if refusal:
        return with_result(state, drill, REFUSED, f"the drill was not begun: {refusal}")
    return begin_drill(state, drill)


def why_not_now(state: State) -> str:
    """Why nothing is rehearsed now; empty where it may be."""
    record, file = state.require_record(), state.file
    if file is None:
        return f"the agents' file cannot be read: {state.file_problem}"
    unsettled = why_not_settled(record, file.entry)
    if unsettled:
        return unsettled
    if record.watch is not None:
        return f"{record.watch.version} is watched after its promotion until {record.watch.until}"
    if stable_drift(state) is not None:
        return "the agents' file and the record name different stable models (StableDrift)"
    if state.reports is None or state.reports.expected == 0:
        return (
            "no agent process has reported, so there is nobody to confirm it: start the agents with "
            "MODELOPS_REPORT_URL set to the operator"
        )
    return ""


def begin_drill(state: State, drill: Drill) -> AgentModelPlan:
    """The record, which fences, and then the file: the two writes of an abort, in the order of an undo."""
    record, file = state.require_record(), state.file
    assert file is not None  # `why_not_now` has refused otherwise.
    tombstone = RoutingBlock.aborted(uid=salt_of(drill), step=0, generation=next_generation(state, file))
    write = write_routing(
        DesiredRouting(block=tombstone),
        file=file,
        agent=record.agent,
        purpose=f"rehearse a rollback: {drill.id}",
        restores_stable=True,
    )
    begun = WriteRecord(record=record.with_(drill=drill), purpose=f"begin drill {drill.id}")
    return Plan(steps=(begun, write), requeue_after=0)


def end_drill(state: State, drill: Drill) -> AgentModelPlan | None:
    """The end of the drill that is on record: confirmed, too late, or come between. None while it waits.

    It ends only after a write over its base, its own or another one: then none of its own can land later. A process
    that did not write the block itself has no times.
    """
    if state.file is None:
        return None
    block = state.file.entry.routing
    is_written = block is not None and block.salt == salt_of(drill)
    if not is_written and int(state.file.resource_version) <= int(drill.base):
        # The write was not sent, or its answer was lost: then it may land later, over an intent. Sent again, one of
        # both lands now, and the other fails.
        return begin_drill(state, drill)
    if block is None or not is_written or state.drill_write_ms is None:
        cause = "another write of the agents' file, or another leader, came between"
        return with_result(state, drill, INTERRUPTED, f"the drill has no result: {cause}. Begin another one")
    agents = state.reports.expected if state.reports is not None else 0
    write = state.drill_write_ms
    if state.drill_effect_ms is not None:
        total = (write + state.drill_effect_ms) / 1000
        message = (
            f"{agents} agent processes confirmed the routing {total:.2f} s after the decision: {write / 1000:.2f} s to "
            f"write, {state.drill_effect_ms / 1000:.2f} s until in effect"
        )
        return with_result(
            state, drill, CONFIRMED, message, effect=state.drill_effect_ms, generation=block.generation
        )
    if state.drill_seconds < DRILL_SECONDS:
        return None
    confirmed = state.reports.in_sync if state.reports is not None else 0
    missing = f" (not: {', '.join(state.unconfirmed)})" if state.unconfirmed else ""
    message = (
        f"{confirmed} of {agents} agent processes confirmed the routing within {DRILL_SECONDS:.0f} s{missing}. A "
        "rollback would not be in effect in the others: `modelops doctor` says why they do not see the file"
    )
    return with_result(state, drill, NOT_CONFIRMED, message, generation=block.generation)


def with_result(
    state: State, drill: Drill, outcome: str, message: str, *, effect: int | None = None, generation: int = 0
) -> AgentModelPlan:
    """One write of the record ends the drill; claims go on after it."""
    done = DrillResult(
        id=drill.id,
        at=drill.at,
        outcome=outcome,
        message=message[:1024],
        generation=generation,
        write_ms=state.drill_write_ms if generation else None,
        effect_ms=effect,
        agents=state.reports.expected if state.reports is not None else 0,
        unconfirmed=state.unconfirmed[:32] if outcome == NOT_CONFIRMED else (),
    )
    record = state.require_record().with_(drill=None, last_drill=done)
    return Plan(
        steps=(
            WriteRecord(record=record, purpose=f"end drill {drill.id}: {outcome}"),
            Announce(reason=f"Drill{outcome}", message=message, warning=outcome != CONFIRMED),
        ),
        requeue_after=0,
    )


def salt_of(drill: Drill) -> str:
    """The uid in the drill's block, which is no rollout's."""
    return f"drill:{drill.id}"
