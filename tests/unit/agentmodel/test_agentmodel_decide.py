"""What is decided about an agent: its record, what bills, and what is left over from rollouts that are gone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest
from tests.unit.rollout import objects
from tests.unit.rollout.objects import AGENT, START, Json
from tests.unit.rollout.observing import Life, a_file, a_record, at_weight, observed, over, parsed, watching
from tests.unit.training import objects as training

from modelops.api.v1alpha1.agentmodel import AgentModel
from modelops.api.v1alpha1.rollout import Rollout
from modelops.api.v1alpha1.trainingrun import TrainingRun
from modelops.domain.agentmodel.actions import CreateEndpoint, DeleteEndpoint, SettleOrphanedAttempt
from modelops.domain.agentmodel.decide import decide
from modelops.domain.agentmodel.state import State
from modelops.domain.agentsfile import with_routing
from modelops.domain.facts import UNSEEN, Outage
from modelops.domain.plan import Announce, Plan, WriteFile, WriteFinalizers, WriteRecord, WriteStatus
from modelops.domain.record import Record, Reservation, Settlement
from modelops.domain.rollout.endpoint_cost import planned_seconds
from modelops.domain.rollout.state import State as RolloutObserved
from modelops.ports import AgentReports, Endpoint

JOB: Json = {"attempt": 1, "label": "0a1b2c3d-run-1", "id": "job-1", "submissions": 1}


@dataclass
class Care:
    """Decides and carries out about one AgentModel; the cloud does what it is told."""

    state: State
    cloud: dict[str, Endpoint] = field(default_factory=dict)
    written: list[str] = field(default_factory=list)
    did: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    def step(self) -> Plan:
        plan = decide(self.state)
        while plan.needs:
            self.state = replace(self.state, **self._fact(plan.needs))
            plan = decide(self.state)
        for step in plan.steps:
            self._take(step)
        self.state = replace(self.state, endpoints=UNSEEN, live=False)
        return plan

    def _fact(self, name: str) -> dict[str, Any]:
        return {"endpoints": tuple(self.cloud.values())} if name == "endpoints" else {name: True}

    def _take(self, step: object) -> None:
        agent = self.state.agent_model
        match step:
            case WriteStatus(status=status):
                self.state = replace(self.state, agent_model=agent.model_copy(update={"status": status}))
                self.written.append("status")
            case WriteFinalizers(finalizers=finalizers):
                metadata = agent.metadata.model_copy(update={"finalizers": finalizers})
                self.state = replace(self.state, agent_model=agent.model_copy(update={"metadata": metadata}))
                self.written.append("finalizers")
            case WriteRecord(record=record, purpose=purpose):
                self.state = replace(self.state, record=record)
                self.written.append(f"record {purpose.split(' ')[0].rstrip(':')}")
            case WriteFile(text=text):
                assert self.state.file is not None
                version = str(int(self.state.file.resource_version) + 1)
                self.state = replace(self.state, file=a_file(text, version))
                self.written.append("file")
            case CreateEndpoint(entry=entry):
                self.cloud[entry.name] = Endpoint(
                    name=entry.name, state="running", url="https://e/v1", repo=entry.repo, revision=""
                )
                self.did.append("create")
            case DeleteEndpoint(name=name):
                self.cloud.pop(name, None)
                self.did.append("delete")
            case SettleOrphanedAttempt():
                self.did.append("settle")
            case Announce(reason=reason):
                self.told.append(reason)

    def rest(self) -> Care:
        """Until nothing more is to be done now."""
        for _ in range(12):
            before = (len(self.written), len(self.did))
            plan = self.step()
            if (len(self.written), len(self.did)) == before and plan.requeue_after != 0:
                return self
        raise AssertionError(f"never comes to rest: {self.written} {self.did}")

    def passes(self, seconds: float) -> None:
        self.state = replace(self.state, now=self.state.now + timedelta(seconds=seconds))

    @property
    def record(self) -> Record:
        assert self.state.record is not None
        return self.state.record

    def condition(self, kind: str) -> tuple[str, str, str]:
        found = next(c for c in self.state.agent_model.status.conditions if c.type == kind)
        return found.status.value, found.reason, found.message


def about(item: Json | None = None, **changes: Any) -> State:
    given: dict[str, Any] = {
        "now": START,
        "agent_model": parsed(AgentModel, item or objects.agent_model()),
        "record": None,
        "file": a_file(),
        "rollouts": {},
        "runs": {},
    }
    return State(**{**given, **changes})


def beside(life: Life, **changes: Any) -> Care:
    """The agent at a moment of a rollout's life."""
    state: RolloutObserved = life.state
    rollouts = changes.pop("rollouts", {state.identity: state.rollout})
    return Care(about(record=state.record, file=state.file, now=state.now, rollouts=rollouts, **changes))


