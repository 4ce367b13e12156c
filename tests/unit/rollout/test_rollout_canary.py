"""The watch on the canary: only healthy time counts, silence never promotes, whatever is wrong turns it back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.rollout import objects
from tests.unit.rollout.explorer import lower
from tests.unit.rollout.objects import AGENT
from tests.unit.rollout.observing import (
    HEALTHY,
    Life,
    a_file,
    armed,
    at_weight,
    observed,
    over,
    watching,
)

from modelops.domain import agentsfile
from modelops.domain.plan import WriteFile, WriteStatus
from modelops.domain.record import Record
from modelops.domain.rollout.booking import planned_seconds
from modelops.domain.rollout.state import Watched
from modelops.ports import AgentReports, Track


def at_twenty() -> Life:
    return Life(observed()).until(at_weight(20))


def in_pause() -> Life:
    return Life(observed()).until(watching)


def back_on_stable(life: Life, *, reason: str, phase: str = "Aborted") -> None:
    """It ended, the claim is free, the file is as before but for the tombstone, the money is settled."""
    record, file = life.state.record, life.state.file
    assert record is not None
    assert (life.phase, life.reason) == (phase, reason)
    assert record.active is None
    assert record.reservations == {}
    assert record.stable.version == "v1.0.0"
    assert [e.role for e in record.endpoints] == ["stopping"]
    assert life.state.rollout.status.weight == 0
    if file is not None and file.entry.routing is not None:
        assert file.entry.routing.rollout.state == "Aborted"


# --- waiting


@pytest.mark.parametrize(
    ("reports", "reason"),
    [
        (None, "WaitingForAgents"),
        (AgentReports(expected=0, heard=0, in_sync=0, canary_reachable=0), "WaitingForAgents"),
        (replace(HEALTHY, in_sync=1), "WaitingForAgents"),
        (replace(HEALTHY, canary_reachable=1, canary_errors=("401 from the canary",)), "CanaryUnreachable"),
    ],
)
def test_no_weight_before_every_agent_reaches_the_canary(reports: AgentReports | None, reason: str) -> None:
    life = Life(observed()).until(armed)
    life.state = replace(life.state, reports=reports)
    life.step()
    assert life.reason == "Arming"
    life.passes(16)
    life.step()
    assert life.reason == reason
    for _ in range(20):
        life.passes(60)
        life.step()
    assert life.state.block is not None
    assert life.state.block.weight == 0
    assert life.written.count(f"status {reason}") == 1
    life.state = replace(life.state, reports=HEALTHY)
    assert life.until(over).phase == "Succeeded"


def test_an_unreachable_canary_is_said_in_the_agents_own_words() -> None:
    life = Life(observed()).until(armed)
    life.passes(20)
    life.state = replace(
        life.state, reports=replace(HEALTHY, canary_reachable=0, canary_errors=("401 from the canary",))
    )
    life.step()
    assert "401 from the canary" in life.message


def test_agents_on_their_way_are_no_news() -> None:
    life = at_twenty()
    life.state = replace(life.state, reports=replace(HEALTHY, in_sync=1))
    before = list(life.written)
    life.step()
    life.passes(5)
    life.step()
    assert life.written == before


def test_a_pause_ends_only_after_its_healthy_seconds() -> None:
    life = in_pause()
    life.state = replace(life.state, watched=Watched(healthy_seconds=9.0))
    life.step()
    assert life.state.block is not None
    assert life.state.block.weight == 20
    life.state = replace(life.state, watched=Watched(healthy_seconds=10.0))
    life.step()
    assert at_weight(100)(life.state)


def test_healthy_seconds_survive_a_restart() -> None:
    life = in_pause()
    life.state = replace(life.state, watched=Watched(healthy_seconds=6.0))
    life.step()
    assert life.state.rollout.status.analysis is not None
    assert life.state.rollout.status.analysis.healthy_seconds == 6
    life.state = replace(life.state, watched=Watched(healthy_seconds=4.0))
    life.step()
    assert life.state.block is not None
    assert life.state.block.weight == 100


def test_too_few_samples_hold_for_as_long_as_it_takes() -> None:
    life = in_pause()
    life.state = replace(life.state, reports=replace(HEALTHY, canary=Track(requests=49)))
    for _ in range(30):
        life.passes(60)
        life.step()
    assert life.reason == "WaitingForSamples"
    assert life.written.count("status WaitingForSamples") == 1
    assert life.state.block is not None
    assert life.state.block.weight == 20
    life.state = replace(life.state, reports=HEALTHY)
    assert life.until(over).phase == "Succeeded"


def test_the_routing_is_renewed_while_it_waits_with_its_generation_kept() -> None:
    life = at_twenty()
    life.state = replace(life.state, reports=replace(HEALTHY, in_sync=1))
    assert life.state.block is not None
    before = life.state.block
    life.passes(601)
    plan = life.step()
    assert isinstance(plan.steps[0], WriteFile)
    after = life.state.block
    assert after is not None
    assert after.canary_until is not None
    assert before.canary_until is not None
    assert after.canary_until > before.canary_until
    assert replace(after, canary_until=before.canary_until) == before
    life.state = replace(life.state, reports=HEALTHY)
    assert life.until(over).phase == "Succeeded"


def test_paused_holds_the_next_step_and_goes_on_when_it_is_lifted() -> None:
    life = in_pause()
    life.asks(paused=True)
    for _ in range(10):
        life.passes(20)
        life.step()
    assert life.reason == "Paused"
    assert life.state.block is not None
    assert life.state.block.weight == 20
    life.asks(paused=False)
    assert life.until(over).phase == "Succeeded"


# --- turning back

BROKEN = replace(HEALTHY, canary=Track(requests=500, errors=60, p95_ms=80))
SLOW = replace(HEALTHY, canary=Track(requests=500, errors=0, p95_ms=500))


@pytest.mark.parametrize(("reports", "reason"), [(BROKEN, "ErrorRateBreached"), (SLOW, "LatencyBreached")])
@pytest.mark.parametrize("paused", [False, True])
def test_a_breach_turns_back_in_one_act(reports: AgentReports, reason: str, paused: bool) -> None:
    life = in_pause()
    life.asks(paused=paused)
    life.state = replace(life.state, reports=reports, watched=Watched(first_bad_ms=900, arrived_ms=50))
    before = len(life.written)
    life.step()
    assert life.written[before:] == ["status Aborting", "file Aborted 0", "record release"]
    times = life.state.rollout.status.rollback
    assert times is not None
    assert (times.detect_milliseconds, times.decide_milliseconds) == (850, 50)
    life.state = replace(life.state, watched=Watched(write_ms=40))
    back_on_stable(life.until(over), reason=reason)
    assert life.state.rollout.status.rollback is not None
    assert life.state.rollout.status.rollback.write_milliseconds == 40


def test_the_time_to_the_last_agent_is_added_when_it_is_there() -> None:
    life = in_pause()
    life.state = replace(life.state, reports=BROKEN)
    life.until(over)
    life.state = replace(life.state, reports=replace(BROKEN, in_sync=1))
    assert life.step().requeue_after
    life.state = replace(life.state, reports=BROKEN, watched=Watched(effect_ms=700))
    life.step()
    assert life.state.rollout.status.rollback is not None
    assert life.state.rollout.status.rollback.effect_milliseconds == 700
    assert life.step().steps == ()


def test_an_abort_needs_no_latch() -> None:
    life = at_twenty()
    life.asks(abort=True)
    before = len(life.written)
    life.step()
    assert life.written[before:] == ["file Aborted 0", "record release"]
    back_on_stable(life.until(over), reason="AbortedByUser")


def test_a_deletion_puts_everything_back_before_it_lets_go() -> None:
    life = at_twenty()
    life.deletes()
    back_on_stable(life.until(over), reason="Deleted")
    assert life.written[-4:] == ["file Aborted 0", "record release", "status Deleted", "finalizers 0"]


def test_an_abort_before_the_claim_is_on_record_too() -> None:
    life = Life(observed())
    life.asks(abort=True)
    life.until(over)
    assert life.written == ["record release", "status AbortedByUser"]
    assert life.state.record is not None
    assert life.state.identity in life.state.record.completed


def test_an_abort_while_evaluating_leaves_the_file_alone() -> None:
    life = Life(observed()).until(lambda state: state.rollout.status.reason == "Evaluating")
    life.asks(abort=True)
    back_on_stable(life.until(over), reason="AbortedByUser")
    assert not [w for w in life.written if w.startswith("file")]


def test_the_deadline_decides_towards_stable() -> None:
    life = in_pause()
    life.state = replace(life.state, reports=None)
    life.passes(172801)
    back_on_stable(life.until(over), reason="DeadlineExceeded")


def test_an_endpoint_never_runs_longer_than_what_was_reserved_for_it() -> None:
    life = in_pause()
    life.state = replace(life.state, reports=None)
    life.passes(planned_seconds(life.state) + 1)
    back_on_stable(life.until(over), reason="DeadlineExceeded")


def promoting(*, without: int) -> Life:
    """The promotion was carried out but for its last steps."""
    life = Life(observed()).until(at_weight(100))
    life.step(without=without)
    assert life.state.rollout.status.promoting
    return life


@pytest.mark.parametrize("without", [1, 2])
def test_an_abort_during_the_promotion_is_fenced_first(without: int) -> None:
    life = promoting(without=without)
    life.asks(abort=True)
    before = len(life.written)
    back_on_stable(life.until(over), reason="AbortedByUser")
    assert life.written[before:][:3] == ["record fence", "file Aborted 0", "record release"]
    assert life.state.file is not None
    assert life.state.file.entry.stable is not None
    assert life.state.file.entry.stable.model == "anthropic/claude-3.5-sonnet"


def test_an_abort_after_the_commit_is_too_late_and_says_so() -> None:
    life = promoting(without=0)
    life.asks(abort=True)
    life.until(over)
    assert (life.phase, life.reason) == ("Succeeded", "AbortTooLate")
    assert "candidate.version" in life.message


EDITS: dict[str, Any] = {
    "routing removed": lambda text: agentsfile.with_routing(text, AGENT, None),
    "weight lowered": lower,
    "weight raised": lambda text: text.replace("weight: 20", "weight: 90"),
    "an old copy": lambda text: objects.FILE_TEXT,
    "stable edited": lambda text: text.replace("    model: anth", "    model: elsewhere/anth", 1),
    "another canary": lambda text: text.replace("org/candidate-of-r1", "org/another"),
}


@pytest.mark.parametrize("edit", EDITS)
def test_any_edit_of_the_routing_is_an_abort_whoever_made_it(edit: str) -> None:
    life = at_twenty()
    assert life.state.file is not None
    changed = EDITS[edit](life.state.file.text)
    assert changed != life.state.file.text
    life.writes_text(changed)
    before = len(life.written)
    life.until(over)
    assert life.reason == "RoutingMismatch"
    assert life.phase == "Aborted"
    assert not [w for w in life.written[before:] if w.startswith("file Prog")]
    assert life.state.block is not None
    assert life.state.block.rollout.state == "Aborted"
    if edit == "stable edited":
        assert life.state.file.entry.stable is not None
        assert life.state.file.entry.stable.model == "elsewhere/anthropic/claude-3.5-sonnet"


def test_a_mismatch_is_judged_on_a_live_read() -> None:
    life = at_twenty()
    held = life.state.file
    life.writes_text(objects.FILE_TEXT)
    from modelops.domain.rollout.decide import decide

    assert decide(life.state).needs == "file_is_live"
    life.state = replace(life.state, file=held)
    assert life.until(over).phase == "Succeeded"


def test_a_file_that_went_bad_aborts_and_is_waited_for() -> None:
    life = at_twenty()
    held = life.state.file
    life.state = replace(life.state, file=None, file_problem="ConfigMap agents, key agents.yaml: not YAML")
    life.step()
    assert life.state.rollout.status.abort_reason == "ConfigNotUsable"
    for _ in range(5):
        life.passes(2)
        life.step()
    stuck = [c for c in life.state.rollout.status.conditions if c.type == "RoutingPropagated"]
    assert "not YAML" in stuck[0].message
    assert life.state.record is not None
    assert life.state.record.active is not None
    life.state = replace(life.state, file=held, file_problem="")
    back_on_stable(life.until(over), reason="ConfigNotUsable")
    assert life.message == "ConfigMap agents, key agents.yaml: not YAML"


def test_a_file_that_is_gone_has_nothing_to_put_back() -> None:
    life = at_twenty()
    life.state = replace(
        life.state, file=None, file_missing=True, file_problem="ConfigMap agents does not exist"
    )
    back_on_stable(life.until(over), reason="ConfigNotUsable")


def test_an_agent_model_that_is_gone_ends_the_canary_at_once() -> None:
    life = at_twenty()
    life.state = replace(life.state, agent_model=None)
    back_on_stable(life.until(over), reason="AgentModelNotFound")


def test_a_claim_that_is_lost_ends_without_touching_the_file() -> None:
    life = at_twenty()
    assert life.state.record is not None
    life.state = replace(life.state, record=life.state.record.with_(active=None))
    before = len(life.written)
    life.until(over)
    assert (life.phase, life.reason) == ("Aborted", "AgentLockLost")
    assert life.written[before:] == ["record release", "status AgentLockLost", "finalizers 0"]


def test_a_fence_that_somebody_else_set_is_latched() -> None:
    life = at_twenty()
    assert life.state.record is not None
    assert life.state.record.active is not None
    active = life.state.record.active.model_copy(update={"aborting": True})
    life.state = replace(life.state, record=life.state.record.with_(active=active))
    plan = life.step()
    assert isinstance(plan.steps[0], WriteStatus)
    back_on_stable(life.until(over), reason="AgentLockLost")


@pytest.mark.parametrize("how", ["abort", "delete"])
def test_without_its_record_an_abort_still_takes_the_weight_away(how: str) -> None:
    life = at_twenty()
    record: Record | None = life.state.record
    life.state = replace(life.state, record=None)
    life.asks(abort=True) if how == "abort" else life.deletes()
    life.step()
    assert life.written[-1] == "file Aborted 0"
    life.step()
    assert life.phase == "Progressing"
    life.state = replace(life.state, record=record)
    back_on_stable(life.until(over), reason="AbortedByUser" if how == "abort" else "Deleted")


def test_a_deletion_without_agent_model_and_record_lets_go() -> None:
    life = Life(replace(observed(), agent_model=None, record=None))
    life.deletes()
    assert life.until(over).phase == "Aborted"


def test_the_latch_of_a_newer_operator_is_an_abort() -> None:
    life = at_twenty()
    status = life.state.rollout.status.model_copy(update={"abort_reason": "SomethingNew"})
    life.state = replace(life.state, rollout=life.state.rollout.model_copy(update={"status": status}))
    assert life.until(over).phase == "Aborted"


def test_a_definite_conflict_repeats_the_intent_at_its_new_basis() -> None:
    life = Life(observed()).until(armed)
    plan = life.step(without=2 if len(life.plan().steps) > 2 else 1)
    write = next(s for s in plan.steps if isinstance(s, WriteFile))
    assert life.state.file is not None
    intended = life.state.rollout.status.intent
    assert intended is not None
    life.state = replace(
        life.state,
        file=a_file(life.state.file.text + "# by somebody\n", "77"),
        rebase=write.intended,
    )
    life.step()
    again = life.state.rollout.status.intent
    assert again is not None
    assert (again.generation, again.base_resource_version, again.writes) == (intended.generation, "77", 2)
    life.state = replace(life.state, rebase=None)
    assert life.until(over).phase == "Succeeded"


def test_a_conflict_over_a_changed_block_is_no_reason_to_repeat() -> None:
    life = at_twenty()
    life.passes(11)
    life.until(watching)
    life.passes(11)
    plan = life.plan()
    write = next(s for s in plan.steps if isinstance(s, WriteFile))
    cut = len(plan.steps) - plan.steps.index(write)
    life.step(without=cut)
    assert life.state.file is not None
    life.state = replace(life.state, file=a_file(lower(life.state.file.text), "77"), rebase=write.intended)
    life.until(over)
    assert life.reason == "RoutingMismatch"
