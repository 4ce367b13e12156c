"""A run with spec.estimateOnly: it ends with the price of its training, and spends, reserves and records nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.unit.training.objects import INSTALLATION, NOW, ORG, empty_record
from tests.unit.training.states import (
    BASE,
    DATASET_RESULT,
    FLAVOR,
    KNOWN_FACTS,
    agent_model,
    plan_for,
    ready_message,
    run,
    state,
    step_names,
    written_status,
)

from modelops.api.v1alpha1.trainingrun import TrainingRun
from modelops.domain.agentmodel.recovered_runs import end_of, with_runs
from modelops.domain.agentmodel.state import State as AgentState
from modelops.domain.conditions import condition_of
from modelops.domain.facts import UNSEEN
from modelops.domain.plan import Announce, Plan
from modelops.domain.record import Completed, Record, Settlement
from modelops.domain.training.state import TrainingSettings
from modelops.engine.trainingrun import jobs_to_release
from modelops.ports import ProgramState

SPENT = empty_record().with_(
    settlements={"another-run/1": Settlement(usd_micro=99_900_000, month=f"{NOW:%Y-%m}")}
)
"""The record of an agent that has spent all but ten cents of this month's budget."""


def estimate(status: dict[str, Any] | None = None, **more: Any) -> TrainingRun:
    return run(status, estimateOnly=True, **more)


def plan_of_estimate(of: TrainingRun | None = None, **changes: Any) -> Plan:
    return plan_for(of or estimate(), **{**KNOWN_FACTS, **changes})


def conditions(plan: Plan) -> dict[str, str]:
    return {c.type: c.status.value for c in written_status(plan).conditions}


def test_it_ends_with_the_price_in_one_write() -> None:
    plan = plan_of_estimate()
    assert step_names(plan) == ["status"]
    status = written_status(plan)
    assert (status.phase, status.reason, status.finished_at) == ("Succeeded", "Estimated", NOW)
    assert (status.estimate.flavor, status.dataset.train) == ("a10g-large", 135)
    assert status.dataset.as_of == DATASET_RESULT["as_of"]
    assert (status.job, status.recipe, status.cost_usd, status.active_since) == (None, None, None, None)
    assert conditions(plan) == {
        **dict.fromkeys(("Ready", "DatasetReady", "Finished", "Succeeded"), "True"),
        **dict.fromkeys(("Stalled", "Reconciling"), "False"),
    }
    events = [step for step in plan.steps if isinstance(step, Announce)]
    assert [(event.reason, event.warning) for event in events] == [("Estimated", False)]


def test_its_price_is_that_of_a_training_and_the_message_says_it() -> None:
    plan = plan_of_estimate()
    price = written_status(plan).estimate
    assert price == written_status(plan_for(run(), **KNOWN_FACTS)).estimate
    assert ready_message(plan) == (
        f"a training would cost ${price.low_usd} to ${price.high_usd} and take {price.low_minutes} to "
        f"{price.high_minutes} minutes on a10g-large; nothing was spent"
    )


@pytest.mark.parametrize(
    ("spec", "changes", "words"),
    [
        ({"maxUSD": "0.01"}, {}, ("be refused (OverMaxUSD): the training may cost up to $", "is $0.01")),
        ({}, {"record": SPENT}, ("be refused (OverBudget): up to $", "$0.10 of spec.budget.monthlyUSD $100")),
        (
            {},
            {"agent_model": agent_model(budget={"monthlyUSD": "100", "approvalAboveUSD": "0.1"})},
            (
                "wait for an approval (NeedsApproval): the training may cost up to $",
                "$0.1 of AgentModel docs",
            ),
        ),
        (
            {},
            {
                "agent_model": agent_model(
                    budget={"monthlyUSD": "100", "approvalAboveUSD": "0.1"},
                    approvalPolicy={"forbidSelfApproval": True},
                )
            },
            ("be refused (SelfApproval): ", "name the requester in spec.requestedBy"),
        ),
    ],
    ids=["maxUSD", "budget", "approval", "self-approval"],
)
def test_a_limit_fails_no_estimate_and_is_named_with_its_number(
    spec: dict[str, Any], changes: dict[str, Any], words: tuple[str, ...]
) -> None:
    plan = plan_of_estimate(estimate(**spec), **changes)
    assert (written_status(plan).phase, written_status(plan).reason) == ("Succeeded", "Estimated")
    assert condition_of(written_status(plan).conditions, "Approved") is None
    message = ready_message(plan)
    assert message.startswith("a training would cost $")
    assert "nothing was spent. It would " in message
    assert all(part in message for part in words), message


def test_every_limit_is_named_at_once() -> None:
    """A person who raises spec.maxUSD must not learn of the budget only from the training."""
    plan = plan_of_estimate(
        estimate(maxUSD="0.01"),
        record=SPENT,
        agent_model=agent_model(budget={"monthlyUSD": "100", "approvalAboveUSD": "0.1"}),
    )
    message = ready_message(plan)
    reasons = [word for word in ("OverMaxUSD", "OverBudget", "NeedsApproval") if f"({word}): " in message]
    assert reasons == ["OverMaxUSD", "OverBudget", "NeedsApproval"]