def deleted(item: Json) -> Json:
    return {**item, "metadata": {**item["metadata"], "deletionTimestamp": "2025-12-10T09:00:00Z"}}


# --- the record


def test_a_new_agent_gets_finalizer_record_and_status_and_then_rests() -> None:
    item = objects.agent_model()
    del item["metadata"]["finalizers"]
    care = Care(about(item)).rest()
    assert care.written == ["finalizers", "record first", "status"]
    assert care.record.stable.version == "v1.0.0"
    assert care.record.served == {"v1.0.0": care.record.stable}
    assert care.condition("Ready")[:2] == ("True", "Reconciled")
    care.passes(3600)
    assert care.step().steps == ()


def test_no_record_is_made_before_the_file_can_be_read() -> None:
    care = Care(about(file=None, file_problem="ConfigMap agents does not exist in namespace team: create it"))
    care.rest()
    assert care.written == ["status"]
    assert care.condition("InSync")[1:] == (
        "ConfigNotUsable",
        "ConfigMap agents does not exist in namespace team: create it",
    )


def test_a_record_that_cannot_be_read_is_left_alone() -> None:
    care = Care(about(record_problem="ConfigMap docs-modelops-record: the record cannot be read")).rest()
    assert care.written == ["status"]
    assert care.condition("Ready")[1] == "RecordNotReadable"


def test_a_second_agent_model_over_the_same_agent_does_nothing() -> None:
    care = Care(about(older="first")).rest()
    assert care.written == ["status"]
    assert care.condition("TargetConflict")[:2] == ("True", "TargetConflict")


def test_what_is_only_shown_waits_until_the_last_status_has_stood_for_its_second() -> None:
    care = Care(about(record=None)).rest()
    spent = care.record.with_(endpoint_spend={f"{START:%Y-%m}": 1_000_000})
    care.state = replace(care.state, record=spent, rest_seconds=0.4)
    plan = decide(care.state)
    assert (plan.steps, plan.requeue_after) == ((), 0.4)
    care.state = replace(care.state, rest_seconds=-0.1)
    assert [type(step) for step in decide(care.state).steps] == [WriteStatus]


def test_conditions_that_turn_are_told_as_events() -> None:
    care = Care(about(record=None)).rest()
    assert care.told == ["Reconciled"]
    care.state = replace(care.state, secret_problem="Secret tokens does not exist")
    care.rest()
    care.state = replace(care.state, secret_problem="")
    care.rest()
    assert care.told == ["Reconciled", "SecretNotUsable", "Reconciled"]
    care.rest()
    assert len(care.told) == 3


def test_drift_is_shown_and_not_healed() -> None:
    text = objects.FILE_TEXT.replace("claude-3.5-sonnet", "other")
    care = Care(about(record=None)).rest()
    care.state = replace(care.state, file=a_file(text, "9"))
    care.rest()
    assert care.condition("InSync")[1] == "StableDrift"
    assert "file" not in care.written


# --- a record that was lost


def lost(life: Life, before: Care) -> Care:
    """The same moment without the record; the AgentModel's status remembers."""
    return Care(replace(before.state, record=None), cloud=before.cloud)


