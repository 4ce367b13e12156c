"""Decisions about an AgentModel: its record, its endpoints, and what deleted rollouts have left behind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest
from tests.unit.rollout import objects
from tests.unit.rollout.objects import AGENT, START, Json
from tests.unit.rollout.rollout_driver import (
    RolloutDriver,
    a_file,
    a_record,
    at_weight,
    has_ended,
    is_watching,
    parsed,
    rollout_state,
)
from tests.unit.training import objects as training

from modelops.api.v1alpha1.agentmodel import AgentModel
from modelops.api.v1alpha1.rollout import Rollout
from modelops.api.v1alpha1.trainingrun import TrainingRun
from modelops.domain.agentmodel.actions import CreateEndpoint, DeleteEndpoint, SettleOrphanedAttempt
from modelops.domain.agentmodel.decide import decide
from modelops.domain.agentmodel.readiness import stable_drift
from modelops.domain.agentmodel.state import State
from modelops.domain.agentsfile import AgentEntry, StableTarget, with_routing, with_stable
from modelops.domain.facts import UNSEEN, Outage
from modelops.domain.plan import Announce, Plan, WriteFile, WriteFinalizers, WriteRecord, WriteStatus
from modelops.domain.record import EndpointEntry, Record, Reservation, Settlement
from modelops.domain.rollout.endpoint_cost import paid_seconds
from modelops.domain.rollout.state import RolloutSettings
from modelops.domain.rollout.state import State as RolloutState
from modelops.ports import AgentReports, Endpoint

JOB: Json = {"attempt": 1, "label": "0a1b2c3d-run-1", "id": "job-1", "submissions": 1}


@dataclass
class AgentModelDriver:
    """Decides and carries out plans about one AgentModel; `cloud` has the endpoints that they create and delete."""

    state: State
    cloud: dict[str, Endpoint] = field(default_factory=dict)
    written: list[str] = field(default_factory=list)
    performed: list[str] = field(default_factory=list)
    announced: list[str] = field(default_factory=list)

    def step(self) -> Plan:
        plan = decide(self.state)
        while plan.needs:
            self.state = replace(self.state, **self._fact(plan.needs))
            plan = decide(self.state)
        for step in plan.steps:
            self._carry_out(step)
        self.state = replace(self.state, endpoints=UNSEEN, answers=UNSEEN, price=UNSEEN, live=False)
        return plan

    def _fact(self, name: str) -> dict[str, Any]:
        return {"endpoints": tuple(self.cloud.values())} if name == "endpoints" else {name: True}

    def _carry_out(self, step: object) -> None:
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
                self.performed.append("create")
            case DeleteEndpoint(name=name):
                self.cloud.pop(name, None)
                self.performed.append("delete")
            case SettleOrphanedAttempt():
                self.performed.append("settle")
            case Announce(reason=reason):
                self.announced.append(reason)

    def run_until_idle(self) -> AgentModelDriver:
        """Carries out plans until one does nothing."""
        for _ in range(12):
            before = (len(self.written), len(self.performed))
            plan = self.step()
            if (len(self.written), len(self.performed)) == before and plan.requeue_after != 0:
                return self
        raise AssertionError(f"never idle: {self.written} {self.performed}")

    def edit_file(self, text: str) -> None:
        """A person or another tool writes the file."""
        assert self.state.file is not None
        version = str(int(self.state.file.resource_version) + 1)
        self.state = replace(self.state, file=a_file(text, version))

    def pass_time(self, seconds: float) -> None:
        self.state = replace(self.state, now=self.state.now + timedelta(seconds=seconds))

    @property
    def record(self) -> Record:
        assert self.state.record is not None
        return self.state.record

    def condition(self, kind: str) -> tuple[str, str, str]:
        found = next(c for c in self.state.agent_model.status.conditions if c.type == kind)
        return found.status.value, found.reason, found.message


def agent_model_state(item: Json | None = None, **changes: Any) -> State:
    given: dict[str, Any] = {
        "now": START,
        "agent_model": parsed(AgentModel, item or objects.agent_model()),
        "record": None,
        "file": a_file(),
        "rollouts": {},
        "runs": {},
    }
    return State(**{**given, **changes})


def agent_driver_at(driver: RolloutDriver, **changes: Any) -> AgentModelDriver:
    """The AgentModel at this moment of the rollout."""
    state: RolloutState = driver.state
    rollouts = changes.pop("rollouts", {state.identity: state.rollout})
    return AgentModelDriver(
        agent_model_state(record=state.record, file=state.file, now=state.now, rollouts=rollouts, **changes)
    )


def with_deletion(item: Json) -> Json:
    return {**item, "metadata": {**item["metadata"], "deletionTimestamp": "2025-12-10T09:00:00Z"}}


# --- the record


def test_a_new_agent_gets_finalizer_record_and_status_and_then_rests() -> None:
    item = objects.agent_model()
    del item["metadata"]["finalizers"]
    agent_driver = AgentModelDriver(agent_model_state(item)).run_until_idle()
    assert agent_driver.written == ["finalizers", "record first", "status"]
    assert agent_driver.record.stable.version == "v1.0.0"
    assert agent_driver.record.served == {"v1.0.0": agent_driver.record.stable}
    assert agent_driver.condition("Ready")[:2] == ("True", "Reconciled")
    agent_driver.pass_time(3600)
    assert agent_driver.step().steps == ()


def test_no_record_is_made_before_the_file_can_be_read() -> None:
    agent_driver = AgentModelDriver(
        agent_model_state(
            file=None, file_problem="ConfigMap agents does not exist in namespace team: create it"
        )
    )
    agent_driver.run_until_idle()
    assert agent_driver.written == ["status"]
    assert agent_driver.condition("InSync")[1:] == (
        "ConfigNotUsable",
        "ConfigMap agents does not exist in namespace team: create it",
    )


@pytest.mark.parametrize("record", ["kept", None])
@pytest.mark.parametrize(
    "problem",
    [{"file": None, "file_problem": "no label"}, {"secret_problem": "no label"}],
    ids=["file", "secret"],
)
def test_what_no_watch_sees_is_asked_for_every_five_seconds(
    problem: dict[str, Any], record: str | None
) -> None:
    agent_driver = AgentModelDriver(agent_model_state(record=None)).run_until_idle()
    changes = problem if record else {**problem, "record": None}
    agent_driver.state = replace(agent_driver.state, **changes)
    agent_driver.run_until_idle()
    assert decide(agent_driver.state).requeue_after == 5
    assert decide(agent_driver.state).steps == ()


def test_a_record_that_cannot_be_read_is_left_alone() -> None:
    agent_driver = AgentModelDriver(
        agent_model_state(record_problem="ConfigMap docs-modelops-record: the record cannot be read")
    ).run_until_idle()
    assert agent_driver.written == ["status"]
    assert agent_driver.condition("Ready")[1] == "RecordNotReadable"
    # It is deleted, as Troubleshooting says, and made again.
    agent_driver.state = replace(agent_driver.state, record_problem="")
    assert agent_driver.run_until_idle().condition("Ready")[0] == "True"


def test_a_second_agent_model_over_the_same_agent_does_nothing() -> None:
    agent_driver = AgentModelDriver(agent_model_state(older="first")).run_until_idle()
    assert agent_driver.written == ["status"]
    assert agent_driver.condition("TargetConflict")[:2] == ("True", "TargetConflict")
    agent_driver.state = replace(agent_driver.state, older="")
    assert agent_driver.run_until_idle().condition("Ready")[0] == "True"


def test_a_change_of_the_status_alone_waits_a_second_after_the_last_one() -> None:
    agent_driver = AgentModelDriver(agent_model_state(record=None)).run_until_idle()
    spent = agent_driver.record.with_(endpoint_spend={f"{START:%Y-%m}": 1_000_000})
    agent_driver.state = replace(agent_driver.state, record=spent, rest_seconds=0.4)
    plan = decide(agent_driver.state)
    assert (plan.steps, plan.requeue_after) == ((), 0.4)
    agent_driver.state = replace(agent_driver.state, rest_seconds=-0.1)
    assert [type(step) for step in decide(agent_driver.state).steps] == [WriteStatus]


def test_changed_conditions_have_events() -> None:
    agent_driver = AgentModelDriver(agent_model_state(record=None)).run_until_idle()
    assert agent_driver.announced == ["Reconciled"]
    agent_driver.state = replace(agent_driver.state, secret_problem="Secret tokens does not exist")
    agent_driver.run_until_idle()
    agent_driver.state = replace(agent_driver.state, secret_problem="")
    agent_driver.run_until_idle()
    assert agent_driver.announced == ["Reconciled", "SecretNotUsable", "Reconciled"]
    agent_driver.run_until_idle()
    assert len(agent_driver.announced) == 3


def test_drift_is_reported_and_not_corrected() -> None:
    text = objects.FILE_TEXT.replace("claude-3.5-sonnet", "other")
    agent_driver = AgentModelDriver(agent_model_state(record=None)).run_until_idle()
    agent_driver.state = replace(agent_driver.state, file=a_file(text, "9"))
    agent_driver.run_until_idle()
    assert agent_driver.condition("InSync")[1] == "StableDrift"
    assert "file" not in agent_driver.written


# --- a record that was lost


def without_record(driver: RolloutDriver, before: AgentModelDriver) -> AgentModelDriver:
    """The same moment without the record; the AgentModel's status still has what it had."""
    return AgentModelDriver(replace(before.state, record=None), cloud=before.cloud)