@pytest.mark.parametrize(
    "changes",
    [
        {"base": None},
        {"flavors": (replace(FLAVOR, name="another"),)},
        {"base_config": {"model_type": "unheard-of"}},
        {"dataset": ProgramState(result={"ok": False, "reason": "TooFewExamples", "message": "3 examples"})},
        {"agent_model": agent_model(langsmith=None)},
        {"agent_model": agent_model(prompt=None)},
        {"agent_model": None},
        {"secret_problem": "Secret tokens does not exist"},
        {"base": replace(BASE, parameters=70_000_000_000)},
    ],
    ids=lambda changes: ",".join(changes),
)
def test_what_keeps_a_training_from_being_priced_keeps_an_estimate(changes: dict[str, Any]) -> None:
    training, estimated = plan_for(run(), **{**KNOWN_FACTS, **changes}), plan_of_estimate(**changes)
    assert written_status(training).reason not in ("Submitting", "Estimated")
    assert estimated == training


@pytest.mark.parametrize(
    ("backend", "flavor"),
    [
        ({"kubernetes": {"device": "l40s", "gpus": 2}}, "l40sx2"),
        ({"trainJob": {"device": "l40s", "gpus": 1, "numNodes": 2}}, "l40sx1-2nodes"),
    ],
)
def test_an_estimate_in_this_cluster_is_at_the_price_of_the_training_defaults(
    backend: dict[str, Any], flavor: str
) -> None:
    prices = {"cost_estimates": {"l40s_per_hour": 1.2}}
    own = TrainingSettings(installation=INSTALLATION, hub_org=ORG, defaults=prices, jobs_enabled=False)
    of = estimate(backend=backend)
    plan = plan_of_estimate(of, settings=own, flavors=UNSEEN)
    assert step_names(plan) == ["status"]
    assert (written_status(plan).reason, written_status(plan).estimate.flavor) == ("Estimated", flavor)
    ended = estimate(written_status(plan).wire(), backend=backend)
    assert jobs_to_release(ended) == ()


def test_a_deadline_that_is_too_short_for_a_training_fails_an_estimate() -> None:
    plan = plan_of_estimate(estimate(activeDeadlineSeconds=60))
    assert (written_status(plan).phase, written_status(plan).reason) == ("Failed", "DeadlineTooShort")


def test_a_suspended_estimate_waits_and_goes_on() -> None:
    waiting = written_status(plan_of_estimate(estimate(suspend=True)))
    assert (waiting.phase, waiting.reason) == ("Suspended", "Suspended")
    assert written_status(plan_of_estimate(estimate(waiting.wire()))).reason == "Estimated"


@pytest.mark.parametrize("how", ["cancel", "delete"])
def test_an_estimate_that_a_person_ends_is_in_no_record(how: str) -> None:
    """It reserves nothing, so no late reservation has to fail, and the same estimate can be made again."""
    preparing = {"phase": "Preparing", "reason": "PreparingDataset"}
    ended = (
        estimate(preparing, cancel=True)
        if how == "cancel"
        else estimate(preparing, meta={"deletionTimestamp": NOW.isoformat()})
    )
    plan = plan_of_estimate(ended)
    assert step_names(plan) == ["stop_dataset", "status"]
    assert (written_status(plan).phase, written_status(plan).reason) == ("Cancelled", "Cancelled")


def test_an_ended_estimate_only_drops_its_finalizer() -> None:
    ended = written_status(plan_of_estimate()).wire()
    assert step_names(plan_of_estimate(estimate(ended))) == ["finalizers"]
    at_rest = estimate(ended, meta={"finalizers": []})
    assert plan_of_estimate(at_rest) == Plan()


def test_an_estimate_is_kept_after_its_ttl() -> None:
    """No record names it: one that Git creates again would be made, and uploaded, again and again."""
    ended = written_status(plan_of_estimate()).wire()
    kept = estimate(ended, meta={"finalizers": []}, ttlSecondsAfterFinished=60)
    assert plan_of_estimate(kept, now=NOW + timedelta(days=1)) == Plan()


def test_a_price_in_the_status_never_leads_to_a_submission() -> None:
    """Not even one that somebody else wrote: an estimate has no fixed price."""
    status = {**written_status(plan_for(run(), **KNOWN_FACTS)).wire(), "job": None}
    kept = {key: value for key, value in status.items() if value is not None}
    assert written_status(plan_of_estimate(estimate(kept))).reason == "Estimated"


def test_a_rebuilt_record_knows_nothing_of_an_estimate() -> None:
    ended = estimate(written_status(plan_of_estimate()).wire())
    agent = AgentState(now=NOW, agent_model=agent_model(), record=None, file=None, runs={}, rollouts={})
    assert with_runs(empty_record(), agent, {"identity": ended}) == empty_record()


def record_with_end(of: TrainingRun) -> Record:
    """The record that names exactly this run as completed."""
    done = Completed(kind="TrainingRun", name=of.metadata.name, uid="another", outcome=end_of(of).outcome)
    return empty_record().with_(completed={state(of).identity: done})


def test_an_estimate_and_a_training_with_the_same_name_and_values_are_two_runs() -> None:
    trained = record_with_end(run({"phase": "Succeeded", "reason": "Trained"}))
    assert written_status(plan_of_estimate(record=trained)).reason == "Estimated"
    estimated = record_with_end(estimate({"phase": "Cancelled", "reason": "Cancelled"}))
    assert "submit" in step_names(plan_for(run(), record=estimated, **KNOWN_FACTS))
    assert written_status(plan_for(run(), record=trained, **KNOWN_FACTS)).reason == "AlreadyCompleted"
