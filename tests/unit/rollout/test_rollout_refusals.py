"""What a rollout refuses or waits for: each says object, field and remedy, spends nothing and moves nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.rollout import objects
from tests.unit.rollout.objects import Json
from tests.unit.rollout.rollout_driver import (
    BASELINE,
    RolloutDriver,
    a_file,
    a_record,
    an_entry,
    at_weight,
    has_ended,
    parsed,
    rollout_state,
)

from modelops.api.v1alpha1.approval import Approval
from modelops.api.v1alpha1.trainingrun import TrainingRun
from modelops.domain.facts import UNSEEN, Outage
from modelops.domain.record import PRUNED, PRUNING, ActiveRollout, Completed, EndpointEntry, Settlement
from modelops.domain.rollout.candidate import endpoint_name
from modelops.domain.rollout.decide import decide
from modelops.ports import NOT_CREATED, AgentTraffic, Endpoint, ModelInfo, ProgramState

RUN: Json = {
    "apiVersion": "modelops.code-chef.dev/v1alpha1",
    "kind": "TrainingRun",
    "metadata": {"name": "t1", "namespace": "team", "uid": "uid-t1", "resourceVersion": "1"},
    "spec": {
        "agentModelRef": {"name": "docs"},
        "baseModel": "Qwen/Qwen2.5-Coder-7B",
        "method": "sft",
        "backend": {"huggingFace": {"flavor": "a10g-large"}},
        "maxUSD": "5",
    },
    "status": {},
}


def a_run(phase: str, *, agent: str = "docs", only_estimates: bool = False, **status: Any) -> TrainingRun:
    spec = {**RUN["spec"], "agentModelRef": {"name": agent}, "estimateOnly": only_estimates}
    return parsed(TrainingRun, {**RUN, "spec": spec, "status": {"phase": phase, **status}})


OF_RUN = objects.rollout(candidate={"trainingRunRef": {"name": "t1"}})
OF_VERSION = objects.rollout(candidate={"version": "v9.0.0"})
MODEL = {"repo": "org/m", "revision": "a" * 40, "version": "v1.1.0-rc.1"}

STANDING = EndpointEntry(
    name="mo-stable",
    role="stable",
    repo="org/m",
    revision="a" * 40,
    version="v1.1.0",
    usd_micro_per_hour=1_000_000,
    instance={},
    since="2025-11-01T00:00:00+00:00",
)
EMPTY: Json = {"ok": False, "reason": "DatasetEmpty", "message": "ls://docs-eval has no examples: add some"}

REFUSALS: dict[str, tuple[RolloutDriver, str, tuple[str, ...]]] = {
    "a version that was never there": (
        RolloutDriver(rollout_state(OF_VERSION)),
        "CandidateNotFound",
        ("spec.candidate.version v9.0.0 of Rollout r1 is not in the history of docs", "new rollout: v1.0.0"),
    ),
    "a model that is not on the Hub": (
        RolloutDriver(rollout_state(), facts={"candidate_model": None}),
        "CandidateNotFound",
        (
            "spec.candidate.model org/candidate-of-r1",
            "of Rollout r1",
            "spec.secretRefs.huggingFace of AgentModel docs",
            "new rollout",
        ),
    ),
    "a model that the Hub refuses to show": (
        RolloutDriver(
            rollout_state(), facts={"candidate_model": Outage(service="Hub", message="403", refused=True)}
        ),
        "CandidateNotFound",
        ("spec.candidate.model", "of Rollout r1", "403", "new rollout"),
    ),
    "a run that failed": (
        RolloutDriver(rollout_state(OF_RUN, run=a_run("Failed", reason="OutOfMemory"))),
        "CandidateNotFound",
        (
            "TrainingRun t1 (spec.candidate.trainingRunRef of Rollout r1) ended as Failed (OutOfMemory)",
            "new rollout",
        ),
    ),
    "a run that ended with its estimate": (
        RolloutDriver(rollout_state(OF_RUN, run=a_run("Succeeded", reason="Estimated", only_estimates=True))),
        "CandidateNotFound",
        (
            "TrainingRun t1 (spec.candidate.trainingRunRef of Rollout r1) only says what a training would cost",
            "use a TrainingRun without spec.estimateOnly in a new rollout",
        ),
    ),
    "a run that will end with its estimate": (
        RolloutDriver(rollout_state(OF_RUN, run=a_run("Preparing", only_estimates=True))),
        "CandidateNotFound",
        ("TrainingRun t1", "(spec.estimateOnly), and makes no model", "new rollout"),
    ),
    "a run of another agent": (
        RolloutDriver(rollout_state(OF_RUN, run=a_run("Succeeded", agent="cicd", model=MODEL))),
        "CandidateNotFound",
        (
            "TrainingRun t1 (spec.candidate.trainingRunRef of Rollout r1)",
            "for AgentModel cicd, not for docs",
            "new rollout",
        ),
    ),
    "what serves already": (
        RolloutDriver(rollout_state(objects.rollout(candidate={"version": "v1.0.0"}))),
        "CandidateNotFound",
        ("spec.candidate.version of Rollout r1", "already serves docs", "new rollout"),
    ),
    "what serves already, by its commit": (
        RolloutDriver(
            rollout_state(
                record=a_record(
                    stable=BASELINE.model_copy(
                        update={"model": "org/candidate-of-r1", "revision": objects.revision_of("r1")}
                    )
                )
            )
        ),
        "CandidateNotFound",
        ("spec.candidate.model of Rollout r1", "already serves docs", "new rollout"),
    ),
    "no held-out dataset": (
        RolloutDriver(rollout_state(agent=objects.agent_model(langsmith={}))),
        "NoDataset",
        ("spec.evaluation.dataset", "AgentModel docs", "set"),
    ),
    "a held-out dataset that cannot be used": (
        RolloutDriver(rollout_state(), facts={"check": ProgramState(result=EMPTY)}),
        "EvaluationRefused",
        (
            "DatasetEmpty: spec.langsmith.evaluationDataset ls://docs-eval of AgentModel docs: ",
            "add some; then create a new rollout",
        ),
    ),
    "a held-out dataset of its own that cannot be used": (
        RolloutDriver(
            rollout_state(objects.rollout(evaluation={"dataset": "mine"})),
            facts={"check": ProgramState(result=EMPTY)},
        ),
        "EvaluationRefused",
        ("spec.evaluation.dataset ls://mine of Rollout r1: ",),
    ),
    "more than maxUSD": (
        RolloutDriver(rollout_state(objects.rollout(maxUSD="1"))),
        "OverMaxUSD",
        ("spec.maxUSD of Rollout r1 is $1", "raise it"),
    ),
    "more than maxUSD, for two replicas": (
        RolloutDriver(
            rollout_state(
                objects.rollout(maxUSD="1"),
                agent=objects.agent_model(serving={"minReplica": 1, "maxReplica": 2}),
            )
        ),
        "OverMaxUSD",
        ("or shorten the pauses, lower spec.serving.maxReplica 2 of AgentModel docs",),
    ),
    "more than the budget has left": (
        RolloutDriver(
            rollout_state(
                agent=objects.agent_model(budget={"monthlyUSD": "10", "approvalAboveUSD": "10"}),
                record=a_record(settlements={"x/1": Settlement(usd_micro=9_500_000, month="2025-12")}),
            )
        ),
        "OverBudget",
        ("$0.50 of spec.budget.monthlyUSD $10 of AgentModel docs", "raise the budget", "new rollout"),
    ),
    "more than a standing endpoint has left of it": (
        RolloutDriver(
            rollout_state(
                agent=objects.agent_model(budget={"monthlyUSD": "225.50", "approvalAboveUSD": "10"}),
                record=a_record(endpoints=(STANDING,)),
            )
        ),
        "OverBudget",
        ("$0.50 of spec.budget.monthlyUSD $225.50",),
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_refusal_ends_before_the_agent_is_locked(case: str) -> None:
    driver, reason, words = REFUSALS[case]
    driver = replace(driver, written=[], announced=[], performed=[])
    before = driver.state.record
    record = driver.run_until(has_ended).state.record
    assert before is not None
    assert record is not None
    assert (driver.phase, driver.reason) == ("Failed", reason)
    assert not [word for word in words if word not in driver.message], driver.message
    refusal = ["status Aborting", "record release", f"status {reason}"]
    assert [word for word in driver.written if word != "status WaitingForCandidate"] == refusal
    assert record.active is None
    assert record.endpoints == before.endpoints
    assert driver.state.identity in record.completed


def shared_by_another_agent(key: str) -> str:
    """The file with an anchor on this key of the agent, and an alias for it in another agent."""
    lines = objects.FILE_TEXT.splitlines(keepends=True)
    anchored = [
        line.replace(f"{key}: ", f"{key}: &shared ") if line.startswith(f"    {key}:") else line
        for line in lines
    ]
    return "".join(anchored) + "  other: {model: m, note: *shared}\n"


NO_OPEN_ROUTER: Json = {"huggingFace": {"name": "tokens", "key": "hf"}}

DONE = Completed(
    kind="TrainingRun",
    name="t1",
    uid="deleted",
    outcome="Trained",
    version=an_entry().version,
    revision="a" * 40,
)

WAITS: dict[str, tuple[RolloutDriver, str, str]] = {
    "for a run that does not exist": (
        RolloutDriver(rollout_state(OF_RUN)),
        "WaitingForCandidate",
        "TrainingRun t1",
    ),
    "for a run that was deleted after it made a model": (
        RolloutDriver(
            rollout_state(OF_RUN, record=a_record(history=(an_entry(),), completed={"digest": DONE}))
        ),
        "WaitingForCandidate",
        f"does not exist any more; it made {an_entry().version}: use spec.candidate.model",
    ),
    "for a run that trains": (
        RolloutDriver(rollout_state(OF_RUN, run=a_run("Running"))),
        "WaitingForCandidate",
        "TrainingRun t1 is Running",
    ),
    "for a prompt contract": (
        RolloutDriver(
            rollout_state(
                agent={
                    **objects.agent_model(),
                    "spec": {k: v for k, v in objects.agent_model()["spec"].items() if k != "prompt"},
                }
            )
        ),
        "NoPromptContract",
        "AgentModel docs has no spec.prompt",
    ),
    "for its turn": (
        RolloutDriver(
            rollout_state(
                record=a_record(active=ActiveRollout(uid="x", name="r0", digest="d", candidate=BASELINE))
            )
        ),
        "AnotherRolloutActive",
        "Rollout r0 has the lock on agent docs",
    ),
    "for a file that can be read": (
        RolloutDriver(rollout_state(file=None, file_problem="ConfigMap agents does not exist")),
        "ConfigNotUsable",
        "ConfigMap agents",
    ),
    "for a file that can be edited": (
        RolloutDriver(
            rollout_state(file=a_file("x: &a {model: anthropic/claude-3.5-sonnet}\nagents:\n  docs: *a\n"))
        ),
        "ConfigNotUsable",
        "ConfigMap agents, key agents.yaml (spec.config.configMapRef): agents.docs",
    ),
    **{
        f"for a file whose {key} no other agent shares": (
            RolloutDriver(rollout_state(file=a_file(shared_by_another_agent(key)))),
            "ConfigNotUsable",
            "agents.docs in agents.yaml cannot be changed in place",
        )
        for key in ("model", "endpoint", "version", "endpoint_url", "api_key_env")
    },
    "for Pods that see changes of the file": (
        RolloutDriver(rollout_state(mount_problem="Pod docs-0 mounts ConfigMap agents with subPath")),
        "ConfigNotUsable",
        "Pod docs-0",
    ),
    "for the only AgentModel of the agent": (
        RolloutDriver(rollout_state(older_owner="docs-first")),
        "TargetConflict",
        "AgentModel docs-first already owns agent docs in ConfigMap agents",
    ),
    "for file and record to agree": (
        RolloutDriver(rollout_state(file=a_file(objects.FILE_TEXT.replace("claude-3.5-sonnet", "other")))),
        "StableDrift",
        "anthropic/other",
    ),
    "for a price": (
        RolloutDriver(rollout_state(), facts={"price": None}),
        "PriceUnknown",
        "nvidia-a10g x1 of AgentModel docs: the service lists none: choose",
    ),
    "for a Secret that can be read": (
        RolloutDriver(
            rollout_state(
                secret_problem="Secret tokens (spec.secretRefs.huggingFace) does not exist: create it"
            )
        ),
        "SecretNotUsable",
        "Secret tokens",
    ),
    "for the key of what serves now": (
        RolloutDriver(rollout_state(agent=objects.agent_model(secretRefs=NO_OPEN_ROUTER))),
        "SecretNotUsable",
        "AgentModel docs has no spec.secretRefs.openRouter",
    ),
    "for the AgentModel": (
        RolloutDriver(replace(rollout_state(), agent_model=None, record=None)),
        "AgentModelNotFound",
        "AgentModel docs (spec.agentModelRef) does not exist in namespace team: create it",
    ),
    "for the record": (
        RolloutDriver(rollout_state(record=None)),
        "AgentModelNotFound",
        "AgentModel docs (spec.agentModelRef) has no record yet: see its conditions",
    ),
}


@pytest.mark.parametrize("case", WAITS)
def test_a_wait_is_written_once_and_does_nothing(case: str) -> None:
    driver, reason, words = WAITS[case]
    driver = replace(driver, written=[], announced=[], performed=[])
    driver.step()
    assert (driver.phase, driver.reason) == ("Pending", reason)
    assert words in driver.message
    assert driver.written == [f"status {reason}"]
    driver.step()
    driver.pass_time(30)
    driver.step()
    assert driver.written == [f"status {reason}"]


@pytest.mark.parametrize("case", WAITS)
def test_a_wait_ends_as_soon_as_its_remedy_is_done(case: str) -> None:
    driver = replace(WAITS[case][0], written=[], announced=[], performed=[])
    driver.step()
    right = rollout_state(run=a_run("Succeeded", model=MODEL))
    driver.state = replace(right, rollout=driver.state.rollout, identity=driver.state.identity)
    driver.facts = {}
    assert driver.run_until(has_ended).phase == "Succeeded"


def test_a_baseline_elsewhere_needs_no_openrouter_key() -> None:
    stable = BASELINE.model_copy(update={"endpoint": "huggingface"})
    text = objects.FILE_TEXT.replace("endpoint: openrouter", "endpoint: huggingface")
    agent = objects.agent_model(secretRefs=NO_OPEN_ROUTER)
    driver = RolloutDriver(rollout_state(agent=agent, record=a_record(stable=stable), file=a_file(text)))
    assert driver.run_until(has_ended).phase == "Succeeded"


def test_the_held_out_examples_are_checked_before_the_agent_is_locked() -> None:
    driver = RolloutDriver(rollout_state(), facts={"check": None})
    driver.step()
    assert (driver.performed, driver.written) == (["start_check"], [])
    driver.facts = {"check": ProgramState(running=True)}
    plan = driver.step()
    assert (plan.steps, driver.written) == ((), [])
    assert plan.requeue_after
    assert driver.state.candidate_model is UNSEEN
    driver.facts = {}
    assert driver.run_until(has_ended).phase == "Succeeded"


def test_a_check_that_langsmith_does_not_answer_is_repeated() -> None:
    result = {"ok": False, "reason": "LangSmithUnavailable", "message": "LangSmith: 503", "transient": True}
    driver = RolloutDriver(rollout_state(), facts={"check": ProgramState(result=result)})
    driver.step()
    driver.step()
    assert (driver.phase, driver.reason) == ("Pending", "LangSmithUnavailable")
    assert driver.written == ["status LangSmithUnavailable"]
    assert driver.performed == ["retry_check", "retry_check"]
    driver.facts = {}
    assert driver.run_until(has_ended).phase == "Succeeded"


def test_a_check_is_repeated_after_another_rollout_had_the_lock() -> None:
    another = ActiveRollout(uid="x", name="r0", digest="d", candidate=BASELINE)
    driver = RolloutDriver(rollout_state(record=a_record(active=another)))
    driver.step()
    assert (driver.reason, driver.performed) == ("AnotherRolloutActive", ["stop_check"])
    driver.facts = {"check": None}
    driver.step()
    assert driver.performed == ["stop_check"]


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (Outage(service="Hub", message="502", retry_after=7), "HubUnavailable"),
        (Outage(service="Hub", message="401", refused=True, token_refused=True), "TokenRefused"),
        (None, "WaitingForCandidate"),
    ],
)
def test_a_candidate_that_the_hub_does_not_show_yet_is_said_and_asked_for_again(
    found: Outage | None, reason: str
) -> None:
    driver = RolloutDriver(rollout_state(), facts={"candidate_model": found})
    plan = driver.step()
    assert (driver.phase, driver.reason) == ("Pending", reason)
    assert plan.requeue_after == (7 if isinstance(found, Outage) and found.retry_after else 15)
    assert (found.message if found else "org/candidate-of-r1 at") in driver.message
    driver.step()
    assert driver.written == [f"status {reason}"] or found is None
    driver = RolloutDriver(rollout_state(), facts={"candidate_model": found})
    driver.step()
    driver.facts = {}
    assert driver.run_until(has_ended).phase == "Succeeded"


def driver_with_lock(**facts: Any) -> RolloutDriver:
    return RolloutDriver(rollout_state(), facts=facts).run_until(
        lambda state: state.rollout.status.started_at is not None
    )


NOT_MADE = Endpoint(name="mo", state=NOT_CREATED, url="", repo="", revision="", message="429: no quota")
DOWN = Outage(service="Hugging Face", message="answered 503: maintenance")
UNPAID = Outage(service="Hugging Face", message="answered 402: no credit", refused=True)


@pytest.mark.parametrize(
    ("fact", "reason", "words"),
    [
        (NOT_MADE, "EndpointNotCreated", "no quota"),
        (DOWN, "EndpointServiceUnavailable", "maintenance"),
        (UNPAID, "EndpointServiceUnavailable", "no credit"),
    ],
)
def test_why_the_endpoint_does_not_start_is_said_and_it_is_waited_for(
    fact: Endpoint | Outage, reason: str, words: str
) -> None:
    driver = driver_with_lock(endpoint=fact)
    driver.run_until(lambda state: state.rollout.status.reason == reason)
    assert words in driver.message
    driver.facts = {"endpoint": Endpoint(name="mo", state="initializing", url="", repo="", revision="")}
    driver.step()
    assert (driver.reason, driver.phase) == ("Provisioning", "Provisioning")
    driver.facts = {}
    assert driver.run_until(has_ended).phase == "Succeeded"


@pytest.mark.parametrize(
    ("missing", "is_booked"),
    [
        pytest.param(NOT_MADE, False, id="refused"),
        pytest.param(DOWN, True, id="unknown, so it may exist"),
        pytest.param(None, True, id="not listed yet, so it may exist"),
    ],
)
def test_nothing_is_booked_for_an_endpoint_whose_creation_was_refused(
    missing: Endpoint | Outage | None, is_booked: bool
) -> None:
    driver = driver_with_lock(endpoint=missing)
    driver.step()
    driver.pass_time(3600)
    assert driver.run_until(has_ended).reason == "DeadlineExceeded"
    driver.pass_time(3600)
    record = driver.state.record
    assert record is not None
    assert (record.committed("2025-12", driver.state.now) > 0, record.reservations) == (is_booked, {})


def test_an_endpoint_that_was_listed_is_booked_though_the_service_is_down_at_the_end() -> None:
    driver = driver_with_lock(endpoint=Endpoint(name="mo", state="pending", url="", repo="", revision=""))
    driver.step()
    driver.facts = {"endpoint": DOWN}
    driver.step()
    driver.pass_time(3600)
    driver.run_until(has_ended)
    assert driver.state.record is not None
    assert driver.state.record.committed("2025-12", driver.state.now) >= 1_000_000


def test_a_refused_token_is_waited_for_until_another_is_in_the_secret() -> None:
    revoked = Outage(service="Hub", message="answered 401", refused=True, token_refused=True)
    driver = RolloutDriver(rollout_state(), facts={"endpoint": revoked})
    driver.run_until(lambda state: state.rollout.status.reason == "TokenRefused")
    driver.facts = {}
    assert driver.run_until(has_ended).phase == "Succeeded"


@pytest.mark.parametrize(
    "facts",
    [
        {"price": Outage(service="hf", message="replace the token", refused=True, token_refused=True)},
        {
            "check": ProgramState(
                result={
                    "ok": False,
                    "reason": "HubUnauthorized",
                    "message": "replace the token",
                    "transient": True,
                    "token_refused": True,
                }
            )
        },
    ],
    ids=lambda facts: next(iter(facts)),
)
def test_a_token_that_is_refused_before_the_lock_is_waited_for(facts: dict[str, Any]) -> None:
    driver = RolloutDriver(rollout_state(), facts=facts)
    plan = driver.step()
    assert (driver.phase, driver.reason, plan.requeue_after) == ("Pending", "TokenRefused", 15)
    assert "replace the token" in driver.message
    assert driver.state.rollout.status.started_at is None
    driver.facts = {}
    assert driver.run_until(has_ended).phase == "Succeeded"


WRONG_KEY = ProgramState(
    result={"ok": False, "reason": "ModelUnauthorized", "message": "the key in AgentModel docs is wrong"}
)


@pytest.mark.parametrize("program", ["check", "evaluation"])
def test_a_refusal_of_a_key_that_a_person_has_replaced_is_asked_again(program: str) -> None:
    driver = RolloutDriver(rollout_state(), facts={program: WRONG_KEY, "keys_replaced": True})
    for _ in range(12):
        driver.step()
    assert driver.performed.count(f"stop_{program}") > 1
    driver.facts = {}
    assert driver.run_until(has_ended).phase == "Succeeded"


@pytest.mark.parametrize("program", ["check", "evaluation"])
def test_a_refusal_waits_while_it_is_not_known_whether_it_is_about_the_keys_of_now(program: str) -> None:
    down = Outage(service="Hugging Face", message="Secret tokens does not exist")
    driver = RolloutDriver(rollout_state(), facts={program: WRONG_KEY, "keys_replaced": down})
    driver.run_until_idle()
    assert driver.step().requeue_after == 15
    assert not has_ended(driver.state)
    driver.facts = {program: WRONG_KEY}
    assert driver.run_until(has_ended).reason == "EvaluationRefused"


REFUSED_TOKEN: Json = {
    "ok": False,
    "reason": "HubUnauthorized",
    "message": "the Hub answered 401: replace the token",
    "transient": True,
    "token_refused": True,
}
LONG_CANARY = objects.rollout(strategy={"canary": {}}, maxUSD="50")


def driver_evaluating_with_long_canary(
    item: Json = LONG_CANARY, *, traffic: AgentTraffic | None = None
) -> RolloutDriver:
    """The evaluation's token is refused; 30 of the 31 hours that are reserved are those of the canary."""
    agent = objects.agent_model(budget={"monthlyUSD": "1000", "approvalAboveUSD": "50"})
    driver = RolloutDriver(
        rollout_state(item, agent=agent, traffic=traffic),
        facts={"evaluation": ProgramState(result=REFUSED_TOKEN)},
    )
    return driver.run_until(lambda state: state.rollout.status.reason == "Evaluating")


