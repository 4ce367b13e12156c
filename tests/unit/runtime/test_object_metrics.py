"""The metrics of objects say what the objects, the record and the agents' reports say."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.unit.adapters.test_report_store import body, track
from tests.unit.runtime.fleet_objects import (
    NOW,
    FakeFleet,
    agent_model,
    agents_file,
    record_map,
    rollout,
    training_run,
)

from modelops.domain.job_report import JobReport
from modelops.domain.record import EndpointEntry, Reservation, Settlement
from modelops.engine.watched_job import JobObservation
from modelops.ports import Job
from modelops.runtime.object_metrics import FAMILIES

DOCS = 'agent_namespace="team",agent="docs"'
TARGET_LABELS = {"namespace", "job", "instance", "service", "pod", "container", "endpoint", "node"}
"""Labels that Prometheus or its operator gives every target."""
ESTIMATE = {
    "lowUSD": "1.5",
    "highUSD": "4",
    "lowMinutes": 30,
    "highMinutes": 80,
    "flavor": "a10g-large",
    "usdPerHour": "3",
}


@pytest.fixture
def fleet() -> FakeFleet:
    return FakeFleet()


def test_no_label_is_one_that_prometheus_gives_a_target() -> None:
    assert not {label for family in FAMILIES for label in family.labels} & TARGET_LABELS


def test_runs_and_rollouts_are_counted_by_phase_and_reason(fleet: FakeFleet) -> None:
    for number in range(3):
        fleet.put(training_run(f"run-{number}", phase="Succeeded", reason="Trained"))
    fleet.put(training_run("other", phase="Failed", reason="OutOfMemory"))
    fleet.put(rollout("r", phase="Rejected", reason="EvaluationFailed"))
    samples = fleet.samples()
    assert samples[f'modelops_training_runs{{{DOCS},phase="Succeeded",reason="Trained"}}'] == 3
    assert samples[f'modelops_training_runs{{{DOCS},phase="Failed",reason="OutOfMemory"}}'] == 1
    assert samples[f'modelops_rollouts{{{DOCS},phase="Rejected",reason="EvaluationFailed"}}'] == 1


def test_a_finished_run_has_no_series_of_its_own(fleet: FakeFleet) -> None:
    times = {"startedAt": "2025-12-10T10:00:00Z", "finishedAt": "2025-12-10T10:02:00Z"}
    fleet.put(training_run("done", phase="Succeeded", estimate=ESTIMATE, costUSD="2", **times))
    one = fleet.samples()
    fleet.put(training_run("done-2", phase="Succeeded", estimate=ESTIMATE, costUSD="3", **times))
    two = fleet.samples()
    assert one.keys() == two.keys()
    assert not [name for name in two if "done" in name]
    assert two['modelops_training_run_duration_seconds_bucket{phase="Succeeded",le="60"}'] == 0
    assert two['modelops_training_run_duration_seconds_bucket{phase="Succeeded",le="300"}'] == 2
    assert two['modelops_training_run_duration_seconds_sum{phase="Succeeded"}'] == 240
    assert two[f'modelops_training_estimate_usd{{{DOCS},bound="high"}}'] == 8
    assert two[f"modelops_training_billed_usd{{{DOCS}}}"] == 5


def test_an_estimate_is_counted_by_its_reason_and_is_no_training(fleet: FakeFleet) -> None:
    times = {"startedAt": "2025-12-10T10:00:00Z", "finishedAt": "2025-12-10T10:02:00Z"}
    fleet.put(
        training_run("done", phase="Succeeded", reason="Trained", estimate=ESTIMATE, costUSD="2", **times)
    )
    trained = fleet.samples()
    for phase, reason in (("Succeeded", "Estimated"), ("Failed", "DatasetRefused")):
        item = training_run(reason.lower(), phase=phase, reason=reason, estimate=ESTIMATE, **times)
        item["spec"]["estimateOnly"] = True
        fleet.put(item)
    samples = fleet.samples()
    assert samples[f'modelops_training_runs{{{DOCS},phase="Succeeded",reason="Estimated"}}'] == 1
    of_trainings = [
        name for name in samples if "duration" in name or "estimate_usd" in name or "billed" in name
    ]
    assert {name: samples[name] for name in of_trainings} == {
        name: trained.get(name) for name in of_trainings
    }


def test_a_running_run_shows_its_loss_speed_time_and_cost(fleet: FakeFleet) -> None:
    fleet.put(
        training_run(
            "now",
            phase="Running",
            reason="JobRunning",
            estimate=ESTIMATE,
            costUSD="0.5",
            dataset={"tokens": 1000},
            progress={
                "percent": 40,
                "step": 4,
                "maxSteps": 10,
                "loss": "1.25",
                "etaMinutes": 9,
                "updatedAt": "2025-12-10T11:59:30Z",
            },
        )
    )
    fleet.jobs["uid-TrainingRun-now"] = JobObservation(
        job=Job(id="j", label="l", stage="RUNNING", started_at=NOW - timedelta(minutes=20)),
        report=JobReport(kind="log", t=1100, began_at=1000, step=4, max_steps=10, epoch=1.5),
    )
    samples, run = fleet.samples(), f'{DOCS},run="now"'
    assert (
        samples[f'modelops_training_run_info{{{run},phase="Running",flavor="a10g-large",method="dpo"}}'] == 1
    )
    assert samples[f"modelops_training_run_loss{{{run}}}"] == 1.25
    assert samples[f"modelops_training_run_progress_ratio{{{run}}}"] == 0.4
    assert samples[f"modelops_training_run_eta_seconds{{{run}}}"] == 540
    assert samples[f"modelops_training_run_tokens_per_second{{{run}}}"] == 15
    assert samples[f"modelops_training_run_progress_age_seconds{{{run}}}"] == 30
    assert samples[f"modelops_training_run_elapsed_seconds{{{run}}}"] == 1200
    assert samples[f'modelops_training_run_estimate_seconds{{{run},bound="high"}}'] == 4800
    assert samples[f"modelops_training_run_cost_usd{{{run}}}"] == 1.5


def test_waiting_for_hardware_and_for_an_approval_are_shown_with_their_time(fleet: FakeFleet) -> None:
    fleet.put(training_run("queued", phase="Scheduling", job={"intendedAt": "2025-12-10T11:50:00Z"}))
    asked = {"type": "Approved", "status": "False", "lastTransitionTime": "2025-12-09T12:00:00Z"}
    fleet.put(training_run("asks", phase="AwaitingApproval", conditions=[asked]))
    samples = fleet.samples()
    assert samples[f'modelops_training_run_hardware_wait_seconds{{{DOCS},run="queued"}}'] == 600
    assert samples[f'modelops_training_run_approval_wait_seconds{{{DOCS},run="asks"}}'] == 86400
    offer = {"stage": "Cost", "highUSD": "31", "askedAt": "2025-12-10T06:00:00Z"}
    fleet.put(rollout("waits", phase="AwaitingApproval", offer=offer))
    samples = fleet.samples()
    assert samples[f'modelops_rollout_approval_wait_seconds{{{DOCS},rollout="waits"}}'] == 6 * 3600


def test_money_follows_from_the_record_of_this_month(fleet: FakeFleet) -> None:
    endpoint = EndpointEntry(
        name="e",
        role="stable",
        repo="o/m",
        revision="",
        version="v1.1.0",
        usd_micro_per_hour=2_000_000,
        instance={},
        since=(NOW - timedelta(hours=3)).isoformat(),
    )
    fleet.put(agent_model())
    fleet.put(
        record_map(
            reservations={
                "uid-TrainingRun-now/1": Reservation(usd_micro=4_000_000, month="2025-12", name="now")
            },
            settlements={
                "a/1": Settlement(usd_micro=1_000_000, month="2025-12"),
                "b/1": Settlement(usd_micro=9_000_000, month="2025-11"),
            },
            endpoints=(endpoint,),
        )
    )
    fleet.put(training_run("now", phase="Running"))
    samples = fleet.samples()
    spend = {
        state: samples[f'modelops_agent_spend_usd{{{DOCS},state="{state}"}}']
        for state in ("settled", "reserved", "standing")
    }
    assert spend == {"settled": 1, "reserved": 4, "standing": 6}
    assert samples[f"modelops_agent_budget_usd{{{DOCS}}}"] == 40
    assert samples[f'modelops_endpoints_usd_per_hour{{{DOCS},role="stable"}}'] == 2
    assert samples[f'modelops_unowned_billing_resources{{{DOCS},kind="reservation"}}'] == 0
    fleet.clock.moment += timedelta(hours=1)
    assert fleet.samples()[f'modelops_agent_spend_usd{{{DOCS},state="standing"}}'] == 8


def test_what_bills_without_an_owner_is_counted(fleet: FakeFleet) -> None:
    overdue = EndpointEntry(
        name="e",
        role="stopping",
        repo="o/m",
        revision="",
        version="v1.1.0",
        usd_micro_per_hour=1,
        instance={},
        since=(NOW - timedelta(hours=3)).isoformat(),
        stop_after=(NOW - timedelta(minutes=11)).isoformat(),
    )
    kept = overdue.model_copy(update={"name": "f", "stop_after": ""})
    fleet.put(agent_model())
    fleet.put(
        record_map(
            reservations={"uid-of-nothing/1": Reservation(usd_micro=1, month="2025-12", name="gone")},
            endpoints=(overdue, kept),
            strays={"job-1": 5},
        )
    )

    def unowned() -> dict[str, float]:
        samples = fleet.samples()
        return {
            kind: samples[f'modelops_unowned_billing_resources{{{DOCS},kind="{kind}"}}']
            for kind in ("endpoint", "job", "reservation")
        }

    assert unowned() == {"endpoint": 1, "job": 1, "reservation": 1}
    fleet.delete("AgentModel", "docs")
    assert unowned()["endpoint"] == 2


EVALUATION = {
    "examples": 150,
    "baseline": {"success": "0.133"},
    "candidate": {"success": "0.413"},
    "differencePoints": "28.00",
    "intervalPoints": ["20.30", "35.60"],
    "marginPoints": "5",
    "verdict": "pass",
}


def test_the_newest_evaluation_is_shown_with_the_ends_of_its_interval(fleet: FakeFleet) -> None:
    old = rollout("old", phase="Rejected", evaluation={**EVALUATION, "verdict": "fail"})
    old["metadata"]["creationTimestamp"] = "2025-12-10T07:00:00Z"
    fleet.put(rollout("new", phase="Succeeded", reason="Promoted", evaluation=EVALUATION))
    fleet.put(old)
    samples = fleet.samples()
    difference = {
        bound: samples[f'modelops_evaluation_difference_ratio{{{DOCS},bound="{bound}"}}']
        for bound in ("measured", "low", "high")
    }
    assert difference == pytest.approx({"measured": 0.28, "low": 0.203, "high": 0.356})
    assert samples[f'modelops_evaluation_success_ratio{{{DOCS},arm="candidate"}}'] == 0.413
    assert samples[f'modelops_evaluations{{{DOCS},verdict="fail"}}'] == 1


def test_an_inconclusive_evaluation_waits_until_another_rollout_is_created(fleet: FakeFleet) -> None:
    ended = {"finishedAt": "2025-12-10T11:00:00Z", "evaluation": {**EVALUATION, "verdict": "inconclusive"}}
    fleet.put(rollout("a", phase="Rejected", reason="EvaluationInconclusive", **ended))
    name = f'modelops_evaluation_inconclusive_age_seconds{{{DOCS},rollout="a"}}'
    assert fleet.samples()[name] == 3600
    fleet.put(rollout("b", phase="Pending"))
    assert name not in fleet.samples()


FILE = """\
agents:
  docs:
    model: m
    endpoint: openrouter
    version: v1.0.0
    endpoint_url: https://o/v1
    api_key_env: KEY
    routing:
      generation: {generation}
      salt: uid-Rollout-r
      rollout: {{uid: uid-Rollout-r, step: 1, state: Aborted}}
