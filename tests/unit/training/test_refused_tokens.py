"""Hugging Face refuses the token before a job exists: the run waits, and goes on when the Secret is corrected."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.agentmodel.test_agentmodel_decide import AgentModelDriver, agent_model_state
from tests.unit.rollout.rollout_driver import RolloutDriver, rollout_state
from tests.unit.training.states import (
    KNOWN_FACTS,
    plan_for,
    ready_message,
    run,
    step_names,
    written_status,
)
from tests.unit.training.submitted_runs import WITH_INTENT

from modelops.domain.facts import Outage
from modelops.domain.training.state import Submission
from modelops.ports import ProgramState

REFUSED = Outage(service="hf", message="answered 401: replace the token", refused=True, token_refused=True)
UPLOAD_REFUSED = ProgramState(
    result={
        "ok": False,
        "reason": "HubUnauthorized",
        "message": "the Hub answered 403: replace the token",
        "transient": True,
        "token_refused": True,
    }
)


@pytest.mark.parametrize(
    ("facts", "more"),
    [
        ({"flavors": REFUSED}, []),
        ({"base": REFUSED}, []),
        ({"base_config": REFUSED}, []),
        ({"tokenizer": REFUSED}, []),
        ({"dataset": UPLOAD_REFUSED}, ["retry_dataset"]),
    ],
    ids=lambda value: next(iter(value), "") if isinstance(value, dict) else "",
)
def test_a_new_run_waits_for_another_token_and_goes_on_with_it(
    facts: dict[str, Any], more: list[str]
) -> None:
    plan = plan_for(**{**KNOWN_FACTS, **facts})
    assert step_names(plan) == ["status", *more]
    status = written_status(plan)
    assert (status.reason, status.finished_at, plan.requeue_after) == ("TokenRefused", None, 15)
    assert "replace the token" in ready_message(plan)
    assert "new run" not in ready_message(plan)
    waiting = run(status.wire())
    assert step_names(plan_for(waiting, **{**KNOWN_FACTS, **facts})) == more
    assert "submit" in step_names(plan_for(waiting, **KNOWN_FACTS))


def test_a_first_submission_with_a_refused_token_is_made_again_later() -> None:
    refused = Submission(refused="answered 403: replace the token", token_refused=True)
    plan = plan_for(WITH_INTENT, submission=refused)
    assert step_names(plan) == ["status", "forget_submission"]
    status = written_status(plan)
    assert (status.phase, status.reason, status.ending) == ("Submitting", "TokenRefused", "")
    again = plan_for(run(status.wire()), settle_period_passed=True, labelled=())
    assert step_names(again) == ["status", "submit"]


def test_the_agent_model_says_that_a_rollout_waits_for_a_token() -> None:
    waiting = RolloutDriver(rollout_state(), facts={"price": REFUSED})
    waiting.step()
    driver = AgentModelDriver(agent_model_state()).run_until_idle()
    driver.state = replace(driver.state, rollouts={"identity": waiting.state.rollout})
    driver.run_until_idle()
    ready, reason, message = driver.condition("Ready")
    assert (ready, reason) == ("False", "TokenRefused")
    assert f"Rollout {waiting.state.rollout.metadata.name}: " in message


def test_the_agent_model_says_that_a_new_run_waits_for_a_token() -> None:
    refused = run(written_status(plan_for(**{**KNOWN_FACTS, "flavors": REFUSED})).wire())
    driver = AgentModelDriver(agent_model_state()).run_until_idle()
    driver.state = replace(driver.state, runs={"identity": refused})
    driver.run_until_idle()
    ready, reason, message = driver.condition("Ready")
    assert (ready, reason) == ("False", "TokenRefused")
    assert f"TrainingRun {refused.metadata.name}: " in message


def test_a_full_storage_is_no_refused_token_and_ends_no_run() -> None:
    words = "the Hub answered 403: Private repository storage limit reached; free storage of 'o'"
    full = ProgramState(result={"ok": False, "reason": "HubStorageFull", "message": words, "transient": True})
    plan = plan_for(**{**KNOWN_FACTS, "dataset": full})
    assert step_names(plan) == ["status", "retry_dataset"]
    assert (written_status(plan).reason, ready_message(plan)) == ("HubRefused", words)