def waiting_for_token() -> RolloutDriver:
    driver = driver_evaluating_with_long_canary()
    return driver.run_until(lambda state: state.rollout.status.reason == "TokenRefused")


def test_a_token_that_is_refused_while_an_endpoint_bills_says_what_that_costs_and_until_when() -> None:
    driver = waiting_for_token()
    assert driver.phase == "Evaluating"
    assert "replace the token. The operator tries again" in driver.message
    assert "costs $1.00 an hour, until 2025-12-10 10:00 UTC at the latest: set spec.abort" in driver.message
    written = len(driver.written)
    driver.pass_time(1800)
    driver.step()
    assert (driver.reason, len(driver.written)) == ("TokenRefused", written)
    driver.facts = {}
    driver.run_until(at_weight(20), max_steps=60)


def test_no_canarys_time_is_spent_on_waiting_for_a_token() -> None:
    driver = waiting_for_token()
    driver.pass_time(3600)
    driver.run_until(has_ended)
    assert (driver.phase, driver.reason) == ("Failed", "EvaluationRefused")
    assert "then create a new rollout" in driver.message
    record = driver.state.record
    assert record is not None
    assert record.active is None
    assert {endpoint.role for endpoint in record.endpoints} == {"stopping"}
    assert 0 < record.committed("2025-12", driver.state.now) < 1_200_000