MOMENTS: dict[str, Callable[[RolloutObserved], bool]] = {
    "claimed": lambda state: state.rollout.status.started_at is not None,
    "at twenty": at_weight(20),
    "watching": watching,
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_lost_record_is_rebuilt_and_the_rollout_goes_on(moment: str) -> None:
    life = Life(observed()).until(MOMENTS[moment])
    care = lost(life, beside(life).rest()).rest()
    before, after = life.state.record, care.record
    assert before is not None
    assert after.active == before.active
    assert after.reservations == before.reservations
    assert [(e.name, e.role) for e in after.endpoints] == [(e.name, e.role) for e in before.endpoints]
    assert after.stable == before.stable
    assert len(care.cloud) == 1
    life.state = replace(life.state, record=after)
    assert life.until(over).phase == "Succeeded"


def test_a_rollout_whose_record_was_lost_runs_no_longer_than_it_has_reserved() -> None:
    life = Life(observed()).until(watching)
    life.state = replace(life.state, record=lost(life, beside(life).rest()).rest().record)
    life.passes(planned_seconds(life.state), healthy=False)
    life.until(over)
    assert (life.phase, life.reason) == ("Aborted", "DeadlineExceeded")
    assert life.state.record is not None
    assert list(life.state.record.settlements) == ["uid-r1/1"]
    assert life.state.record.reservations == {}


def test_a_lost_record_knows_what_was_promoted() -> None:
    life = Life(observed()).until(over)
    care = lost(life, beside(life).rest()).rest()
    assert care.record.completed[life.state.identity].outcome == "Promoted"
    assert (care.record.stable.version, care.record.stable.model) == ("v1.1.0", "org/candidate-of-r1")
    assert care.record.previous is not None
    assert care.record.previous.version == "v1.0.0"
    assert set(care.record.served) == {"v1.0.0", "v1.1.0"}
    assert [e.role for e in care.record.endpoints] == ["stable"]


@pytest.mark.parametrize("without", [1, 0])
def test_a_record_lost_during_the_promotion_takes_the_file_at_its_word(without: int) -> None:
    life = Life(observed()).until(at_weight(100))
    before = beside(life).rest()
    life.step(without=without)
    before.state = replace(
        before.state, file=life.state.file, rollouts={life.state.identity: life.state.rollout}
    )
    care = lost(life, before).rest()
    assert care.record.stable.model == "org/candidate-of-r1"
    assert care.record.active is None
    assert [(e.role, e.stop_after) for e in care.record.endpoints] == [("stable", "")]
    life.state = replace(life.state, record=care.record)
    assert life.until(over).phase == "Succeeded"


def test_a_lost_record_knows_what_was_rejected() -> None:
    life = Life(observed(objects.rollout(maxUSD="1"))).until(over)
    care = lost(life, beside(life).rest()).rest()
    assert care.record.completed[life.state.identity].outcome == "OverMaxUSD"


def test_a_lost_record_is_rebuilt_from_what_the_api_server_has() -> None:
    life = Life(observed()).until(watching)
    assert decide(lost(life, beside(life).rest()).state).needs == "live"


def test_a_lost_record_knows_what_was_stable_before_the_last_promotion() -> None:
    life = Life(observed()).until(over)
    care = beside(life).rest()
    text = objects.FILE_TEXT.replace("anthropic/claude-3.5-sonnet", "org/newer").replace("v1.0.0", "v1.2.0")
    care.state = replace(care.state, file=a_file(text, "99"))
    care = lost(life, care).rest()
    assert care.record.stable.version == "v1.2.0"
    assert care.record.previous is not None
    assert care.record.previous.version == "v1.1.0"
    assert [e.role for e in care.record.endpoints] == ["previous"]


def promoted_before(version: str, model: str) -> Rollout:
    """A rollout that ended long ago with this candidate as stable."""
    candidate = {"version": version, "model": model, "revision": "r", "endpointName": "mo-old"}
    intent = {
        "step": 4,
        "state": "Promoting",
        "weight": 0,
        "generation": 9,
        "baseResourceVersion": "1",
        "attempt": 1,
    }
    status = {"phase": "Succeeded", "reason": "Promoted", "candidate": candidate, "intent": intent}
    return parsed(Rollout, {**objects.rollout("long-ago", uid="uid-old"), "status": status})


def test_a_lost_record_can_return_to_everything_that_was_promoted() -> None:
    life = Life(observed()).until(over)
    care = beside(life).rest()
    rollouts = {**care.state.rollouts, "sha256:old": promoted_before("v1.0.5-rc.1", "org/older")}
    care.state = replace(care.state, rollouts=rollouts)
    record = lost(life, care).rest().record
    assert set(record.served) == {"v1.0.0", "v1.0.5", "v1.1.0"}
    assert (record.served["v1.0.5"].model, record.served["v1.0.5"].endpoint_name) == ("org/older", "mo-old")
    assert record.stable.version == "v1.1.0"


def test_a_lost_record_calls_the_model_that_serves_by_its_release() -> None:
    life = Life(observed()).until(over)
    care = beside(life).rest()
    model = {"repo": "org/candidate-of-r1", "revision": "r", "version": "v1.1.0-rc.1"}
    ended = {"phase": "Succeeded", "reason": "Trained", "job": JOB, "model": model, "costUSD": "1"}
    run = parsed(TrainingRun, {**training.run_json(), "status": ended})
    care.state = replace(care.state, runs={"sha256:run": run})
    care = lost(life, care).rest()
    assert [(e.version, e.deployment_status) for e in care.record.history] == [("v1.1.0", "deployed")]
    # A second run with that model on its status, found later, makes no second entry of it.
    care.state = replace(care.state, runs={**care.state.runs, "sha256:again": run})
    assert len(care.rest().record.history) == 1


# --- a record that remembers less than the statuses do


def restored(life: Life, care: Care, **changes: Any) -> Care:
    """The record as it was before anything happened, over what there is by now."""
    return Care(replace(care.state, record=a_record(), **changes), cloud=care.cloud)


def test_an_endpoint_that_only_the_status_remembers_is_stopped() -> None:
    life = Life(observed()).until(watching)
    care = restored(life, beside(life).rest()).rest()
    assert [e.role for e in care.record.endpoints] == ["stopping"]
    care.passes(120)
    care.rest()
    assert care.cloud == {}
    assert care.record.endpoints == ()


def test_an_endpoint_on_its_way_out_serves_again_where_its_rollout_turns_out_to_hold_the_agent() -> None:
    life = Life(observed()).until(watching)
    stopping = restored(life, beside(life).rest()).rest()
    care = lost(life, Care(replace(stopping.state), cloud=stopping.cloud)).rest()
    assert care.record.active is not None
    assert [(e.role, e.stop_after) for e in care.record.endpoints] == [("canary", "")]


def test_what_the_status_remembers_is_put_on_record_only_from_its_newest_copy() -> None:
    life = Life(observed()).until(watching)
    care = restored(life, beside(life).rest())
    before = care.state.agent_model.status
    status, record = care.step().steps
    assert isinstance(status, WriteStatus)
    assert isinstance(record, WriteRecord)
    assert status.status == before


def test_a_rollout_that_ended_is_on_record_again_and_holds_nothing() -> None:
    life = Life(observed()).until(watching)
    claimed = life.state.record
    care = beside(life).rest()
    life.asks(abort=True)
    life.until(over)
    care.state = replace(
        care.state, record=claimed, file=life.state.file, rollouts={life.state.identity: life.state.rollout}
    )
    care.rest()
    assert care.record.completed[life.state.identity].outcome == "AbortedByUser"
    assert care.record.active is None
    assert [e.role for e in care.record.endpoints] == ["stopping"]


def test_a_job_that_only_its_run_remembers_is_covered_again_and_booked_once() -> None:
    item = training.run_json(status={**training.prepared_status(), "job": JOB, "phase": "Running"})
    run = parsed(TrainingRun, item)
    care = Care(about(record=a_record(), runs={"digest": run})).rest()
    assert [r.usd_micro for r in care.record.reservations.values()] == [375_000]
    done = {"phase": "Failed", "reason": "JobFailed", "costUSD": "0.20", "finishedAt": training.CREATED}
    ended = parsed(TrainingRun, {**item, "status": {**item["status"], **done}})
    care.state = replace(care.state, runs={"digest": ended})
    care.rest()
    assert care.record.reservations == {}
    assert [s.usd_micro for s in care.record.settlements.values()] == [200_000]
    assert care.record.completed["digest"].outcome == "JobFailed"


def test_an_attempt_that_was_settled_a_moment_ago_is_not_covered_again() -> None:
    """The record is written before the status, and other changes of the record may come in between."""
    run = parsed(
        TrainingRun, training.run_json(status={**training.prepared_status(), "job": JOB, "phase": "Running"})
    )
    settled = {f"{run.metadata.uid}/1": Settlement(usd_micro=20_000, month="2025-12")}
    care = Care(about(record=a_record().with_(settlements=settled), runs={"digest": run})).rest()
    assert care.record.reservations == {}
    assert care.record.settlements == settled


def test_an_older_record_covers_no_attempt_that_is_over() -> None:
    past = {"attempt": 1, "reason": "JobLost", "costUSD": "0.10", "job": "job1"}
    status = {
        **training.prepared_status(),
        "attempts": [past],
        "job": {**JOB, "attempt": 2},
        "phase": "Running",
    }
    run = parsed(TrainingRun, training.run_json(status=status))
    uid = run.metadata.uid
    older = {f"{uid}/1": Reservation(usd_micro=375_000, month="2025-12", name="docs-1")}
    care = Care(about(record=a_record().with_(reservations=older), runs={"digest": run})).rest()
    assert (list(care.record.reservations), list(care.record.settlements)) == ([f"{uid}/2"], [f"{uid}/1"])


def test_a_lost_record_knows_what_the_attempts_of_a_run_cost() -> None:
    past = {"attempt": 1, "reason": "JobLost", "costUSD": "0.10", "job": "job1"}
    status = {
        **training.prepared_status(),
        "attempts": [past],
        "job": {**JOB, "attempt": 2},
        "phase": "Running",
    }
    item = training.run_json(status=status)
    run = parsed(TrainingRun, item)
    uid = run.metadata.uid
    care = Care(about(record=a_record(), runs={"digest": run})).rest()
    assert (list(care.record.reservations), care.record.spent_by(uid)) == ([f"{uid}/2"], 100_000)
    done = {"phase": "Failed", "reason": "JobFailed", "costUSD": "0.30", "finishedAt": training.CREATED}
    ended = parsed(TrainingRun, {**item, "status": {**status, **done}})
    care.state = replace(care.state, runs={"digest": ended})
    care.rest()
    booked = {key: settlement.usd_micro for key, settlement in care.record.settlements.items()}
    assert (booked, care.record.reservations) == ({f"{uid}/1": 100_000, f"{uid}/2": 200_000}, {})


# --- a rollout that is gone


def test_a_rollout_that_vanished_is_put_back_and_its_spec_never_acts_again() -> None:
    life = Life(observed()).until(at_weight(20))
    care = beside(life, rollouts={}).rest()
    assert [w for w in care.written if w != "status"][:3] == ["record fence", "file", "record release"]
    assert care.state.file is not None
    assert care.state.file.entry.routing is not None
    assert care.state.file.entry.routing.rollout.state == "Aborted"
    assert care.record.completed[life.state.identity].outcome == "Deleted"
    assert care.record.reservations == {}
    assert [e.role for e in care.record.endpoints] in ([], ["stopping"])


def test_a_vanished_promotion_that_was_not_committed_gets_stable_back() -> None:
    life = Life(observed()).until(at_weight(100))
    life.step(without=1)
    care = beside(life, rollouts={}).rest()
    assert care.state.file is not None
    assert care.state.file.entry.stable is not None
    assert care.state.file.entry.stable.model == "anthropic/claude-3.5-sonnet"
    assert care.record.stable.version == "v1.0.0"


def test_nothing_is_released_while_the_file_cannot_be_read() -> None:
    life = Life(observed()).until(at_weight(20))
    care = beside(life, rollouts={})
    held = care.state.file
    care.state = replace(care.state, file=None, file_problem="not YAML")
    for _ in range(4):
        care.step()
    assert care.record.active is not None
    assert care.record.active.aborting
    care.state = replace(care.state, file=held, file_problem="")
    assert care.rest().record.active is None


def test_a_weight_that_nobody_holds_is_taken_down() -> None:
    life = Life(observed()).until(at_weight(20))
    assert life.state.file is not None
    text = life.state.file.text
    life.asks(abort=True)
    life.until(over)
    care = beside(life)
    care.state = replace(care.state, file=a_file(text, "99"))
    care.rest()
    assert care.told == ["OrphanRouting", "Reconciled"]
    assert care.state.file is not None
    assert care.state.file.entry.routing is not None
    assert care.state.file.entry.routing.weight == 0


def test_the_weight_of_the_rollout_that_holds_the_agent_is_left_alone() -> None:
    care = beside(Life(observed()).until(at_weight(20))).rest()
    assert "file" not in care.written


# --- what bills


def test_an_endpoint_is_remembered_twice_before_it_is_started() -> None:
    life = Life(observed()).until(lambda state: state.record is not None and state.record.active is not None)
    care = beside(life)
    status, record, create = care.step().steps
    assert isinstance(status, WriteStatus)
    assert isinstance(record, WriteRecord)
    assert isinstance(create, CreateEndpoint)
    assert [e.name for e in status.status.endpoints] == [create.entry.name]  # type: ignore[attr-defined]
    assert record.record == life.state.record
    care.rest()
    assert care.did == ["create"]


def test_a_stopped_endpoint_leaves_the_status_before_the_record() -> None:
    life = Life(observed()).until(watching)
    care = beside(life).rest()
    life.asks(abort=True)
    life.until(over)
    care.state = replace(care.state, record=life.state.record, file=life.state.file)
    care.cloud.clear()
    care.passes(120)
    status, record = care.step().steps
    assert isinstance(status, WriteStatus)
    assert isinstance(record, WriteRecord)
    assert (status.status.endpoints, record.record.endpoints) == ((), ())  # type: ignore[attr-defined]


def test_a_released_endpoint_is_stopped_and_booked() -> None:
    life = Life(observed()).until(watching)
    care = beside(life).rest()
    life.asks(abort=True)
    life.until(over)
    assert life.state.record is not None
    care.state = replace(
        care.state,
        record=life.state.record,
        file=life.state.file,
        rollouts={life.state.identity: life.state.rollout},
    )
    care.rest()
    assert len(care.cloud) == 1
    care.passes(120)
    care.rest()
    assert care.cloud == {}
    assert care.record.endpoints == ()
    # Two minutes and eleven seconds at a dollar an hour, by the started minute.
    assert 0 < sum(care.record.endpoint_spend.values()) <= 4 * 1_000_000 // 60 + 4


def promoted() -> Care:
    life = Life(observed()).until(over)
    care = beside(life)
    undo = Life(
        observed(
            objects.rollout("undo", candidate={"version": "v1.0.0"}),
            record=life.state.record,
            file=life.state.file,
            now=life.state.now,
        )
    ).until(over)
    care.state = replace(
        care.state, record=undo.state.record, file=undo.state.file, now=undo.state.now, rollouts={}
    )
    return care


def test_the_cost_of_a_stopped_endpoint_is_split_at_the_end_of_the_month() -> None:
    care = promoted()
    (entry,) = care.record.endpoints
    standing = entry.model_copy(update={"since": "2025-11-30T22:00:00+00:00"})
    care.state = replace(care.state, record=care.record.with_(endpoints=(standing,), endpoint_spend={}))
    care.rest()
    assert care.record.endpoint_spend == {}
    care.passes(90_000)
    care.rest()
    assert care.record.endpoints == ()
    spend = care.record.endpoint_spend
    assert (list(spend), spend["2025-11"]) == (["2025-11", "2025-12"], 2_000_000)
    assert spend["2025-12"] == sum(standing.micro_usd_by_month(care.state.now).values()) - 2_000_000


def test_a_standing_endpoint_uses_up_the_budget_and_is_no_reason_to_write_until_then() -> None:
    agent = objects.agent_model(budget={"monthlyUSD": "100", "approvalAboveUSD": "50"})
    care = beside(Life(observed(agent=agent)).until(over))
    care.state = replace(care.state, agent_model=parsed(AgentModel, agent))
    care.rest()
    assert [e.role for e in care.record.endpoints] == ["stable"]
    writes = len(care.written)
    for _ in range(3):
        care.passes(86_400)
        assert care.step().steps == ()
    assert care.condition("BudgetAvailable")[0] == "True"
    care.passes(2 * 86_400)
    care.rest()
    assert care.condition("BudgetAvailable")[:2] == ("False", "BudgetExhausted")
    assert len(care.written) == writes + 1
    spend = care.state.agent_model.status.spend
    assert spend is not None
    assert 100 < float(spend.standing_usd) < 121
    assert float(spend.settled_usd) < 1
    care.passes(86_400)
    assert care.step().steps == ()


def test_the_previous_endpoint_stays_warm_for_the_rollback_window() -> None:
    care = promoted().rest()
    assert len(care.cloud) == 1
    care.passes(86_000)
    care.rest()
    assert len(care.cloud) == 1
    care.passes(800)
    care.rest()
    assert care.cloud == {}


def test_what_the_file_names_is_kept_running_whoever_wrote_it_there() -> None:
    care = promoted().rest()
    text = objects.FILE_TEXT.replace("anthropic/claude-3.5-sonnet", "org/candidate-of-r1")
    care.state = replace(care.state, file=a_file(text, "99"))
    care.passes(90_000)
    care.rest()
    assert len(care.cloud) == 1
    assert care.condition("InSync")[1] == "StableDrift"


def test_what_an_agent_still_uses_is_kept_running() -> None:
    care = promoted().rest()
    behind = AgentReports(expected=2, heard=2, in_sync=1, canary_reachable=1)
    care.state = replace(care.state, reports=behind)
    care.passes(90_000)
    care.rest()
    assert len(care.cloud) == 1
    care.state = replace(care.state, reports=replace(behind, in_sync=2))
    care.rest()
    assert care.cloud == {}


def test_a_service_that_does_not_answer_is_said_and_nothing_is_done() -> None:
    life = Life(observed()).until(watching)
    care = beside(life)
    care.state = replace(care.state, endpoints=Outage(service="Endpoints", message="Endpoints: 503"))
    care.step()
    assert care.did == []
    assert care.condition("Ready")[1:] == ("EndpointServiceUnavailable", "Endpoints: 503")


# --- its deletion


def test_a_deletion_stops_what_bills_and_lets_go() -> None:
    care = promoted().rest()
    care.state = replace(care.state, agent_model=parsed(AgentModel, deleted(objects.agent_model())))
    care.rest()
    assert care.cloud == {}
    assert care.state.agent_model.metadata.finalizers == ()


def used_and_deleted() -> Care:
    """Both agents serve from the stable endpoint of an AgentModel that is deleted."""
    care = beside(Life(observed()).until(over)).rest()
    assert [e.role for e in care.record.endpoints] == ["stable"]
    both = AgentReports(
        expected=2, heard=2, in_sync=2, canary_reachable=2, models_in_use=(care.record.stable.model,)
    )
    gone = parsed(AgentModel, deleted(objects.agent_model()))
    care.state = replace(care.state, reports=both, agent_model=gone)
    return care.rest()


def test_a_deletion_waits_for_agents_that_use_what_it_would_stop() -> None:
    care = used_and_deleted()
    assert len(care.cloud) == 1
    assert care.state.agent_model.metadata.finalizers
    assert care.state.reports is not None
    care.state = replace(care.state, reports=replace(care.state.reports, models_in_use=("elsewhere",)))
    care.rest()
    assert care.cloud == {}
    assert care.state.agent_model.metadata.finalizers == ()
    assert care.told == []


def test_a_process_that_has_only_begun_to_listen_stops_nothing() -> None:
    care = used_and_deleted()
    care.state = replace(care.state, reports=None, listening_seconds=4.0)
    care.rest()
    assert len(care.cloud) == 1
    care.state = replace(care.state, listening_seconds=15.0)
    assert care.rest().cloud == {}


def test_after_an_hour_a_deletion_leaves_agents_what_they_use_and_says_that_it_bills() -> None:
    care = used_and_deleted()
    care.passes(3600)
    care.step()
    assert care.told == ["Leaked"]
    assert len(care.cloud) == len(care.record.endpoints) == 1
    assert care.state.agent_model.metadata.finalizers == ()


def test_a_deletion_after_its_secret_stops_what_bills_where_another_token_can() -> None:
    care = promoted().rest()
    gone = parsed(AgentModel, deleted(objects.agent_model()))
    care.state = replace(care.state, agent_model=gone, secret_problem="Secret tokens does not exist")
    assert len(care.rest().cloud) == 1
    care.state = replace(care.state, can_clean_up=True)
    assert care.rest().cloud == {}
    assert care.state.agent_model.metadata.finalizers == ()


@pytest.mark.parametrize("problem", ["", "ConfigMap docs-modelops-record: the record cannot be read"])
def test_a_deletion_after_its_record_stops_what_the_status_names(problem: str) -> None:
    care = beside(Life(observed()).until(over)).rest()
    status = care.state.agent_model.status
    gone = parsed(AgentModel, deleted(objects.agent_model())).model_copy(update={"status": status})
    lost = replace(care.state, agent_model=gone, record=None, record_problem=problem, file=None)
    used = AgentReports(
        expected=1, heard=1, in_sync=1, canary_reachable=1, models_in_use=("org/candidate-of-r1",)
    )
    care = Care(replace(lost, reports=used), cloud=care.cloud).rest()
    assert len(care.cloud) == 1
    assert care.state.agent_model.metadata.finalizers
    care.state = replace(care.state, reports=None)
    assert care.rest().cloud == {}
    assert (care.written, care.told) == (["finalizers"], [])


def test_a_deletion_after_its_record_says_after_an_hour_what_may_bill() -> None:
    care = beside(Life(observed()).until(over)).rest()
    status = care.state.agent_model.status
    gone = parsed(AgentModel, deleted(objects.agent_model())).model_copy(update={"status": status})
    care.state = replace(care.state, agent_model=gone, record=None, secret_problem="Secret tokens is gone")
    assert care.rest().written.count("finalizers") == 0
    care.passes(3600)
    care.step()
    assert (care.told, care.written[-1]) == (["Leaked"], "finalizers")


def test_nothing_is_started_while_a_secret_is_not_usable() -> None:
    life = Life(observed()).until(lambda state: state.record is not None and state.record.active is not None)
    care = beside(life, secret_problem="Secret tokens does not exist", can_clean_up=True).rest()
    assert (care.did, care.condition("Ready")[1]) == ([], "SecretNotUsable")


def test_a_deletion_during_a_canary_goes_back_to_stable_first() -> None:
    life = Life(observed()).until(at_weight(20))
    care = beside(life).rest()
    care.state = replace(care.state, agent_model=parsed(AgentModel, deleted(objects.agent_model())))
    care.rest()
    assert care.state.file is not None
    assert care.state.file.entry.routing is not None
    assert care.state.file.entry.routing.rollout.state == "Aborted"
    assert care.cloud == {}
    done = care.record.completed[life.state.identity]
    assert done.message == "AgentModel docs was deleted: all sessions are back on stable"
    life.state = replace(life.state, record=care.record, file=care.state.file, agent_model=None)
    assert life.until(over).phase == "Aborted"


def test_after_an_hour_a_deletion_lets_go_and_says_what_may_bill() -> None:
    care = promoted().rest()
    care.state = replace(care.state, agent_model=parsed(AgentModel, deleted(objects.agent_model())))
    care.passes(200_000)
    care.state = replace(care.state, endpoints=Outage(service="Endpoints", message="503"))
    care.step()
    assert care.told == ["Leaked"]
    assert care.state.agent_model.metadata.finalizers == ()


# --- a fixpoint


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_restart_writes_nothing(moment: str) -> None:
    care = beside(Life(observed()).until(MOMENTS[moment])).rest()
    writes, did = len(care.written), len(care.did)
    for _ in range(3):
        care.step()
    assert (len(care.written), len(care.did)) == (writes, did)


def test_counts_of_agents_alone_are_no_reason_to_write() -> None:
    care = beside(Life(observed()).until(watching)).rest()
    care.state = replace(care.state, reports=AgentReports(expected=5, heard=5, in_sync=5, canary_reachable=5))
    assert care.step().steps == ()


def test_a_file_that_cannot_be_edited_is_a_condition_and_no_crash() -> None:
    life = Life(observed()).until(at_weight(20))
    care = beside(life, rollouts={})
    text = "x: &a {model: anthropic/claude-3.5-sonnet}\nagents:\n  docs: *a\n"
    care.state = replace(care.state, file=a_file(text, "99"))
    for _ in range(3):
        care.step()
    assert care.condition("InSync")[1] == "ConfigNotUsable"
    assert "write it out" in care.condition("InSync")[2]
    assert "ConfigMap agents, key agents.yaml (spec.config.configMapRef)" in care.condition("InSync")[2]


def test_a_routing_block_of_somebody_else_without_weight_is_left_alone() -> None:
    care = Care(about()).rest()
    text = with_routing(objects.FILE_TEXT, AGENT, None)
    care.state = replace(care.state, file=a_file(text, "9"))
    assert care.step().steps == ()
