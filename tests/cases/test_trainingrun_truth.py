"""What a TrainingRun says of its job is so, while it runs and after its end."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.agentmodel.test_agentmodel_decide import AgentModelDriver, agent_model_state
from tests.unit.training.states import (
    job,
    plan_for,
    ready_message,
    record_with_reservation,
    run,
    state,
    submitted_status,
    written_status,
)

from modelops.domain.facts import UNSEEN, Outage
from modelops.domain.record import Completed
from modelops.domain.training.decide import decide

REVOKED = Outage(
    service="Hugging Face", message="answered 401: replace the token", refused=True, token_refused=True
)


def test_a_revoked_token_is_the_reason_of_a_run_whose_job_goes_on() -> None:
    running = submitted_status(id="job1", stage="RUNNING")
    status = written_status(plan_for(run(running), job=REVOKED))
    assert status.reason == "TokenRefused"
    assert status.finished_at is None
    assert "replace the token" in ready_message(plan_for(run(running), job=REVOKED))
    replaced = plan_for(run(status.wire()), job=job("RUNNING"), report=None)
    assert written_status(replaced).reason == "JobRunning"


def test_the_agent_model_of_a_run_with_a_revoked_token_says_so_too() -> None:
    driver = AgentModelDriver(agent_model_state()).run_until_idle()
    refused = run(written_status(plan_for(run(submitted_status(id="job1")), job=REVOKED)).wire())
    driver.state = replace(driver.state, runs={"identity": refused})
    driver.run_until_idle()
    ready, reason, message = driver.condition("Ready")
    assert (ready, reason) == ("False", "TokenRefused")
    assert refused.metadata.name in message
    goes_on = run(submitted_status(id="job1", stage="RUNNING"))
    driver.state = replace(driver.state, runs={"identity": goes_on})
    assert driver.run_until_idle().condition("Ready")[0] == "True"


def test_a_refused_token_is_not_called_an_outage_of_the_endpoints() -> None:
    driver = AgentModelDriver(agent_model_state()).run_until_idle()
    driver.state = replace(driver.state, endpoints=REVOKED)
    driver.step()
    assert driver.condition("Ready")[1:] == ("TokenRefused", REVOKED.message)


@pytest.mark.parametrize(
    ("seen", "stage"), [(job("ERROR"), "ERROR"), (job("CANCELED"), "CANCELED"), (None, ""), (REVOKED, "")]
)
def test_the_stage_of_a_job_whose_run_has_ended_is_the_last_one_or_unknown(seen: object, stage: str) -> None:
    running = run(submitted_status(id="job1", stage="RUNNING"))
    known = state(running, job=UNSEEN if seen is None else seen)
    uid, name = running.metadata.uid, running.metadata.name
    done = Completed(kind="TrainingRun", name=name, uid=uid, outcome="JobFailed")
    record = record_with_reservation().with_(completed={known.identity: done})
    assert written_status(decide(replace(known, record=record))).job.stage == stage