@pytest.mark.parametrize(
    ("steps", "traffic"),
    [
        ([{"setWeight": 20}, {"pause": {}}], None),
        ([{"setWeight": 20}, {"analysis": {}}], None),
        (None, AgentTraffic(sessions=21, failed=0, seconds=7 * 86400)),
    ],
)
def test_no_persons_time_is_spent_on_waiting_for_a_token(
    steps: list[Json] | None, traffic: AgentTraffic | None
) -> None:
    canary = {"steps": steps} if steps else {}
    item = objects.rollout(strategy={"canary": canary}, maxUSD="50", progressDeadlineSeconds=48 * 3600)
    driver = driver_evaluating_with_long_canary(item, traffic=traffic)
    driver.run_until(lambda state: state.rollout.status.reason == "TokenRefused")
    assert "costs $1.00 an hour, until 2025-12-10 10:00 UTC at the latest: set spec.abort" in driver.message
    driver.pass_time(3600)
    assert driver.run_until(has_ended).reason == "EvaluationRefused"


def test_a_token_that_was_replaced_at_the_last_moment_is_tried() -> None:
    driver = waiting_for_token()
    driver.pass_time(3600)
    driver.facts["keys_replaced"] = True
    driver.step()
    assert driver.performed[-1] == "stop_evaluation"
    driver.facts = {}
    driver.run_until(at_weight(20), max_steps=60)