MOMENTS: dict[str, Callable[[RolloutState], bool]] = {
    "locked": lambda state: state.rollout.status.started_at is not None,
    "at twenty": at_weight(20),
    "watching": is_watching,
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_lost_record_is_rebuilt_and_the_rollout_goes_on(moment: str) -> None:
    driver = RolloutDriver(rollout_state()).run_until(MOMENTS[moment])
    agent_driver = without_record(driver, agent_driver_at(driver).run_until_idle()).run_until_idle()
    before, after = driver.state.record, agent_driver.record
    assert before is not None
    assert after.active == before.active
    # The statuses do not say which part of the time is for provisioning: it is estimated where it is needed.
    expected = {
        key: one.model_copy(update={"setup_seconds": None}) for key, one in before.reservations.items()
    }
    assert after.reservations == expected
    assert [(e.name, e.role) for e in after.endpoints] == [(e.name, e.role) for e in before.endpoints]
    assert after.stable == before.stable
    assert len(agent_driver.cloud) == 1
    driver.state = replace(driver.state, record=after)
    assert driver.run_until(has_ended).phase == "Succeeded"


def test_a_rollout_whose_record_was_lost_runs_no_longer_than_it_has_reserved() -> None:
    driver = RolloutDriver(rollout_state()).run_until(is_watching)
    driver.state = replace(
        driver.state,
        record=without_record(driver, agent_driver_at(driver).run_until_idle()).run_until_idle().record,
    )
    driver.pass_time(paid_seconds(driver.state), healthy=False)
    driver.run_until(has_ended)
    assert (driver.phase, driver.reason) == ("Aborted", "DeadlineExceeded")
    assert driver.state.record is not None
    assert list(driver.state.record.settlements) == ["uid-r1/1"]
    assert driver.state.record.reservations == {}


def test_a_rebuilt_record_has_the_promoted_model() -> None:
    driver = RolloutDriver(rollout_state()).run_until(has_ended)
    agent_driver = without_record(driver, agent_driver_at(driver).run_until_idle()).run_until_idle()
    assert agent_driver.record.completed[driver.state.identity].outcome == "Promoted"
    assert (agent_driver.record.stable.version, agent_driver.record.stable.model) == (
        "v1.1.0",
        "org/candidate-of-r1",
    )
    assert agent_driver.record.previous is not None
    assert agent_driver.record.previous.version == "v1.0.0"
    assert set(agent_driver.record.served) == {"v1.0.0", "v1.1.0"}
    assert [e.role for e in agent_driver.record.endpoints] == ["stable"]


@pytest.mark.parametrize("without", [1, 0])
def test_a_record_lost_during_the_promotion_follows_the_file(without: int) -> None:
    driver = RolloutDriver(rollout_state()).run_until(at_weight(100))
    before = agent_driver_at(driver).run_until_idle()
    driver.step(without=without)
    before.state = replace(
        before.state, file=driver.state.file, rollouts={driver.state.identity: driver.state.rollout}
    )
    agent_driver = without_record(driver, before).run_until_idle()
    assert agent_driver.record.stable.model == "org/candidate-of-r1"
    assert agent_driver.record.active is None
    assert [(e.role, e.stop_after) for e in agent_driver.record.endpoints] == [("stable", "")]
    driver.state = replace(driver.state, record=agent_driver.record)
    assert driver.run_until(has_ended).phase == "Succeeded"


def test_a_rebuilt_record_has_the_rejected_rollout() -> None:
    driver = RolloutDriver(rollout_state(objects.rollout(maxUSD="1"))).run_until(has_ended)
    agent_driver = without_record(driver, agent_driver_at(driver).run_until_idle()).run_until_idle()
    assert agent_driver.record.completed[driver.state.identity].outcome == "OverMaxUSD"


def test_a_lost_record_is_rebuilt_from_live_reads() -> None:
    driver = RolloutDriver(rollout_state()).run_until(is_watching)
    assert decide(without_record(driver, agent_driver_at(driver).run_until_idle()).state).needs == "live"


def test_a_rebuilt_record_has_the_previous_stable_model() -> None:
    driver = RolloutDriver(rollout_state()).run_until(has_ended)
    agent_driver = agent_driver_at(driver).run_until_idle()
    text = objects.FILE_TEXT.replace("anthropic/claude-3.5-sonnet", "org/newer").replace("v1.0.0", "v1.2.0")
    agent_driver.state = replace(agent_driver.state, file=a_file(text, "99"))
    agent_driver = without_record(driver, agent_driver).run_until_idle()
    assert agent_driver.record.stable.version == "v1.2.0"
    assert agent_driver.record.previous is not None
    assert agent_driver.record.previous.version == "v1.1.0"
    assert [e.role for e in agent_driver.record.endpoints] == ["previous"]


def earlier_rollout(version: str, model: str) -> Rollout:
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


def test_a_rebuilt_record_has_every_version_that_was_promoted() -> None:
    driver = RolloutDriver(rollout_state()).run_until(has_ended)
    agent_driver = agent_driver_at(driver).run_until_idle()
    rollouts = {**agent_driver.state.rollouts, "sha256:old": earlier_rollout("v1.0.5-rc.1", "org/older")}
    agent_driver.state = replace(agent_driver.state, rollouts=rollouts)
    record = without_record(driver, agent_driver).run_until_idle().record
    assert set(record.served) == {"v1.0.0", "v1.0.5", "v1.1.0"}
    assert (record.served["v1.0.5"].model, record.served["v1.0.5"].endpoint_name) == ("org/older", "mo-old")
    assert record.stable.version == "v1.1.0"


def test_a_rebuilt_record_has_the_release_version_of_the_stable_model() -> None:
    driver = RolloutDriver(rollout_state()).run_until(has_ended)
    agent_driver = agent_driver_at(driver).run_until_idle()
    model = {"repo": "org/candidate-of-r1", "revision": "r", "version": "v1.1.0-rc.1"}
    ended = {"phase": "Succeeded", "reason": "Trained", "job": JOB, "model": model, "costUSD": "1"}
    run = parsed(TrainingRun, {**training.run_json(), "status": ended})
    agent_driver.state = replace(agent_driver.state, runs={"sha256:run": run})
    agent_driver = without_record(driver, agent_driver).run_until_idle()
    assert [(e.version, e.deployment_status) for e in agent_driver.record.history] == [("v1.1.0", "deployed")]
    # A second run with the same model in its status adds no second entry.
    agent_driver.state = replace(agent_driver.state, runs={**agent_driver.state.runs, "sha256:again": run})
    assert len(agent_driver.run_until_idle().record.history) == 1


def next_rollout(before: RolloutDriver, name: str, url: str = "", **spec: Any) -> RolloutDriver:
    """Another rollout after this one, up to its end; its candidate's endpoint has the address `url`."""
    state = rollout_state(
        objects.rollout(name, **spec),
        record=before.state.record,
        file=before.state.file,
        now=before.state.now + timedelta(seconds=11),
    )
    endpoint = Endpoint(name="mo", state="running", url=url, repo="", revision="")
    return RolloutDriver(state, facts={"endpoint": endpoint}).run_until(has_ended)


UNDO: Json = {"candidate": {"version": "v1.1.0"}, "strategy": {"immediate": {}}}


def after_lost_record(*drivers: RolloutDriver, deleted: bool = False, seconds: float = 0.0) -> Record:
    """The record of the last driver's moment and some seconds later, lost and rebuilt; `deleted`: the Rollouts."""
    agent_driver = agent_driver_at(drivers[-1]).run_until_idle()
    agent_driver.pass_time(seconds)
    agent_driver.run_until_idle()
    rollouts = {} if deleted else {d.state.identity: d.state.rollout for d in drivers}
    agent_driver.state = replace(agent_driver.state, rollouts=rollouts)
    return without_record(drivers[-1], agent_driver).run_until_idle().record


@pytest.mark.parametrize("deleted", [False, True], ids=["with Rollouts", "Rollouts deleted"])
def test_a_rebuilt_record_knows_the_endpoint_of_a_version_whose_endpoint_was_stopped(deleted: bool) -> None:
    first = RolloutDriver(rollout_state()).run_until(has_ended)
    second = next_rollout(first, "r2", "https://second.example/v1")
    lost = second.state.record
    assert lost is not None
    record = after_lost_record(first, second, deleted=deleted, seconds=90_000)
    assert [e.role for e in record.endpoints] == ["stable"]
    assert record.previous is not None
    assert record.previous.endpoint_name == lost.served["v1.1.0"].endpoint_name != ""
    assert record.previous.revision == objects.revision_of("r1")
    # An undo starts that endpoint anew, and does not write its old address into the file.
    rebuilt = replace(second.state, record=record)
    undo = next_rollout(RolloutDriver(rebuilt), "undo", "https://anew.example/v1", **UNDO)
    assert undo.state.record is not None
    assert undo.state.record.stable.endpoint_url == "https://anew.example/v1"


def test_a_rebuilt_record_goes_back_to_no_address_whose_endpoint_is_not_known() -> None:
    first = RolloutDriver(rollout_state()).run_until(has_ended)
    second = next_rollout(first, "r2", "https://second.example/v1")
    agent_driver = agent_driver_at(second, rollouts={}).run_until_idle()
    agent_driver.pass_time(90_000)
    status = agent_driver.run_until_idle().state.agent_model.status
    assert status.previous is not None
    older = status.model_copy(update={"previous": status.previous.model_copy(update={"endpoint_name": ""})})
    agent_model = agent_driver.state.agent_model.model_copy(update={"status": older})
    agent_driver.state = replace(agent_driver.state, agent_model=agent_model)
    record = without_record(second, agent_driver).run_until_idle().record
    assert record.previous is None
    assert set(record.served) == {"v1.0.0", "v1.2.0"}


@pytest.mark.parametrize("deleted", [False, True], ids=["with Rollouts", "Rollouts deleted"])
def test_a_rebuilt_record_tells_two_commits_of_one_repository_apart(deleted: bool) -> None:
    def commit(letter: str) -> Json:
        return {"candidate": {"model": {"repo": "org/model", "revision": letter * 40}}}

    first = RolloutDriver(rollout_state(objects.rollout(**commit("a")))).run_until(has_ended)
    second = next_rollout(first, "r2", "https://second.example/v1", **commit("b"))
    lost = second.state.record
    assert lost is not None
    record = after_lost_record(first, second, deleted=deleted)
    assert (record.stable.revision, record.stable.endpoint_name) == ("b" * 40, lost.stable.endpoint_name)
    assert record.served["v1.1.0"].revision == "a" * 40
    assert record.served["v1.1.0"].endpoint_name == lost.served["v1.1.0"].endpoint_name
    assert {e.name: e.role for e in record.endpoints} == {e.name: e.role for e in lost.endpoints}


@pytest.mark.parametrize("deleted", [False, True], ids=["with Rollouts", "Rollouts deleted"])
def test_a_rebuilt_record_knows_what_an_undo_has_left(deleted: bool) -> None:
    first = RolloutDriver(rollout_state()).run_until(has_ended)
    second = next_rollout(first, "r2", "https://second.example/v1")
    undo = next_rollout(second, "undo", "https://canary.example/v1", **UNDO)
    record = after_lost_record(first, second, undo, deleted=deleted)
    assert record.stable.version == "v1.1.0"
    assert record.previous is not None
    assert (record.previous.version, list(record.undone)) == ("v1.2.0", ["v1.2.0"])


def test_a_rebuilt_record_has_what_an_undo_to_the_baseline_has_left() -> None:
    first = RolloutDriver(rollout_state()).run_until(has_ended)
    undo = next_rollout(first, "undo", **{**UNDO, "candidate": {"version": "v1.0.0"}})
    record = after_lost_record(first, undo, deleted=True)
    assert (record.stable.version, list(record.undone), set(record.served)) == (
        "v1.0.0",
        ["v1.1.0"],
        {"v1.0.0", "v1.1.0"},
    )


def test_a_rebuilt_record_has_the_account_of_each_endpoint() -> None:
    state = rollout_state(settings=RolloutSettings(hub_org="org-a"))
    driver = RolloutDriver(state).run_until(has_ended)
    assert [e.account for e in after_lost_record(driver, deleted=True).endpoints] == ["org-a"]


# --- a record with less than the statuses


def with_empty_record(
    driver: RolloutDriver, agent_driver: AgentModelDriver, **changes: Any
) -> AgentModelDriver:
    """The record of a new agent, with the other objects of this moment."""
    return AgentModelDriver(
        replace(agent_driver.state, record=a_record(), **changes), cloud=agent_driver.cloud
    )


def test_an_endpoint_that_only_the_status_names_is_stopped() -> None:
    driver = RolloutDriver(rollout_state()).run_until(is_watching)
    agent_driver = with_empty_record(driver, agent_driver_at(driver).run_until_idle()).run_until_idle()
    assert [e.role for e in agent_driver.record.endpoints] == ["stopping"]
    agent_driver.pass_time(120)
    agent_driver.run_until_idle()
    assert agent_driver.cloud == {}
    assert agent_driver.record.endpoints == ()


def test_a_stopping_endpoint_is_a_canary_again_if_its_rollout_has_the_agent_lock() -> None:
    driver = RolloutDriver(rollout_state()).run_until(is_watching)
    stopping = with_empty_record(driver, agent_driver_at(driver).run_until_idle()).run_until_idle()
    agent_driver = without_record(
        driver, AgentModelDriver(replace(stopping.state), cloud=stopping.cloud)
    ).run_until_idle()
    assert agent_driver.record.active is not None
    assert [(e.role, e.stop_after) for e in agent_driver.record.endpoints] == [("canary", "")]


def test_the_record_is_restored_only_from_the_newest_status() -> None:
    driver = RolloutDriver(rollout_state()).run_until(is_watching)
    agent_driver = with_empty_record(driver, agent_driver_at(driver).run_until_idle())
    before = agent_driver.state.agent_model.status
    status, record = agent_driver.step().steps
    assert isinstance(status, WriteStatus)
    assert isinstance(record, WriteRecord)
    assert status.status == before


def test_an_ended_rollout_is_on_record_again_without_the_agent_lock() -> None:
    driver = RolloutDriver(rollout_state()).run_until(is_watching)
    record_with_lock = driver.state.record
    agent_driver = agent_driver_at(driver).run_until_idle()
    driver.edit_spec(abort=True)
    driver.run_until(has_ended)
    agent_driver.state = replace(
        agent_driver.state,
        record=record_with_lock,
        file=driver.state.file,
        rollouts={driver.state.identity: driver.state.rollout},
    )
    agent_driver.run_until_idle()
    assert agent_driver.record.completed[driver.state.identity].outcome == "AbortedByUser"
    assert agent_driver.record.active is None
    assert [e.role for e in agent_driver.record.endpoints] == ["stopping"]


def test_a_job_that_only_its_run_names_is_reserved_again_and_booked_once() -> None:
    item = training.run_json(status={**training.prepared_status(), "job": JOB, "phase": "Running"})
    run = parsed(TrainingRun, item)
    agent_driver = AgentModelDriver(
        agent_model_state(record=a_record(), runs={"digest": run})
    ).run_until_idle()
    assert [r.usd_micro for r in agent_driver.record.reservations.values()] == [375_000]
    done = {"phase": "Failed", "reason": "JobFailed", "costUSD": "0.20", "finishedAt": training.CREATED}
    ended = parsed(TrainingRun, {**item, "status": {**item["status"], **done}})
    agent_driver.state = replace(agent_driver.state, runs={"digest": ended})
    agent_driver.run_until_idle()
    assert agent_driver.record.reservations == {}
    assert [s.usd_micro for s in agent_driver.record.settlements.values()] == [200_000]
    assert agent_driver.record.completed["digest"].outcome == "JobFailed"


def test_an_attempt_that_was_just_settled_is_not_reserved_again() -> None:
    """The record is written before the status, and other changes of the record may come in between."""
    run = parsed(
        TrainingRun, training.run_json(status={**training.prepared_status(), "job": JOB, "phase": "Running"})
    )
    settled = {f"{run.metadata.uid}/1": Settlement(usd_micro=20_000, month="2025-12")}
    agent_driver = AgentModelDriver(
        agent_model_state(record=a_record().with_(settlements=settled), runs={"digest": run})
    ).run_until_idle()
    assert agent_driver.record.reservations == {}
    assert agent_driver.record.settlements == settled


def test_a_finished_attempt_loses_its_reservation_in_an_older_record() -> None:
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
    agent_driver = AgentModelDriver(
        agent_model_state(record=a_record().with_(reservations=older), runs={"digest": run})
    ).run_until_idle()
    assert (list(agent_driver.record.reservations), list(agent_driver.record.settlements)) == (
        [f"{uid}/2"],
        [f"{uid}/1"],
    )


def test_a_rebuilt_record_has_the_cost_of_each_attempt() -> None:
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
    agent_driver = AgentModelDriver(
        agent_model_state(record=a_record(), runs={"digest": run})
    ).run_until_idle()
    assert (list(agent_driver.record.reservations), agent_driver.record.spent_by(uid)) == (
        [f"{uid}/2"],
        100_000,
    )
    done = {"phase": "Failed", "reason": "JobFailed", "costUSD": "0.30", "finishedAt": training.CREATED}
    ended = parsed(TrainingRun, {**item, "status": {**status, **done}})
    agent_driver.state = replace(agent_driver.state, runs={"digest": ended})
    agent_driver.run_until_idle()
    booked = {key: settlement.usd_micro for key, settlement in agent_driver.record.settlements.items()}
    assert (booked, agent_driver.record.reservations) == ({f"{uid}/1": 100_000, f"{uid}/2": 200_000}, {})


# --- a rollout that was deleted


def test_a_vanished_rollout_is_aborted_and_its_spec_never_acts_again() -> None:
    driver = RolloutDriver(rollout_state()).run_until(at_weight(20))
    agent_driver = agent_driver_at(driver, rollouts={}).run_until_idle()
    assert [w for w in agent_driver.written if w != "status"][:3] == [
        "record fence",
        "file",
        "record release",
    ]
    assert agent_driver.state.file is not None
    assert agent_driver.state.file.entry.routing is not None
    assert agent_driver.state.file.entry.routing.rollout.state == "Aborted"
    assert agent_driver.record.completed[driver.state.identity].outcome == "Deleted"
    assert agent_driver.record.reservations == {}
    assert [e.role for e in agent_driver.record.endpoints] in ([], ["stopping"])


def test_a_vanished_promotion_that_was_not_committed_gets_stable_back() -> None:
    driver = RolloutDriver(rollout_state()).run_until(at_weight(100))
    driver.step(without=1)
    agent_driver = agent_driver_at(driver, rollouts={}).run_until_idle()
    assert agent_driver.state.file is not None
    assert agent_driver.state.file.entry.stable is not None
    assert agent_driver.state.file.entry.stable.model == "anthropic/claude-3.5-sonnet"
    assert agent_driver.record.stable.version == "v1.0.0"


def test_nothing_is_released_while_the_file_cannot_be_read() -> None:
    driver = RolloutDriver(rollout_state()).run_until(at_weight(20))
    agent_driver = agent_driver_at(driver, rollouts={})
    file_before = agent_driver.state.file
    agent_driver.state = replace(agent_driver.state, file=None, file_problem="not YAML")
    for _ in range(4):
        agent_driver.step()
    assert agent_driver.record.active is not None
    assert agent_driver.record.active.aborting
    agent_driver.state = replace(agent_driver.state, file=file_before, file_problem="")
    assert agent_driver.run_until_idle().record.active is None


def test_a_weight_of_a_rollout_without_the_agent_lock_is_removed() -> None:
    driver = RolloutDriver(rollout_state()).run_until(at_weight(20))
    assert driver.state.file is not None
    text = driver.state.file.text
    driver.edit_spec(abort=True)
    driver.run_until(has_ended)
    agent_driver = agent_driver_at(driver)
    agent_driver.state = replace(agent_driver.state, file=a_file(text, "99"))
    agent_driver.run_until_idle()
    assert agent_driver.announced == ["OrphanRouting", "Reconciled"]
    assert agent_driver.state.file is not None
    assert agent_driver.state.file.entry.routing is not None
    assert agent_driver.state.file.entry.routing.weight == 0


def test_the_weight_of_the_rollout_with_the_agent_lock_stays() -> None:
    agent_driver = agent_driver_at(RolloutDriver(rollout_state()).run_until(at_weight(20))).run_until_idle()
    assert "file" not in agent_driver.written


# --- endpoints


def test_status_and_record_name_an_endpoint_before_it_is_created() -> None:
    driver = RolloutDriver(rollout_state()).run_until(
        lambda state: state.record is not None and state.record.active is not None
    )
    agent_driver = agent_driver_at(driver)
    status, record, create = agent_driver.step().steps
    assert isinstance(status, WriteStatus)
    assert isinstance(record, WriteRecord)
    assert isinstance(create, CreateEndpoint)
    assert [e.name for e in status.status.endpoints] == [create.entry.name]  # type: ignore[attr-defined]
    assert record.record == driver.state.record
    agent_driver.run_until_idle()
    assert agent_driver.performed == ["create"]


def test_a_stopped_endpoint_leaves_the_status_before_the_record() -> None:
    driver = RolloutDriver(rollout_state()).run_until(is_watching)
    agent_driver = agent_driver_at(driver).run_until_idle()
    driver.edit_spec(abort=True)
    driver.run_until(has_ended)
    agent_driver.state = replace(agent_driver.state, record=driver.state.record, file=driver.state.file)
    agent_driver.cloud.clear()
    agent_driver.pass_time(120)
    status, record = agent_driver.step().steps
    assert isinstance(status, WriteStatus)
    assert isinstance(record, WriteRecord)
    assert (status.status.endpoints, record.record.endpoints) == ((), ())  # type: ignore[attr-defined]


def test_a_released_endpoint_is_stopped_and_booked() -> None:
    driver = RolloutDriver(rollout_state()).run_until(is_watching)
    agent_driver = agent_driver_at(driver).run_until_idle()
    driver.edit_spec(abort=True)
    driver.run_until(has_ended)
    assert driver.state.record is not None
    agent_driver.state = replace(
        agent_driver.state,
        record=driver.state.record,
        file=driver.state.file,
        rollouts={driver.state.identity: driver.state.rollout},
    )
    agent_driver.run_until_idle()
    assert len(agent_driver.cloud) == 1
    agent_driver.pass_time(120)
    agent_driver.run_until_idle()
    assert agent_driver.cloud == {}
    assert agent_driver.record.endpoints == ()
    # Two minutes and eleven seconds at a dollar an hour, by the started minute.
    assert 0 < sum(agent_driver.record.endpoint_spend.values()) <= 4 * 1_000_000 // 60 + 4


def test_a_due_endpoint_is_stopped_although_another_one_cannot_be_created() -> None:
    driver = RolloutDriver(rollout_state()).run_until(is_watching)
    agent_driver = agent_driver_at(driver).run_until_idle()
    (entry,) = agent_driver.record.endpoints
    ended = {"role": "deleting", "stop_after": "2025-12-01T00:00:00+00:00", "repo": "org/old"}
    due = entry.model_copy(update={"name": "mo-old", **ended})
    agent_driver.state = replace(
        agent_driver.state, record=agent_driver.record.with_(endpoints=(due, entry)), listening_seconds=60.0
    )
    agent_driver.cloud = {"mo-old": replace(agent_driver.cloud[entry.name], name="mo-old", repo="org/old")}
    plan = decide(replace(agent_driver.state, endpoints=tuple(agent_driver.cloud.values()), live=True))
    actions = [step for step in plan.steps if isinstance(step, CreateEndpoint | DeleteEndpoint)]
    assert actions == [DeleteEndpoint(name="mo-old"), CreateEndpoint(entry=entry)]
    assert all(action.independent for action in actions)


def with_due(agent_driver: AgentModelDriver, **changes: Any) -> EndpointEntry:
    """An endpoint `mo-old` is on record besides, whose time is over and whose deletion is announced."""
    (entry,) = agent_driver.record.endpoints
    ended = {"role": "deleting", "stop_after": "2025-12-01T00:00:00+00:00", "repo": "org/old"}
    due = entry.model_copy(update={"name": "mo-old", **ended, **changes})
    agent_driver.state = replace(
        agent_driver.state, record=agent_driver.record.with_(endpoints=(due, entry)), live=True
    )
    return entry


@pytest.mark.parametrize("other", ["cannot be deleted", "cannot be created"])
def test_orphaned_attempts_are_settled_beside_an_endpoint_that_fails(other: str) -> None:
    agent_driver = agent_driver_at(RolloutDriver(rollout_state()).run_until(has_ended)).run_until_idle()
    entry = with_due(agent_driver)
    reserved = {"gone-1/1": Reservation(usd_micro=1, month="2025-12", name="gone")}
    running = replace(agent_driver.cloud[entry.name], name="mo-old")
    listed = (running, agent_driver.cloud[entry.name]) if other == "cannot be deleted" else (running,)
    plan = decide(
        replace(agent_driver.state, record=agent_driver.record.with_(reservations=reserved), endpoints=listed)
    )
    kinds = [type(step) for step in plan.steps]
    assert kinds[-1] is SettleOrphanedAttempt
    assert (CreateEndpoint in kinds) == (other == "cannot be created")
    # A settlement writes the record itself: the unchanged one must not be written over it.
    assert WriteRecord not in kinds[kinds.index(SettleOrphanedAttempt) :]


def test_a_deleted_endpoint_leaves_the_record_although_another_one_cannot_be_deleted() -> None:
    agent_driver = agent_driver_at(RolloutDriver(rollout_state()).run_until(has_ended)).run_until_idle()
    entry = with_due(agent_driver)
    stuck = agent_driver.record.endpoints[0].model_copy(update={"name": "mo-stuck"})
    record = agent_driver.record.with_(endpoints=(*agent_driver.record.endpoints, stuck))
    serving = agent_driver.cloud[entry.name]
    plan = decide(
        replace(agent_driver.state, record=record, endpoints=(serving, replace(serving, name="mo-stuck")))
    )
    (written,) = [step.record for step in plan.steps if isinstance(step, WriteRecord)]
    assert [e.name for e in written.endpoints] == [entry.name, "mo-stuck"]


def test_an_account_that_does_not_answer_hides_only_its_own_endpoints() -> None:
    agent_driver = agent_driver_at(RolloutDriver(rollout_state()).run_until(has_ended)).run_until_idle()
    entry = with_due(agent_driver)
    down = {"mo-old": Outage(service="Endpoints", message="403: no access", refused=True)}
    # The stable endpoint is missing in the account that answers; the other one may still exist, or not.
    plan = decide(replace(agent_driver.state, endpoints=(), unlisted=down))
    assert [step for step in plan.steps if isinstance(step, CreateEndpoint | DeleteEndpoint)] == [
        CreateEndpoint(entry=entry)
    ]
    (written,) = [step.record for step in plan.steps if isinstance(step, WriteRecord)]
    assert [e.name for e in written.endpoints] == ["mo-old", entry.name]
    (status,) = [step.status for step in plan.steps if isinstance(step, WriteStatus)]
    ready = next(c for c in status.conditions if c.type == "Ready")  # type: ignore[attr-defined]
    assert (ready.reason, ready.message) == ("EndpointServiceUnavailable", "403: no access")


def test_an_endpoint_stays_in_the_account_in_which_it_was_created() -> None:
    first = RolloutDriver(rollout_state(settings=RolloutSettings(hub_org="org-a"))).run_until(is_watching)
    (entry,) = agent_driver_at(first).record.endpoints
    assert entry.account == "org-a"
    assert agent_driver_at(first).record.endpoint_account(entry.name) == "org-a"


def test_each_orphaned_attempt_is_settled_whatever_becomes_of_the_others() -> None:
    reserved = Reservation(usd_micro=1, month="2025-12", name="gone")
    record = a_record().with_(reservations={"gone-1/1": reserved, "gone-2/1": reserved})
    driver = AgentModelDriver(agent_model_state(record=a_record()))
    driver.run_until_idle()
    plan = decide(replace(driver.state, record=record))
    settled = [step for step in plan.steps if isinstance(step, SettleOrphanedAttempt)]
    assert [step.key for step in settled] == ["gone-1/1", "gone-2/1"]
    assert all(step.independent for step in settled)


def test_the_status_is_shown_although_what_is_left_cannot_be_stopped() -> None:
    reserved = Reservation(usd_micro=1, month="2025-12", name="gone")
    record = a_record().with_(reservations={"gone-1/1": reserved})
    plan = decide(agent_model_state(record=record))
    status, settle = plan.steps[0], plan.steps[-1]
    assert isinstance(status, WriteStatus)
    assert isinstance(settle, SettleOrphanedAttempt)


def driver_after_undo() -> AgentModelDriver:
    driver = RolloutDriver(rollout_state()).run_until(has_ended)
    agent_driver = agent_driver_at(driver)
    undo = RolloutDriver(
        rollout_state(
            objects.rollout("undo", candidate={"version": "v1.0.0"}),
            record=driver.state.record,
            file=driver.state.file,
            now=driver.state.now,
        )
    ).run_until(has_ended)
    agent_driver.state = replace(
        agent_driver.state, record=undo.state.record, file=undo.state.file, now=undo.state.now, rollouts={}
    )
    return agent_driver


def test_the_cost_of_a_stopped_endpoint_is_split_at_the_end_of_the_month() -> None:
    agent_driver = driver_after_undo()
    (entry,) = agent_driver.record.endpoints
    standing = entry.model_copy(update={"since": "2025-11-30T22:00:00+00:00"})
    agent_driver.state = replace(
        agent_driver.state, record=agent_driver.record.with_(endpoints=(standing,), endpoint_spend={})
    )
    agent_driver.run_until_idle()
    assert agent_driver.record.endpoint_spend == {}
    agent_driver.pass_time(90_000)
    agent_driver.run_until_idle()
    assert agent_driver.record.endpoints == ()
    spend = agent_driver.record.endpoint_spend
    assert (list(spend), spend["2025-11"]) == (["2025-11", "2025-12"], 2_000_000)
    assert spend["2025-12"] == sum(standing.micro_usd_by_month(agent_driver.state.now).values()) - 2_000_000


def test_a_standing_endpoint_uses_up_the_budget_and_is_no_reason_to_write_until_then() -> None:
    agent = objects.agent_model(budget={"monthlyUSD": "100", "approvalAboveUSD": "50"})
    agent_driver = agent_driver_at(RolloutDriver(rollout_state()).run_until(has_ended))
    agent_driver.state = replace(agent_driver.state, agent_model=parsed(AgentModel, agent))
    agent_driver.run_until_idle()
    assert [e.role for e in agent_driver.record.endpoints] == ["stable"]
    writes = len(agent_driver.written)
    for _ in range(3):
        agent_driver.pass_time(86_400)
        assert agent_driver.step().steps == ()
    assert agent_driver.condition("BudgetAvailable")[0] == "True"
    agent_driver.pass_time(2 * 86_400)
    agent_driver.run_until_idle()
    assert agent_driver.condition("BudgetAvailable")[:2] == ("False", "BudgetExhausted")
    assert len(agent_driver.written) == writes + 1
    spend = agent_driver.state.agent_model.status.spend
    assert spend is not None
    assert 100 < float(spend.standing_usd) < 121
    assert float(spend.settled_usd) < 1
    agent_driver.pass_time(86_400)
    assert agent_driver.step().steps == ()
    raised = objects.agent_model(budget={"monthlyUSD": "1000"})
    status = agent_driver.state.agent_model.status
    agent_driver.state = replace(
        agent_driver.state, agent_model=parsed(AgentModel, raised).model_copy(update={"status": status})
    )
    assert agent_driver.run_until_idle().condition("BudgetAvailable")[0] == "True"


def test_the_previous_endpoint_stays_warm_for_the_rollback_window() -> None:
    agent_driver = driver_after_undo().run_until_idle()
    assert len(agent_driver.cloud) == 1
    agent_driver.pass_time(86_000)
    agent_driver.run_until_idle()
    assert len(agent_driver.cloud) == 1
    agent_driver.pass_time(800)
    agent_driver.run_until_idle()
    assert agent_driver.cloud == {}


def test_the_endpoint_of_a_model_in_the_file_runs_on() -> None:
    agent_driver = driver_after_undo().run_until_idle()
    text = objects.FILE_TEXT.replace("anthropic/claude-3.5-sonnet", "org/candidate-of-r1")
    agent_driver.state = replace(agent_driver.state, file=a_file(text, "99"))
    agent_driver.pass_time(90_000)
    agent_driver.run_until_idle()
    assert len(agent_driver.cloud) == 1
    assert agent_driver.condition("InSync")[1] == "StableDrift"


def two_commits(*, aborted: bool) -> AgentModelDriver:
    """Two commits of one repository: the second replaced the first, or was aborted as a canary. Both endpoints run."""

    def commit(letter: str) -> Json:
        return {"candidate": {"model": {"repo": "org/model", "revision": letter * 40}}}

    first = RolloutDriver(rollout_state(objects.rollout(**commit("a")))).run_until(has_ended)
    state = rollout_state(
        objects.rollout("r2", **commit("b")),
        record=first.state.record,
        file=first.state.file,
        now=first.state.now,
    )
    endpoint = Endpoint(name="mo", state="running", url="https://second.example/v1", repo="", revision="")
    second = RolloutDriver(state, facts={"endpoint": endpoint})
    if aborted:
        second.run_until(at_weight(20)).edit_spec(abort=True)
    agent_driver = agent_driver_at(second.run_until(has_ended))
    for entry in agent_driver.record.endpoints:
        agent_driver.cloud[entry.name] = replace(endpoint, name=entry.name, url="")
    assert len(agent_driver.cloud) == 2
    return agent_driver


@pytest.mark.parametrize(("aborted", "seconds"), [(False, 90_000), (True, 120)])
def test_the_endpoint_of_another_commit_of_the_serving_model_is_stopped(aborted: bool, seconds: int) -> None:
    agent_driver = two_commits(aborted=aborted).run_until_idle()
    assert len(agent_driver.cloud) == 2
    agent_driver.pass_time(seconds)
    agent_driver.run_until_idle()
    assert list(agent_driver.cloud) == [agent_driver.record.stable.endpoint_name]
    assert [e.role for e in agent_driver.record.endpoints] == ["stable"]


@pytest.mark.parametrize("url", ["https://canary.example/v1/", "https://unknown.example/v1"])
def test_an_address_in_the_file_keeps_its_endpoint_and_an_unknown_one_all_of_the_model(url: str) -> None:
    agent_driver = two_commits(aborted=False).run_until_idle()
    file = agent_driver.state.file
    assert file is not None
    named = with_stable(file.text, AGENT, StableTarget(model="org/model", endpoint_url=url))
    agent_driver.state = replace(agent_driver.state, file=a_file(named, "99"))
    agent_driver.pass_time(90_000)
    agent_driver.run_until_idle()
    assert len(agent_driver.cloud) == 2


def test_an_endpoint_that_an_agent_still_uses_runs_on() -> None:
    agent_driver = driver_after_undo().run_until_idle()
    behind = AgentReports(expected=2, heard=2, in_sync=1, canary_reachable=1)
    agent_driver.state = replace(agent_driver.state, reports=behind)
    agent_driver.pass_time(90_000)
    agent_driver.run_until_idle()
    assert len(agent_driver.cloud) == 1
    agent_driver.state = replace(agent_driver.state, reports=replace(behind, in_sync=2))
    agent_driver.run_until_idle()
    assert agent_driver.cloud == {}


def test_an_unanswering_service_is_reported_and_nothing_is_done() -> None:
    driver = RolloutDriver(rollout_state()).run_until(is_watching)
    agent_driver = agent_driver_at(driver)
    agent_driver.state = replace(
        agent_driver.state, endpoints=Outage(service="Endpoints", message="Endpoints: 503")
    )
    agent_driver.step()
    assert agent_driver.performed == []
    assert agent_driver.condition("Ready")[1:] == ("EndpointServiceUnavailable", "Endpoints: 503")


# --- its deletion


def test_a_deletion_stops_the_endpoints_and_removes_the_finalizer() -> None:
    agent_driver = driver_after_undo().run_until_idle()
    agent_driver.state = replace(
        agent_driver.state, agent_model=parsed(AgentModel, with_deletion(objects.agent_model()))
    )
    agent_driver.run_until_idle()
    assert agent_driver.cloud == {}
    assert agent_driver.state.agent_model.metadata.finalizers == ()


def used_and_deleted() -> AgentModelDriver:
    """Both agents serve from the stable endpoint of an AgentModel that is deleted."""
    agent_driver = agent_driver_at(RolloutDriver(rollout_state()).run_until(has_ended)).run_until_idle()
    assert [e.role for e in agent_driver.record.endpoints] == ["stable"]
    both = AgentReports(
        expected=2, heard=2, in_sync=2, canary_reachable=2, models_in_use=(agent_driver.record.stable.model,)
    )
    deleted = parsed(AgentModel, with_deletion(objects.agent_model()))
    agent_driver.state = replace(agent_driver.state, reports=both, agent_model=deleted)
    return agent_driver.run_until_idle()


def test_a_deletion_waits_for_agents_that_use_the_endpoint() -> None:
    agent_driver = used_and_deleted()
    agent_driver.state = replace(agent_driver.state, file=a_file())
    agent_driver.run_until_idle()
    assert len(agent_driver.cloud) == 1
    assert agent_driver.state.agent_model.metadata.finalizers
    assert agent_driver.condition("Ready")[:2] == ("False", "Deleting")
    assert agent_driver.state.reports is not None
    agent_driver.state = replace(
        agent_driver.state, reports=replace(agent_driver.state.reports, models_in_use=("elsewhere",))
    )
    agent_driver.run_until_idle()
    assert agent_driver.cloud == {}
    assert agent_driver.state.agent_model.metadata.finalizers == ()
    assert agent_driver.announced == []


def test_a_process_without_reports_yet_stops_nothing() -> None:
    agent_driver = used_and_deleted()
    agent_driver.state = replace(agent_driver.state, reports=None, listening_seconds=4.0, file=a_file())
    agent_driver.run_until_idle()
    assert len(agent_driver.cloud) == 1
    agent_driver.state = replace(agent_driver.state, listening_seconds=15.0)
    assert agent_driver.run_until_idle().cloud == {}


def test_after_an_hour_a_deletion_leaves_used_endpoints_running_and_says_so() -> None:
    agent_driver = used_and_deleted()
    agent_driver.pass_time(3600)
    agent_driver.step()
    assert agent_driver.announced == ["Leaked"]
    assert len(agent_driver.cloud) == len(agent_driver.record.endpoints) == 1
    assert agent_driver.state.agent_model.metadata.finalizers == ()


def test_a_deletion_without_the_secret_stops_endpoints_with_another_token() -> None:
    agent_driver = driver_after_undo().run_until_idle()
    deleted = parsed(AgentModel, with_deletion(objects.agent_model()))
    agent_driver.state = replace(
        agent_driver.state, agent_model=deleted, secret_problem="Secret tokens does not exist"
    )
    assert len(agent_driver.run_until_idle().cloud) == 1
    agent_driver.state = replace(agent_driver.state, can_clean_up=True)
    assert agent_driver.run_until_idle().cloud == {}
    assert agent_driver.state.agent_model.metadata.finalizers == ()


@pytest.mark.parametrize("problem", ["", "ConfigMap docs-modelops-record: the record cannot be read"])
def test_a_deletion_without_the_record_stops_the_endpoints_of_the_status(problem: str) -> None:
    agent_driver = agent_driver_at(RolloutDriver(rollout_state()).run_until(has_ended)).run_until_idle()
    status = agent_driver.state.agent_model.status
    deleted = parsed(AgentModel, with_deletion(objects.agent_model())).model_copy(update={"status": status})
    without_record = replace(
        agent_driver.state,
        agent_model=deleted,
        record=None,
        record_problem=problem,
        file=None,
        file_missing=True,
    )
    used = AgentReports(
        expected=1, heard=1, in_sync=1, canary_reachable=1, models_in_use=("org/candidate-of-r1",)
    )
    agent_driver = AgentModelDriver(
        replace(without_record, reports=used), cloud=agent_driver.cloud
    ).run_until_idle()
    assert len(agent_driver.cloud) == 1
    assert agent_driver.state.agent_model.metadata.finalizers
    agent_driver.state = replace(agent_driver.state, reports=None)
    assert agent_driver.run_until_idle().cloud == {}
    assert (agent_driver.written, agent_driver.announced) == (["finalizers"], [])


def test_a_deletion_without_the_record_says_after_an_hour_which_endpoints_may_bill() -> None:
    agent_driver = agent_driver_at(RolloutDriver(rollout_state()).run_until(has_ended)).run_until_idle()
    status = agent_driver.state.agent_model.status
    deleted = parsed(AgentModel, with_deletion(objects.agent_model())).model_copy(update={"status": status})
    agent_driver.state = replace(
        agent_driver.state, agent_model=deleted, record=None, secret_problem="Secret tokens does not exist"
    )
    assert agent_driver.run_until_idle().written.count("finalizers") == 0
    agent_driver.pass_time(3600)
    agent_driver.step()
    assert (agent_driver.announced, agent_driver.written[-1]) == (["Leaked"], "finalizers")


def test_no_endpoint_is_created_while_a_secret_is_not_usable() -> None:
    driver = RolloutDriver(rollout_state()).run_until(
        lambda state: state.record is not None and state.record.active is not None
    )
    agent_driver = agent_driver_at(
        driver, secret_problem="Secret tokens does not exist", can_clean_up=True
    ).run_until_idle()
    assert (agent_driver.performed, agent_driver.condition("Ready")[1]) == ([], "SecretNotUsable")


def test_a_deletion_during_a_canary_aborts_it_first() -> None:
    driver = RolloutDriver(rollout_state()).run_until(at_weight(20))
    agent_driver = agent_driver_at(driver).run_until_idle()
    agent_driver.state = replace(
        agent_driver.state, agent_model=parsed(AgentModel, with_deletion(objects.agent_model()))
    )
    agent_driver.run_until_idle()
    assert agent_driver.state.file is not None
    assert agent_driver.state.file.entry.routing is not None
    assert agent_driver.state.file.entry.routing.rollout.state == "Aborted"
    assert agent_driver.cloud == {}
    done = agent_driver.record.completed[driver.state.identity]
    assert done.message == "AgentModel docs was deleted: all sessions are back on stable"
    driver.state = replace(
        driver.state, record=agent_driver.record, file=agent_driver.state.file, agent_model=None
    )
    assert driver.run_until(has_ended).phase == "Aborted"


def test_after_an_hour_a_deletion_ends_and_says_which_endpoints_may_bill() -> None:
    agent_driver = driver_after_undo().run_until_idle()
    agent_driver.state = replace(
        agent_driver.state, agent_model=parsed(AgentModel, with_deletion(objects.agent_model()))
    )
    agent_driver.pass_time(200_000)
    agent_driver.state = replace(agent_driver.state, endpoints=Outage(service="Endpoints", message="503"))
    agent_driver.step()
    assert agent_driver.announced == ["Leaked"]
    assert agent_driver.state.agent_model.metadata.finalizers == ()


# --- a fixpoint


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_restart_writes_nothing(moment: str) -> None:
    agent_driver = agent_driver_at(RolloutDriver(rollout_state()).run_until(MOMENTS[moment])).run_until_idle()
    writes, performed = len(agent_driver.written), len(agent_driver.performed)
    for _ in range(3):
        agent_driver.step()
    assert (len(agent_driver.written), len(agent_driver.performed)) == (writes, performed)


def test_counts_of_agents_alone_are_no_reason_to_write() -> None:
    agent_driver = agent_driver_at(RolloutDriver(rollout_state()).run_until(is_watching)).run_until_idle()
    agent_driver.state = replace(
        agent_driver.state, reports=AgentReports(expected=5, heard=5, in_sync=5, canary_reachable=5)
    )
    assert agent_driver.step().steps == ()


def test_an_uneditable_file_is_a_condition_and_no_crash() -> None:
    driver = RolloutDriver(rollout_state()).run_until(at_weight(20))
    agent_driver = agent_driver_at(driver, rollouts={})
    text = "x: &a {model: anthropic/claude-3.5-sonnet}\nagents:\n  docs: *a\n"
    agent_driver.state = replace(agent_driver.state, file=a_file(text, "99"))
    for _ in range(3):
        agent_driver.step()
    assert agent_driver.condition("InSync")[1] == "ConfigNotUsable"
    assert "write it out" in agent_driver.condition("InSync")[2]
    assert (
        "ConfigMap agents, key agents.yaml (spec.config.configMapRef)" in agent_driver.condition("InSync")[2]
    )


def test_a_foreign_routing_block_without_weight_stays() -> None:
    agent_driver = AgentModelDriver(agent_model_state()).run_until_idle()
    text = with_routing(objects.FILE_TEXT, AGENT, None)
    agent_driver.state = replace(agent_driver.state, file=a_file(text, "9"))
    assert agent_driver.step().steps == ()


# --- stopping an endpoint: the record, then the file live, then the deletion


def driver_about_to_stop() -> AgentModelDriver:
    """An endpoint that ran for an aborted rollout, and whose time is over."""
    driver = RolloutDriver(rollout_state()).run_until(is_watching)
    agent_driver = agent_driver_at(driver).run_until_idle()
    driver.edit_spec(abort=True)
    driver.run_until(has_ended)
    agent_driver.state = replace(
        agent_driver.state, record=driver.state.record, file=driver.state.file, rollouts={}
    )
    agent_driver.run_until_idle()
    agent_driver.pass_time(120)
    return agent_driver


def test_an_endpoint_is_deleted_after_the_record_says_so_and_the_file_was_read_live() -> None:
    agent_driver = driver_about_to_stop()
    agent_driver.written.clear()
    agent_driver.step()
    assert agent_driver.written == ["record deleting"]
    assert [e.role for e in agent_driver.record.endpoints] == ["deleting"]
    listed = replace(agent_driver.state, endpoints=tuple(agent_driver.cloud.values()))
    assert decide(listed).needs == "live"
    *_, delete = decide(replace(listed, live=True)).steps
    assert isinstance(delete, DeleteEndpoint)
    agent_driver.run_until_idle()
    assert (agent_driver.cloud, agent_driver.record.endpoints) == ({}, ())


@pytest.mark.parametrize("gone", [False, True])
def test_an_endpoint_that_the_live_file_names_is_kept_or_started_anew(gone: bool) -> None:
    agent_driver = driver_about_to_stop()
    agent_driver.step()
    (entry,) = agent_driver.record.endpoints
    file = agent_driver.state.file
    assert file is not None
    named = with_stable(file.text, AGENT, StableTarget(model=entry.repo))
    agent_driver.state = replace(agent_driver.state, file=a_file(named, "99"))
    if gone:
        agent_driver.cloud.clear()
    agent_driver.performed.clear()
    agent_driver.run_until_idle()
    assert agent_driver.performed == (["create"] if gone else [])
    assert [e.role for e in agent_driver.record.endpoints] == ["previous"]
    assert list(agent_driver.cloud) == [entry.name]


def test_no_endpoint_is_deleted_while_the_agents_file_cannot_be_read() -> None:
    agent_driver = driver_about_to_stop()
    agent_driver.state = replace(agent_driver.state, file=None, file_problem="not YAML")
    agent_driver.performed.clear()
    agent_driver.run_until_idle()
    assert agent_driver.performed == []
    agent_driver.state = replace(agent_driver.state, file_missing=True)
    agent_driver.run_until_idle()
    assert agent_driver.performed == ["delete"]


def deleted_with_file(**changes: Any) -> AgentModelDriver:
    """The AgentModel is deleted, its stable endpoint runs, and no agent reports."""
    agent_driver = agent_driver_at(RolloutDriver(rollout_state()).run_until(has_ended)).run_until_idle()
    deleted = parsed(AgentModel, with_deletion(objects.agent_model()))
    agent_driver.state = replace(agent_driver.state, agent_model=deleted, **changes)
    return agent_driver


def test_a_deletion_stops_no_endpoint_while_the_agents_file_cannot_be_read() -> None:
    agent_driver = deleted_with_file(file=None, file_problem="not YAML").run_until_idle()
    assert len(agent_driver.cloud) == 1
    assert agent_driver.state.agent_model.metadata.finalizers
    assert "cannot be read and may name their models: not YAML" in agent_driver.condition("Ready")[2]
    agent_driver.pass_time(3700)
    agent_driver.step()
    assert (agent_driver.announced, len(agent_driver.cloud)) == (["Leaked"], 1)


@pytest.mark.parametrize(("model", "left"), [("org/candidate-of-r1", 1), ("elsewhere", 0), (None, 0)])
def test_a_deletion_asks_a_file_that_can_only_be_read(model: str | None, left: int) -> None:
    """The ConfigMap is immutable or has no label, or the file has no such agent any more."""
    entry = AgentEntry(stable=StableTarget(model=model)) if model else AgentEntry()
    agent_driver = deleted_with_file(file=None, file_problem="immutable", unwritable_entry=entry)
    assert len(agent_driver.run_until_idle().cloud) == left


def test_a_deletion_reads_the_file_live_before_it_stops_an_endpoint() -> None:
    agent_driver = deleted_with_file(file=a_file())
    agent_driver.step()
    assert [e.role for e in agent_driver.record.endpoints] == ["stopping"]
    listed = replace(agent_driver.state, endpoints=tuple(agent_driver.cloud.values()))
    assert decide(listed).needs == "live"


# --- an AgentModel that was created again with another ConfigMap

OTHER_FILE: Json = {"configMapRef": {"name": "agents-v2", "key": "docs.yaml"}}


def created_again(record: Record, **changes: Any) -> AgentModelDriver:
    return AgentModelDriver(
        agent_model_state(objects.agent_model(config=OTHER_FILE), record=record, **changes)
    )


def test_the_record_follows_the_file_of_an_agent_model_that_was_created_again() -> None:
    agent_driver = created_again(a_record())
    assert decide(agent_driver.state).needs == "live"
    agent_driver.run_until_idle()
    assert (agent_driver.record.config_map, agent_driver.record.config_key) == ("agents-v2", "docs.yaml")
    assert agent_driver.announced[0] == "FileChanged"
    assert agent_driver.condition("Ready")[0] == "True"
    drifted = a_file(objects.FILE_TEXT.replace("claude-3.5-sonnet", "other"), "9")
    agent_driver.state = replace(agent_driver.state, file=drifted)
    agent_driver.run_until_idle()
    assert "agents.docs in ConfigMap agents-v2, key docs.yaml, names" in agent_driver.condition("Ready")[2]


def test_the_record_follows_only_when_the_active_rollout_has_ended_and_ready_says_so() -> None:
    driver = RolloutDriver(rollout_state()).run_until(at_weight(20))
    record = driver.state.record
    assert record is not None
    agent_driver = created_again(
        record,
        file=driver.state.file,
        now=driver.state.now,
        rollouts={driver.state.identity: driver.state.rollout},
    )
    agent_driver.run_until_idle()
    assert agent_driver.record.config_map == "agents"
    for kind in ("InSync", "Ready"):
        status, reason, message = agent_driver.condition(kind)
        assert (status, reason) == ("False", "ConfigNotUsable")
        assert "ConfigMap agents-v2" in message
        assert "its record names agents.docs in ConfigMap agents, key agents.yaml" in message
        assert "Rollout r1 has the lock" in message


# --- what serves, in record and file


@pytest.mark.parametrize("active", [False, True])
def test_a_file_that_names_another_stable_model_is_neither_in_sync_nor_ready(active: bool) -> None:
    driver = RolloutDriver(rollout_state())
    driver = driver.run_until(is_watching) if active else driver.run_until(has_ended)
    agent_driver = agent_driver_at(driver).run_until_idle()
    assert agent_driver.condition("InSync")[0] == "True"
    assert agent_driver.condition("Ready")[1] != "StableDrift"
    file = agent_driver.state.file
    assert file is not None
    drifted = with_stable(file.text, AGENT, StableTarget(model="org/elsewhere"))
    agent_driver.state = replace(agent_driver.state, file=a_file(drifted, "99"))
    agent_driver.run_until_idle()
    for kind in ("InSync", "Ready"):
        status, reason, message = agent_driver.condition(kind)
        assert (status, reason) == ("False", "StableDrift")
        assert "org/elsewhere" in message


def test_a_promotion_under_way_is_no_drift() -> None:
    driver = RolloutDriver(rollout_state()).run_until(is_watching)
    before = driver.state.record
    driver.run_until(has_ended)
    assert before is not None
    agent_driver = agent_driver_at(driver)
    agent_driver.state = replace(agent_driver.state, record=before)
    assert stable_drift(agent_driver.state) is None
