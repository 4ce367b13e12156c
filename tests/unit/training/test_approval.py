"""A TrainingRun above the approval threshold: its offer is made once, awaited, renewed and checked."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from tests.unit.training.objects import NOW, empty_record
from tests.unit.training.simulation import Faults, PaidJobSimulation, restart_writes_nothing, run_once
from tests.unit.training.states import (
    DATASET_RESULT,
    FLAVOR,
    KEY,
    KNOWN_FACTS,
    agent_model,
    plan_for,
    ready_message,
    record_with_reservation,
    run,
    state,
    step_names,
    written_record,
    written_status,
)

from modelops.api.v1alpha1.agentmodel import AgentModel
from modelops.api.v1alpha1.trainingrun import TrainingRun
from modelops.domain.approval import MAX_OFFERS
from modelops.domain.conditions import condition_of
from modelops.domain.plan import Plan
from modelops.ports import Json

DAY = timedelta(days=1)
BUDGET = {"monthlyUSD": "100", "approvalAboveUSD": "0.1"}
AN_HOUR_LATER = NOW + timedelta(hours=1)


def agent_that_requires_approval(**spec: Any) -> AgentModel:
    """The agent whose threshold every run of these tests exceeds."""
    return agent_model(**{"budget": BUDGET, **spec})


def plan_that_asks(**spec: Any) -> Plan:
    return plan_for(run(**spec), agent_model=agent_that_requires_approval(), **KNOWN_FACTS)


def waiting_run(*, approval: Json | None = None, status: Json | None = None, **more: Any) -> TrainingRun:
    """The run that waits. `approval`: written by a person since."""
    meta = more.pop("meta", None)
    spec = {**more, **({"approval": approval} if approval else {})}
    return run(status or written_status(plan_that_asks(**more)).wire(), meta=meta, **spec)


def offered_digest() -> str:
    return str(written_status(plan_that_asks()).approval_digest)


def approval_by(name: str, digest: str | None = None) -> Json:
    return {"approvedBy": name, "digest": digest or offered_digest()}


def plan_at(of: TrainingRun, now: datetime = AN_HOUR_LATER, **changes: Any) -> Plan:
    return plan_for(of, now=now, **{"agent_model": agent_that_requires_approval(), **changes})


def approved_condition(plan: Plan) -> tuple[str, str]:
    found = condition_of(written_status(plan).conditions, "Approved")
    return (found.status.value, found.reason) if found else ("", "")


def test_the_offer_is_one_write_and_reserves_nothing() -> None:
    plan = plan_that_asks()
    assert step_names(plan) == ["status"]
    status = written_status(plan)
    assert (status.phase, status.reason) == ("AwaitingApproval", "NeedsApproval")
    assert (status.dataset.train, status.base_revision, status.job) == (135, "b" * 40, None)
    assert status.estimate.valid_until == NOW + DAY
    assert plan.requeue_after == DAY.total_seconds()
    assert approved_condition(plan) == ("False", "NeedsApproval")


def test_the_message_says_cost_reason_and_how_to_approve() -> None:
    words = ready_message(plan_that_asks())
    parts = (
        "up to $",
        "spec.budget.approvalAboveUSD $0.1 of AgentModel docs",
        "modelops approve docs-1 -n team",
    )
    assert not [part for part in (*parts, "until 2025-12-10 22:00 UTC") if part not in words], words


def test_a_restart_writes_nothing_while_it_waits() -> None:
    plan = plan_at(waiting_run())
    assert step_names(plan) == []
    assert plan.requeue_after == (DAY - timedelta(hours=1)).total_seconds()


def test_an_approved_run_is_submitted_at_the_offered_price() -> None:
    plan = plan_at(
        waiting_run(approval=approval_by("alice")), flavors=(replace(FLAVOR, usd_micro_per_hour=9_000_000),)
    )
    assert step_names(plan) == ["record", "status", "submit"]
    assert written_record(plan).reservations[KEY].usd_micro == int(
        float(written_status(plan_that_asks()).estimate.high_usd) * 1e6
    )
    assert approved_condition(plan) == ("True", "Approved")
    assert "alice approved up to $" in str(condition_of(written_status(plan).conditions, "Approved"))


def test_after_a_crash_behind_the_reservation_the_intent_follows() -> None:
    of = waiting_run(approval=approval_by("alice"))
    record = written_record(plan_at(of))
    assert step_names(plan_at(of, record=record)) == ["status", "submit"]


def test_the_budget_is_checked_again_after_the_approval() -> None:
    poor = agent_that_requires_approval(budget={"monthlyUSD": "0.2", "approvalAboveUSD": "0.1"})
    plan = plan_at(waiting_run(approval=approval_by("alice")), agent_model=poor)
    assert step_names(plan) == ["record"]
    assert KEY not in written_record(plan).reservations
    assert next(iter(written_record(plan).completed.values())).outcome == "OverBudget"


def test_no_approval_is_requested_above_the_budget() -> None:
    poor = agent_that_requires_approval(budget={"monthlyUSD": "0.2", "approvalAboveUSD": "0.1"})
    plan = plan_for(agent_model=poor, **KNOWN_FACTS)
    assert (written_status(plan).phase, written_status(plan).reason) == ("Failed", "OverBudget")


def test_a_raised_threshold_approves_no_open_offer() -> None:
    assert step_names(plan_at(waiting_run(), agent_model=agent_model())) in ([], ["status"])
    assert written_status(plan_at(waiting_run(), agent_model=agent_model())).phase == "AwaitingApproval"


# Approvals that do not count.


def test_an_approval_of_another_offer_is_reported() -> None:
    plan = plan_at(waiting_run(approval=approval_by("alice", "sha256:" + "0" * 64)))
    assert step_names(plan) == ["status"]
    assert (written_status(plan).reason, written_status(plan).phase) == ("ApprovalStale", "AwaitingApproval")
    assert "spec.approval of alice is for sha256:000000000000…" in ready_message(plan)
    assert offered_digest()[:19] in ready_message(plan)
    assert (
        step_names(
            plan_at(run(written_status(plan).wire(), approval=approval_by("alice", "sha256:" + "0" * 64)))
        )
        == []
    )


NO_SELF_APPROVAL = {"approvalPolicy": {"forbidSelfApproval": True}}


def test_self_approval_is_refused_where_it_is_forbidden() -> None:
    of = waiting_run(approval=approval_by("dan"), requestedBy="dan")
    plan = plan_at(of, agent_model=agent_that_requires_approval(**NO_SELF_APPROVAL))
    assert written_status(plan).reason == "SelfApproval"
    assert "dan requested this, so another person must approve it" in ready_message(plan)
    assert step_names(plan_at(of))[-1] == "submit"
    other = waiting_run(approval=approval_by("alice"), requestedBy="dan")
    assert (
        step_names(plan_at(other, agent_model=agent_that_requires_approval(**NO_SELF_APPROVAL)))[-1]
        == "submit"
    )


def test_a_later_policy_applies_to_a_run_without_a_requester() -> None:
    plan = plan_at(
        waiting_run(approval=approval_by("alice")),
        agent_model=agent_that_requires_approval(**NO_SELF_APPROVAL),
    )
    assert written_status(plan).reason == "SelfApproval"
    assert "does not name the person who asks" in ready_message(plan)


# Offers end.


def test_an_expired_offer_is_renewed_at_the_current_price() -> None:
    of, later = waiting_run(approval=approval_by("alice")), NOW + DAY
    assert plan_at(of, later).needs == "flavors"
    dearer = {**KNOWN_FACTS, "flavors": (replace(FLAVOR, usd_micro_per_hour=3_000_000),)}
    plan = plan_at(of, later, **dearer)
    assert step_names(plan) == ["status"]
    assert written_status(plan).reason == "ApprovalStale"  # alice approved the old offer
    assert written_status(plan).approval_digest != of.status.approval_digest
    assert float(written_status(plan).estimate.high_usd) > float(of.status.estimate.high_usd)  # type: ignore[union-attr]
    assert written_status(plan).estimate.valid_until == NOW + 2 * DAY


def test_the_same_price_on_another_day_is_another_offer() -> None:
    of = waiting_run()
    assert written_status(plan_at(of, NOW + DAY, **KNOWN_FACTS)).approval_digest != of.status.approval_digest


def test_an_unknown_price_keeps_the_run_waiting() -> None:
    from modelops.domain.facts import Outage

    away = {**KNOWN_FACTS, "flavors": Outage(service="hf", message="answered 503")}
    plan = plan_at(waiting_run(approval=approval_by("alice")), NOW + DAY, **away)
    assert (step_names(plan), written_status(plan).reason) == (["status"], "PriceUnknown")
    again = plan_at(run(written_status(plan).wire(), approval=approval_by("alice")), NOW + DAY, **KNOWN_FACTS)
    assert written_status(again).phase == "AwaitingApproval"


def test_an_expired_offer_below_a_raised_threshold_needs_no_approval() -> None:
    plan = plan_at(waiting_run(), NOW + DAY, agent_model=agent_model(), **KNOWN_FACTS)
    assert step_names(plan) == ["record", "status", "submit"]
    assert approved_condition(plan) == ("", "")


def test_the_wait_for_an_approval_ends() -> None:
    status, now = written_status(plan_that_asks()).wire(), NOW
    for _ in range(MAX_OFFERS - 1):
        now += DAY
        status = written_status(plan_at(run(status), now, **KNOWN_FACTS)).wire()
    plan = plan_at(run(status), NOW + MAX_OFFERS * DAY)
    assert step_names(plan) == ["record"]
    done = next(iter(written_record(plan).completed.values()))
    assert (done.outcome, "no approval since 2025-12-09 22:00 UTC" in done.message) == (
        "ApprovalExpired",
        True,
    )
    ended = plan_at(run(status), NOW + MAX_OFFERS * DAY, record=written_record(plan))
    assert (written_status(ended).phase, written_status(ended).reason) == ("Failed", "ApprovalExpired")


@pytest.mark.parametrize(
    "edit",
    [
        {"prompt": {"user": "{{ inputs.other }}", "assistant": "{{ outputs.docstring }}"}},
        {"trainingDefaults": {"numEpochs": 50}},
    ],
    ids=["prompt", "recipe"],
)
def test_an_edit_of_the_offered_inputs_prepares_again_and_makes_a_new_offer(edit: dict[str, Any]) -> None:
    of, edited = waiting_run(approval=approval_by("alice")), agent_that_requires_approval(**edit)
    plan = plan_at(of, agent_model=edited)
    assert step_names(plan) == ["stop_dataset", "status"]
    status = written_status(plan)
    assert (status.phase, status.dataset, status.estimate, status.approval_digest) == (
        "Preparing",
        None,
        None,
        "",
    )
    again = plan_at(run(status.wire(), approval=approval_by("alice")), agent_model=edited, **KNOWN_FACTS)
    assert written_status(again).reason == "ApprovalStale"
    assert written_status(again).approval_digest not in ("", of.status.approval_digest)


def test_another_run_with_the_same_spec_is_another_offer() -> None:
    other = {"uid": "7f3c1c62-0000-4000-8000-000000000009"}
    assert (
        written_status(
            plan_for(run(meta=other), agent_model=agent_that_requires_approval(), **KNOWN_FACTS)
        ).approval_digest
        != offered_digest()
    )


def test_requester_and_approver_do_not_change_the_identity() -> None:
    assert state(run(requestedBy="dan", approval=approval_by("alice"))).identity == state(run()).identity


# Ends while it waits.


@pytest.mark.parametrize(
    "how",
    [{"cancel": True}, {"meta": {"deletionTimestamp": "2025-12-09T22:30:00Z"}}],
    ids=["cancel", "deletion"],
)
def test_a_waiting_run_that_is_ended_keeps_no_reservation(how: dict[str, Any]) -> None:
    of = waiting_run(status=written_status(plan_that_asks()).wire(), **how)
    plan = plan_at(of, record=record_with_reservation())
    assert step_names(plan) == ["record"]
    assert KEY not in written_record(plan).reservations
    assert written_status(plan_at(of, record=written_record(plan))).phase == "Cancelled"


def test_a_refused_renewal_of_the_offer_ends_through_the_record() -> None:
    plan = plan_at(
        waiting_run(), NOW + DAY, record=record_with_reservation(), **{**KNOWN_FACTS, "base": None}
    )
    assert step_names(plan) == ["record"]
    assert KEY not in written_record(plan).reservations


def test_a_first_refusal_needs_no_record() -> None:
    assert step_names(
        plan_for(
            agent_model=agent_that_requires_approval(), record=empty_record(), **{**KNOWN_FACTS, "base": None}
        )
    ) == ["status"]
    assert DATASET_RESULT["ok"]


# Through the real reconciler.


async def test_an_approved_run_is_trained_in_ten_writes() -> None:
    simulation = PaidJobSimulation(Faults(takeovers=0, lost_answers=0, approvals=1), prepared=False)
    for _ in range(3):
        run_once(simulation)
    assert simulation.status()["phase"] == "AwaitingApproval"
    written = list(simulation.server.writes)
    restart_writes_nothing(simulation)
    assert simulation.server.writes == written
    assert written[-1] == "status AwaitingApproval/NeedsApproval"
    simulation.approve(simulation.status()["approvalDigest"])
    run_once(simulation)
    assert simulation.server.writes[len(written) :] == [
        "record",
        "status Submitting/Submitting",
        "status Scheduling/JobSubmitted",
    ]