def test_the_first_refusal_of_a_token_is_followed_by_another_try_however_late_it_is() -> None:
    driver = driver_evaluating_with_long_canary()
    driver.pass_time(4000)
    driver.run_until(lambda state: state.rollout.status.reason == "TokenRefused")
    assert driver.performed[-1] == "retry_evaluation"


def test_an_outage_while_an_endpoint_bills_says_what_that_costs() -> None:
    down = {"ok": False, "reason": "LangSmithUnavailable", "message": "LangSmith: 503.", "transient": True}
    driver = RolloutDriver(rollout_state(), facts={"evaluation": ProgramState(result=down)})
    driver.run_until(lambda state: state.rollout.status.reason == "LangSmithUnavailable")
    assert driver.message.startswith("LangSmith: 503. Meanwhile endpoint mo-")


def test_a_refused_rollout_says_what_it_would_have_cost() -> None:
    driver = RolloutDriver(rollout_state(objects.rollout(maxUSD="1", strategy={"canary": {}})))
    driver.run_until(has_ended)
    status = driver.state.rollout.status
    # An hour of preparation and 1.25 x 24 hours, at 1 USD an hour: the example in docs/MODELOPS.md.
    assert (status.reason, status.estimate_usd, status.standing_usd_per_month) == (
        "OverMaxUSD",
        "31.00",
        "730.00",
    )
    assert "may cost up to $31.00" in driver.message