"""


def test_the_canary_shows_its_weight_beside_what_the_agents_report(fleet: FakeFleet) -> None:
    generation = int((NOW - timedelta(seconds=60)).timestamp() * 1000)
    fleet.put(agent_model())
    propagated = {"type": "RoutingPropagated", "status": "True", "lastTransitionTime": "2025-12-10T11:59:04Z"}
    fleet.put(
        rollout(
            "r",
            phase="Progressing",
            weight=20,
            step=1,
            stepStartedAt="2025-12-10T11:59:00Z",
            intent={"generation": generation, "weight": 20, "step": 1},
            conditions=[propagated],
        )
    )
    report = body(
        salt="uid-Rollout-r",
        generation=generation,
        stable=track(30, errors=1, tokens=100),
        canary=track(10, latency_ms=200.0),
    )
    fleet.reports.record(report)
    samples, labels = fleet.samples(), f'{DOCS},rollout="r"'
    assert samples[f"modelops_canary_weight_ratio{{{labels}}}"] == 0.2
    assert samples[f"modelops_canary_observed_share_ratio{{{labels}}}"] == 0.25
    assert samples[f'modelops_track_requests_total{{{labels},track="canary"}}'] == 10
    assert samples[f'modelops_track_errors_total{{{labels},track="stable"}}'] == 1
    assert samples[f'modelops_track_tokens_total{{{labels},track="stable"}}'] == 100
    assert 0.15 < samples[f'modelops_track_latency_seconds{{{labels},track="canary",quantile="0.95"}}'] < 0.25
    assert samples[f'modelops_routing_agent_processes{{{labels},state="in_sync"}}'] == 1
    assert samples[f"modelops_routing_propagation_seconds{{{labels}}}"] == pytest.approx(4)
    assert samples[f"modelops_rollout_step_age_seconds{{{labels}}}"] == 60


def test_a_rollback_that_an_agent_has_not_confirmed_is_pending(fleet: FakeFleet) -> None:
    fleet.put(agent_model())
    fleet.put(agents_file(FILE.format(generation=9)))
    rollback = {"detectMilliseconds": 1500, "decideMilliseconds": 20, "writeMilliseconds": 30}
    status = {
        "phase": "Aborted",
        "reason": "ErrorRateBreached",
        "finishedAt": "2025-12-10T11:58:00Z",
        "intent": {"generation": 8, "weight": 20, "step": 1},
    }
    fleet.put(rollout("r", rollback=rollback, **status))
    fleet.reports.record(body(salt="uid-Rollout-r", generation=8))
    pending = f'modelops_rollback_pending_seconds{{{DOCS},rollout="r"}}'
    samples = fleet.samples()
    assert samples[pending] == 120
    assert samples[f'modelops_agent_last_rollback_seconds{{{DOCS},stage="detect"}}'] == 1.5
    assert samples[f"modelops_agent_last_abort_timestamp_seconds{{{DOCS}}}"] == NOW.timestamp() - 120
    fleet.reports.record(body(salt="uid-Rollout-r", generation=9))
    assert pending not in fleet.samples()
    fleet.put(rollout("r", rollback={**rollback, "effectMilliseconds": 900}, **status))
    samples = fleet.samples()
    assert pending not in samples
    assert samples[f'modelops_agent_last_rollback_seconds{{{DOCS},stage="effect"}}'] == 0.9


def test_an_agent_model_shows_why_it_is_not_ready(fleet: FakeFleet) -> None:
    fleet.put(agent_model(ready=("False", "TokenRefused")))
    assert fleet.samples()[f'modelops_agent_ready{{{DOCS},reason="TokenRefused"}}'] == 0


@pytest.mark.parametrize("odd", [{}, {"phase": 7}, {"estimate": "x", "conditions": {}}, {"progress": []}])
def test_an_odd_status_costs_only_its_own_samples(fleet: FakeFleet, odd: dict[str, object]) -> None:
    fleet.put(training_run("odd", **odd))
    fleet.put(rollout("odd", **odd))
    fleet.put(training_run("good", phase="Succeeded", reason="Trained"))
    assert fleet.samples()[f'modelops_training_runs{{{DOCS},phase="Succeeded",reason="Trained"}}'] == 1


def test_every_sample_belongs_to_a_documented_family(fleet: FakeFleet) -> None:
    fleet.put(agent_model())
    fleet.put(training_run("now", phase="Running", estimate=ESTIMATE))
    text = fleet.metrics.render().decode()
    typed = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}
    assert typed
    assert typed <= {family.name for family in FAMILIES}
    for family in FAMILIES:
        assert family.name.endswith("_total") == (family.type == "counter")
