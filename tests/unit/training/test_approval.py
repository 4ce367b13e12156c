"""A TrainingRun that costs more than is allowed without a person: asked once, frozen, awaited, checked."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from tests.unit.training.objects import NOW, empty_record
from tests.unit.training.observation import (
    DATASET_RESULT,
    FLAVOR,
    KEY,
    KNOWN,
    actions,
    agent_model,
    booked,
    decided,
    message,
    reserved,
    run,
    said,
    state,
)
from tests.unit.training.paid_world import Faults, PaidWorld, restart_writes_nothing, run_once

from modelops.api.v1alpha1.agentmodel import AgentModel
from modelops.api.v1alpha1.trainingrun import TrainingRun
from modelops.domain.approval import MOST_OFFERS
from modelops.domain.conditions import condition_of
from modelops.domain.plan import Plan
from modelops.ports import Json

DAY = timedelta(days=1)
BUDGET = {"monthlyUSD": "100", "approvalAboveUSD": "0.1"}
LATER = NOW + timedelta(hours=1)


def strict(**spec: Any) -> AgentModel:
    """The agent, above whose threshold every run of these tests is."""
    return agent_model(**{"budget": BUDGET, **spec})


def asking(**spec: Any) -> Plan:
    return decided(run(**spec), agent_model=strict(), **KNOWN)


def waiting(*, approval: Json | None = None, status: Json | None = None, **more: Any) -> TrainingRun:
    """The run that asked; `approval`: what a person wrote since."""
    meta = more.pop("meta", None)
    spec = {**more, **({"approval": approval} if approval else {})}
    return run(status or said(asking(**more)).wire(), meta=meta, **spec)


def asked() -> str:
    return str(said(asking()).approval_digest)


def by(name: str, digest: str | None = None) -> Json:
    return {"approvedBy": name, "digest": digest or asked()}


def looked(of: TrainingRun, now: datetime = LATER, **changes: Any) -> Plan:
    return decided(of, now=now, **{"agent_model": strict(), **changes})


def approved_condition(plan: Plan) -> tuple[str, str]:
    found = condition_of(said(plan).conditions, "Approved")
    return (found.status.value, found.reason) if found else ("", "")


def test_asking_is_one_write_and_reserves_nothing() -> None:
    plan = asking()
    assert actions(plan) == ["status"]
    status = said(plan)
    assert (status.phase, status.reason) == ("AwaitingApproval", "NeedsApproval")
    assert (status.dataset.train, status.base_revision, status.job) == (135, "b" * 40, None)
    assert status.estimate.valid_until == NOW + DAY
    assert plan.requeue_after == DAY.total_seconds()
    assert approved_condition(plan) == ("False", "NeedsApproval")


def test_the_words_say_what_it_costs_why_and_how_to_approve() -> None:
    words = message(asking())
    parts = (
        "up to $",
        "spec.budget.approvalAboveUSD $0.1 of AgentModel docs",
        "modelops approve docs-1 -n team",
    )
    assert not [part for part in (*parts, "until 2025-12-10 22:00 UTC") if part not in words], words


def test_a_restart_writes_nothing_while_it_waits() -> None:
    plan = looked(waiting())
    assert actions(plan) == []
    assert plan.requeue_after == (DAY - timedelta(hours=1)).total_seconds()


def test_an_approved_run_goes_on_as_any_other_with_the_price_that_was_asked() -> None:
    plan = looked(waiting(approval=by("alice")), flavors=(replace(FLAVOR, usd_micro_per_hour=9_000_000),))
    assert actions(plan) == ["record", "status", "submit"]
    assert booked(plan).reservations[KEY].usd_micro == int(float(said(asking()).estimate.high_usd) * 1e6)
    assert approved_condition(plan) == ("True", "Approved")
    assert "alice approved up to $" in str(condition_of(said(plan).conditions, "Approved"))


def test_a_crash_after_the_reservation_goes_on_with_the_intent() -> None:
    of = waiting(approval=by("alice"))
    record = booked(looked(of))
    assert actions(looked(of, record=record)) == ["status", "submit"]


def test_the_budget_is_asked_again_when_it_is_approved() -> None:
    poor = strict(budget={"monthlyUSD": "0.2", "approvalAboveUSD": "0.1"})
    plan = looked(waiting(approval=by("alice")), agent_model=poor)
    assert actions(plan) == ["record"]
    assert KEY not in booked(plan).reservations
    assert next(iter(booked(plan).completed.values())).outcome == "OverBudget"


def test_what_does_not_fit_the_budget_is_not_asked() -> None:
    poor = strict(budget={"monthlyUSD": "0.2", "approvalAboveUSD": "0.1"})
    plan = decided(agent_model=poor, **KNOWN)
    assert (said(plan).phase, said(plan).reason) == ("Failed", "OverBudget")


def test_raising_the_threshold_after_it_was_asked_approves_nothing() -> None:
    assert actions(looked(waiting(), agent_model=agent_model())) in ([], ["status"])
    assert said(looked(waiting(), agent_model=agent_model())).phase == "AwaitingApproval"


# Approvals that do not count.


def test_an_approval_of_something_else_is_named() -> None:
    plan = looked(waiting(approval=by("alice", "sha256:" + "0" * 64)))
    assert actions(plan) == ["status"]
    assert (said(plan).reason, said(plan).phase) == ("ApprovalStale", "AwaitingApproval")
    assert "spec.approval of alice is of sha256:000000000000…" in message(plan)
    assert asked()[:19] in message(plan)
    assert actions(looked(run(said(plan).wire(), approval=by("alice", "sha256:" + "0" * 64)))) == []


SELF = {"approvalPolicy": {"forbidSelfApproval": True}}


def test_self_approval_is_refused_where_it_is_forbidden() -> None:
    of = waiting(approval=by("dan"), requestedBy="dan")
    plan = looked(of, agent_model=strict(**SELF))
    assert said(plan).reason == "SelfApproval"
    assert "dan asked, so somebody else must" in message(plan)
    assert actions(looked(of))[-1] == "submit"
    other = waiting(approval=by("alice"), requestedBy="dan")
    assert actions(looked(other, agent_model=strict(**SELF)))[-1] == "submit"


def test_a_policy_that_came_later_counts_for_a_run_that_does_not_say_who_asks() -> None:
    plan = looked(waiting(approval=by("alice")), agent_model=strict(**SELF))
    assert said(plan).reason == "SelfApproval"
    assert "does not say who asks" in message(plan)


# Offers end.


def test_an_expired_offer_is_made_anew_with_the_price_of_the_day() -> None:
    of, later = waiting(approval=by("alice")), NOW + DAY
    assert looked(of, later).needs == "flavors"
    dearer = {**KNOWN, "flavors": (replace(FLAVOR, usd_micro_per_hour=3_000_000),)}
    plan = looked(of, later, **dearer)
    assert actions(plan) == ["status"]
    assert said(plan).reason == "ApprovalStale"  # alice approved the old one
    assert said(plan).approval_digest != of.status.approval_digest
    assert float(said(plan).estimate.high_usd) > float(of.status.estimate.high_usd)  # type: ignore[union-attr]
    assert said(plan).estimate.valid_until == NOW + 2 * DAY


def test_the_same_price_on_another_day_is_another_offer() -> None:
    of = waiting()
    assert said(looked(of, NOW + DAY, **KNOWN)).approval_digest != of.status.approval_digest


def test_a_price_that_cannot_be_had_keeps_the_question_open() -> None:
    from modelops.domain.facts import Outage

    away = {**KNOWN, "flavors": Outage(service="hf", message="answered 503")}
    plan = looked(waiting(approval=by("alice")), NOW + DAY, **away)
    assert (actions(plan), said(plan).reason) == (["status"], "PriceUnknown")
    again = looked(run(said(plan).wire(), approval=by("alice")), NOW + DAY, **KNOWN)
    assert said(again).phase == "AwaitingApproval"


def test_an_expired_offer_below_a_raised_threshold_needs_no_approval() -> None:
    plan = looked(waiting(), NOW + DAY, agent_model=agent_model(), **KNOWN)
    assert actions(plan) == ["record", "status", "submit"]
    assert approved_condition(plan) == ("", "")


def test_nobody_is_asked_for_ever() -> None:
    status, now = said(asking()).wire(), NOW
    for _ in range(MOST_OFFERS - 1):
        now += DAY
        status = said(looked(run(status), now, **KNOWN)).wire()
    plan = looked(run(status), NOW + MOST_OFFERS * DAY)
    assert actions(plan) == ["record"]
    done = next(iter(booked(plan).completed.values()))
    assert (done.outcome, "no approval since 2025-12-09 22:00 UTC" in done.message) == (
        "ApprovalExpired",
        True,
    )
    ended = looked(run(status), NOW + MOST_OFFERS * DAY, record=booked(plan))
    assert (said(ended).phase, said(ended).reason) == ("Failed", "ApprovalExpired")


@pytest.mark.parametrize(
    "edit",
    [
        {"prompt": {"user": "{{ inputs.other }}", "assistant": "{{ outputs.docstring }}"}},
        {"trainingDefaults": {"numEpochs": 50}},
    ],
    ids=["prompt", "recipe"],
)
def test_an_edit_of_what_was_asked_prepares_and_asks_anew(edit: dict[str, Any]) -> None:
    of, edited = waiting(approval=by("alice")), strict(**edit)
    plan = looked(of, agent_model=edited)
    assert actions(plan) == ["stop_dataset", "status"]
    status = said(plan)
    assert (status.phase, status.dataset, status.estimate, status.approval_digest) == (
        "Preparing",
        None,
        None,
        "",
    )
    again = looked(run(status.wire(), approval=by("alice")), agent_model=edited, **KNOWN)
    assert said(again).reason == "ApprovalStale"
    assert said(again).approval_digest not in ("", of.status.approval_digest)


def test_another_run_with_the_same_spec_is_another_question() -> None:
    other = {"uid": "7f3c1c62-0000-4000-8000-000000000009"}
    assert said(decided(run(meta=other), agent_model=strict(), **KNOWN)).approval_digest != asked()


def test_who_asks_and_who_approves_do_not_make_another_run() -> None:
    assert state(run(requestedBy="dan", approval=by("alice"))).identity == state(run()).identity


# Ends while it waits.


@pytest.mark.parametrize(
    "how",
    [{"cancel": True}, {"meta": {"deletionTimestamp": "2025-12-09T22:30:00Z"}}],
    ids=["cancel", "deletion"],
)
def test_a_run_that_waits_ends_through_the_record_and_keeps_nothing(how: dict[str, Any]) -> None:
    of = waiting(status=said(asking()).wire(), **how)
    plan = looked(of, record=reserved())
    assert actions(plan) == ["record"]
    assert KEY not in booked(plan).reservations
    assert said(looked(of, record=booked(plan))).phase == "Cancelled"


def test_a_renewed_offer_that_must_be_refused_ends_through_the_record() -> None:
    plan = looked(waiting(), NOW + DAY, record=reserved(), **{**KNOWN, "base": None})
    assert actions(plan) == ["record"]
    assert KEY not in booked(plan).reservations


def test_a_first_refusal_needs_no_record() -> None:
    assert actions(decided(agent_model=strict(), record=empty_record(), **{**KNOWN, "base": None})) == [
        "status"
    ]
    assert DATASET_RESULT["ok"]


# Through the real reconciler.


async def test_an_approved_run_is_trained_in_ten_writes() -> None:
    world = PaidWorld(Faults(takeovers=0, lost_answers=0, approvals=1), prepared=False)
    for _ in range(3):
        run_once(world)
    assert world.status()["phase"] == "AwaitingApproval"
    written = list(world.server.writes)
    restart_writes_nothing(world)
    assert world.server.writes == written
    assert written[-1] == "status AwaitingApproval/NeedsApproval"
    world.approve(world.status()["approvalDigest"])
    run_once(world)
    assert world.server.writes[len(written) :] == [
        "record",
        "status Submitting/Submitting",
        "status Scheduling/JobSubmitted",
    ]