@pytest.mark.parametrize(("monthly", "warned"), [("700", True), ("730", False)])
def test_a_candidate_whose_standing_cost_is_above_the_budget_has_an_event_and_a_finding(
    monthly: str, warned: bool
) -> None:
    budget = {"monthlyUSD": monthly, "approvalAboveUSD": "500"}
    driver = RolloutDriver(rollout_state(agent=objects.agent_model(budget=budget)))
    if warned:
        driver.run_until(lambda state: state.rollout.status.offer is not None)
        digest = driver.state.rollout.status.approval_digest
        driver.edit_spec(approval=Approval(approved_by="mia", digest=digest))
    driver.run_until(has_ended)
    evaluation = driver.state.rollout.status.evaluation
    assert evaluation is not None
    words = f"costs $730.00 a month, and spec.budget.monthlyUSD of AgentModel docs is ${monthly}"
    assert any(words in finding for finding in evaluation.findings) == warned
    assert any(words in warning for warning in driver.warnings) == warned
    assert driver.phase == "Succeeded"


def test_an_endpoint_that_fails_ends_the_rollout() -> None:
    broken = Endpoint(name="mo", state="failed", url="", repo="", revision="", message="quota exceeded")
    driver = driver_with_lock(endpoint=broken).run_until(has_ended)
    assert (driver.phase, driver.reason) == ("Failed", "EndpointFailed")
    assert "quota exceeded" in driver.message
    assert not [w for w in driver.written if w.startswith("file")]


@pytest.mark.parametrize(
    "facts",
    [
        {"endpoint": None},
        {"endpoint": Outage(service="Endpoints", message="503")},
        {"endpoint": Endpoint(name="mo", state="pending", url="", repo="", revision="")},
        {"answers": False},
    ],
)
def test_a_wait_for_the_endpoint_writes_its_status_once(facts: dict[str, Any]) -> None:
    driver = driver_with_lock(**facts)
    driver.step()
    driver.pass_time(15)
    plan = driver.step()
    assert plan.steps == ()
    assert plan.requeue_after


@pytest.mark.parametrize(
    ("verdict", "reason"), [("fail", "EvaluationFailed"), ("inconclusive", "EvaluationInconclusive")]
)
def test_a_candidate_that_is_not_proven_is_rejected(verdict: str, reason: str) -> None:
    result = {**objects.EVALUATION_PASSED, "verdict": verdict, "recommendation": "reject"}
    history = (an_entry("v1.1.0-rc.1"),)
    state = rollout_state(
        objects.rollout(candidate={"version": "v1.1.0-rc.1"}, evaluation={"onInconclusive": "Reject"}),
        record=a_record(history=history),
    )
    driver = RolloutDriver(state, facts={"evaluation": ProgramState(result=result)}).run_until(has_ended)
    record = driver.state.record
    assert record is not None
    assert (driver.phase, driver.reason) == ("Rejected", reason)
    assert driver.message == result["explain"]
    assert not [w for w in driver.written if w.startswith("file")]
    assert record.history[0].deployment_status == "rejected"
    assert record.history[0].eval_scores["accuracy"] == 0.74
    assert [e.role for e in record.endpoints] == ["stopping"]
    assert record.candidates_compared == {"ls://docs-eval@2025-12-10T00:00:00Z": 1}


def test_an_impossible_evaluation_ends_the_rollout() -> None:
    driver = driver_with_lock(evaluation=ProgramState(result=EMPTY)).run_until(has_ended)
    assert (driver.phase, driver.reason) == ("Failed", "EvaluationRefused")
    assert driver.message == (
        "DatasetEmpty: spec.langsmith.evaluationDataset ls://docs-eval of AgentModel docs: ls://docs-eval has no "
        "examples: add some; then create a new rollout"
    )


def test_the_evaluation_waits_for_langsmith() -> None:
    result = {"ok": False, "reason": "X", "message": "LangSmith: 503", "transient": True}
    driver = driver_with_lock(evaluation=ProgramState(result=result))
    driver.step()
    driver.step()
    assert (driver.phase, driver.reason) == ("Evaluating", "LangSmithUnavailable")
    assert "retry_evaluation" in driver.performed
    del driver.facts["evaluation"]
    assert driver.run_until(has_ended).phase == "Succeeded"


def test_the_same_rollout_created_again_does_nothing() -> None:
    first = RolloutDriver(rollout_state()).run_until(has_ended).state
    item = objects.rollout(uid="another")
    driver = RolloutDriver(rollout_state(item, record=first.record, file=first.file)).run_until(has_ended)
    assert (driver.phase, driver.reason) == ("Succeeded", "AlreadyCompleted")
    assert "use a new name" in driver.message
    assert driver.written == ["status AlreadyCompleted"]
    assert driver.state.rollout.status.weight == 0


def test_a_refused_rollout_created_again_is_refused_again() -> None:
    first = RolloutDriver(rollout_state(OF_VERSION)).run_until(has_ended).state
    driver = RolloutDriver(
        rollout_state(
            OF_VERSION | {"metadata": {**OF_VERSION["metadata"], "uid": "another"}}, record=first.record
        )
    )
    assert driver.run_until(has_ended).phase == "Failed"
    assert driver.reason == "AlreadyCompleted"


def test_a_stopping_endpoint_is_used_again() -> None:
    name = endpoint_name(rollout_state(), "org/candidate-of-r1", objects.revision_of("r1"))
    stopping = STANDING.model_copy(
        update={
            "name": name,
            "role": "stopping",
            "repo": "org/candidate-of-r1",
            "revision": objects.revision_of("r1"),
            "since": "2025-12-10T08:00:00+00:00",
            "stop_after": "2025-12-10T08:59:00+00:00",
        }
    )
    driver = RolloutDriver(rollout_state(record=a_record(endpoints=(stopping,)))).run_until(
        lambda state: state.rollout.status.started_at is not None
    )
    record = driver.state.record
    assert record is not None
    # Booked until the agent is locked; from then on the reservation pays for it.
    assert [(e.role, e.stop_after, e.since) for e in record.endpoints] == [
        ("canary", "", record.reservations["uid-r1/1"].reserved_at)
    ]
    assert record.endpoint_spend == {"2025-12": 1_000_000}
    assert list(record.reservations) == ["uid-r1/1"]


def test_another_revision_of_the_model_that_serves_is_another_candidate() -> None:
    stable = BASELINE.model_copy(update={"model": "org/candidate-of-r1", "revision": "b" * 40})
    text = objects.FILE_TEXT.replace("anthropic/claude-3.5-sonnet", "org/candidate-of-r1")
    driver = RolloutDriver(rollout_state(record=a_record(stable=stable), file=a_file(text))).run_until(
        has_ended
    )
    assert driver.phase == "Succeeded"


def test_the_agent_is_not_locked_without_its_secret() -> None:
    driver = RolloutDriver(rollout_state(secret_problem="Secret tokens does not exist")).run_until_idle()
    assert driver.reason == "SecretNotUsable"
    assert not [write for write in driver.written if write.startswith("record")]


def without_secret(driver: RolloutDriver) -> RolloutDriver:
    driver.state = replace(
        driver.state, secret_problem="Secret tokens (spec.secretRefs.huggingFace) does not exist"
    )
    return driver


def test_an_unreadable_secret_stops_the_rollout() -> None:
    driver = without_secret(driver_with_lock())
    driver.step()
    assert driver.reason == "SecretNotUsable"
    assert decide(driver.state).steps == ()


def test_no_service_is_asked_without_a_secret_before_the_agent_is_locked() -> None:
    assert decide(without_secret(RolloutDriver(rollout_state())).state).needs is None


def test_an_abort_needs_no_secret() -> None:
    aborted, late, edited, lost = (RolloutDriver(rollout_state()).run_until(at_weight(20)) for _ in range(4))
    aborted.edit_spec(abort=True)
    late.pass_time(172800)
    edited.edit_file(objects.FILE_TEXT)
    assert lost.state.record is not None
    lost.state = replace(lost.state, record=lost.state.record.with_(active=None))
    for driver, reason in (
        (aborted, "AbortedByUser"),
        (late, "DeadlineExceeded"),
        (edited, "RoutingMismatch"),
        (lost, "AgentLockLost"),
    ):
        assert without_secret(driver).run_until(has_ended).phase == "Aborted"
        assert driver.reason == reason


@pytest.mark.parametrize("key", [PRUNING, PRUNED])
@pytest.mark.parametrize("candidate", ["version", "served version", "model", "run"])
def test_a_pruned_model_is_refused_before_the_agent_is_locked(key: str, candidate: str) -> None:
    entry = an_entry(
        "v9.0.0", hub_repo="org/m", model="org/m", lineage={"revision": "a" * 40, key: "2026-01-02"}
    )
    record, facts = a_record(history=(entry,)), {}
    item = OF_VERSION
    if candidate == "served version":
        target = BASELINE.model_copy(update={"version": "v9.0.0", "model": "org/m"})
        record = record.with_(served={**record.served, "v9.0.0": target})
    elif candidate == "model":
        item = objects.rollout(candidate={"model": {"repo": "org/m", "revision": "a" * 40}})
        facts = {"candidate_model": ModelInfo(repo="org/m", revision="a" * 40)}
    elif candidate == "run":
        item, facts = OF_RUN, {"run": a_run("Succeeded", model=MODEL)}
    driver = RolloutDriver(rollout_state(item, record=record, **facts)).run_until(has_ended)
    assert (driver.phase, driver.reason) == ("Failed", "CandidateNotFound")
    assert "org/m was removed from the Hub by `modelops prune` at 2026-01-02" in driver.message
    assert driver.state.record is not None
    assert (driver.state.record.active, driver.state.record.reservations) == (None, {})
