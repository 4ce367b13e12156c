"""What a rollout refuses or waits for: each says object, field and remedy, spends nothing and moves nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.rollout import objects
from tests.unit.rollout.objects import Json
from tests.unit.rollout.observing import (
    BASELINE,
    Life,
    a_file,
    a_record,
    an_entry,
    at_weight,
    observed,
    over,
    parsed,
)

from modelops.api.v1alpha1.trainingrun import TrainingRun
from modelops.domain.facts import UNSEEN, Outage
from modelops.domain.plan import Plan
from modelops.domain.record import PRUNED, PRUNING, Active, Completed, EndpointEntry, Settlement
from modelops.domain.rollout.candidate import endpoint_name
from modelops.domain.rollout.decide import decide
from modelops.ports import Endpoint, ModelInfo, ProgramState

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


def a_run(phase: str, *, agent: str = "docs", **status: Any) -> TrainingRun:
    spec = {**RUN["spec"], "agentModelRef": {"name": agent}}
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

REFUSALS: dict[str, tuple[Life, str, tuple[str, ...]]] = {
    "a version that was never there": (
        Life(observed(OF_VERSION)),
        "CandidateNotFound",
        ("spec.candidate.version v9.0.0 of Rollout r1 is not in the history of docs", "new rollout: v1.0.0"),
    ),
    "a model that is not on the Hub": (
        Life(observed(), facts={"candidate_model": None}),
        "CandidateNotFound",
        (
            "spec.candidate.model org/candidate-of-r1",
            "of Rollout r1",
            "spec.secretRefs.huggingFace of AgentModel docs",
            "new rollout",
        ),
    ),
    "a model that the Hub refuses to show": (
        Life(observed(), facts={"candidate_model": Outage(service="Hub", message="403", refused=True)}),
        "CandidateNotFound",
        ("spec.candidate.model", "of Rollout r1", "403", "new rollout"),
    ),
    "a run that failed": (
        Life(observed(OF_RUN, run=a_run("Failed", reason="OutOfMemory"))),
        "CandidateNotFound",
        (
            "TrainingRun t1 (spec.candidate.trainingRunRef of Rollout r1) ended as Failed (OutOfMemory)",
            "new rollout",
        ),
    ),
    "a run of another agent": (
        Life(observed(OF_RUN, run=a_run("Succeeded", agent="cicd", model=MODEL))),
        "CandidateNotFound",
        (
            "TrainingRun t1 (spec.candidate.trainingRunRef of Rollout r1)",
            "for AgentModel cicd, not for docs",
            "new rollout",
        ),
    ),
    "what serves already": (
        Life(observed(objects.rollout(candidate={"version": "v1.0.0"}))),
        "CandidateNotFound",
        ("spec.candidate.version of Rollout r1", "already serves docs", "new rollout"),
    ),
    "what serves already, by its commit": (
        Life(
            observed(
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
        Life(observed(agent=objects.agent_model(langsmith={}))),
        "NoDataset",
        ("spec.evaluation.dataset", "AgentModel docs", "set"),
    ),
    "a held-out dataset that cannot be used": (
        Life(observed(), facts={"check": ProgramState(result=EMPTY)}),
        "EvaluationRefused",
        (
            "DatasetEmpty: spec.langsmith.evaluationDataset ls://docs-eval of AgentModel docs: ",
            "add some; then create a new rollout",
        ),
    ),
    "a held-out dataset of its own that cannot be used": (
        Life(
            observed(objects.rollout(evaluation={"dataset": "mine"})),
            facts={"check": ProgramState(result=EMPTY)},
        ),
        "EvaluationRefused",
        ("spec.evaluation.dataset ls://mine of Rollout r1: ",),
    ),
    "more than maxUSD": (
        Life(observed(objects.rollout(maxUSD="1"))),
        "OverMaxUSD",
        ("spec.maxUSD of Rollout r1 is $1", "raise it"),
    ),
    "more than may go unapproved": (
        Life(observed(agent=objects.agent_model(budget={"monthlyUSD": "100", "approvalAboveUSD": "0.5"}))),
        "NeedsApproval",
        ("spec.budget.approvalAboveUSD $0.5 of AgentModel docs", "raise that", "new rollout"),
    ),
    "more than the budget has left": (
        Life(
            observed(
                agent=objects.agent_model(budget={"monthlyUSD": "10", "approvalAboveUSD": "10"}),
                record=a_record(settlements={"x/1": Settlement(usd_micro=9_500_000, month="2025-12")}),
            )
        ),
        "OverBudget",
        ("$0.50 of spec.budget.monthlyUSD $10 of AgentModel docs", "raise the budget", "new rollout"),
    ),
    "more than a standing endpoint has left of it": (
        Life(
            observed(
                agent=objects.agent_model(budget={"monthlyUSD": "225.50", "approvalAboveUSD": "10"}),
                record=a_record(endpoints=(STANDING,)),
            )
        ),
        "OverBudget",
        ("$0.50 of spec.budget.monthlyUSD $225.50",),
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_refusal_ends_before_anything_is_claimed(case: str) -> None:
    life, reason, words = REFUSALS[case]
    life = replace(life, written=[], told=[], done=[])
    before = life.state.record
    record = life.until(over).state.record
    assert before is not None
    assert record is not None
    assert (life.phase, life.reason) == ("Failed", reason)
    assert not [word for word in words if word not in life.message], life.message
    assert life.written == ["status Aborting", "record release", f"status {reason}"]
    assert record.active is None
    assert record.endpoints == before.endpoints
    assert life.state.identity in record.completed


NO_OPEN_ROUTER: Json = {"huggingFace": {"name": "tokens", "key": "hf"}}

DONE = Completed(
    kind="TrainingRun",
    name="t1",
    uid="gone",
    outcome="Trained",
    version=an_entry().version,
    revision="a" * 40,
)

WAITS: dict[str, tuple[Life, str, str]] = {
    "for a run that does not exist": (Life(observed(OF_RUN)), "WaitingForCandidate", "TrainingRun t1"),
    "for a run that was deleted after it made a model": (
        Life(observed(OF_RUN, record=a_record(history=(an_entry(),), completed={"digest": DONE}))),
        "WaitingForCandidate",
        f"does not exist any more; it made {an_entry().version}: use spec.candidate.model",
    ),
    "for a run that trains": (
        Life(observed(OF_RUN, run=a_run("Running"))),
        "WaitingForCandidate",
        "TrainingRun t1 is Running",
    ),
    "for a prompt contract": (
        Life(
            observed(
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
        Life(observed(record=a_record(active=Active(uid="x", name="r0", digest="d", candidate=BASELINE)))),
        "AnotherRolloutActive",
        "Rollout r0 has the lock on agent docs",
    ),
    "for a file that can be read": (
        Life(observed(file=None, file_problem="ConfigMap agents does not exist")),
        "ConfigNotUsable",
        "ConfigMap agents",
    ),
    "for a file that can be edited": (
        Life(observed(file=a_file("x: &a {model: anthropic/claude-3.5-sonnet}\nagents:\n  docs: *a\n"))),
        "ConfigNotUsable",
        "ConfigMap agents, key agents.yaml (spec.config.configMapRef): agents.docs",
    ),
    "for file and record to agree": (
        Life(observed(file=a_file(objects.FILE_TEXT.replace("claude-3.5-sonnet", "other")))),
        "StableDrift",
        "anthropic/other",
    ),
    "for a price": (
        Life(observed(), facts={"price": None}),
        "PriceUnknown",
        "nvidia-a10g x1 of AgentModel docs: the service lists none: choose",
    ),
    "for a Secret that can be read": (
        Life(
            observed(secret_problem="Secret tokens (spec.secretRefs.huggingFace) does not exist: create it")
        ),
        "SecretNotUsable",
        "Secret tokens",
    ),
    "for the key of what serves now": (
        Life(observed(agent=objects.agent_model(secretRefs=NO_OPEN_ROUTER))),
        "SecretNotUsable",
        "AgentModel docs has no spec.secretRefs.openRouter",
    ),
    "for the AgentModel": (
        Life(replace(observed(), agent_model=None, record=None)),
        "AgentModelNotFound",
        "AgentModel docs (spec.agentModelRef) does not exist in namespace team: create it",
    ),
    "for the record": (
        Life(observed(record=None)),
        "AgentModelNotFound",
        "AgentModel docs (spec.agentModelRef) has no record yet: see its conditions",
    ),
}


@pytest.mark.parametrize("case", WAITS)
def test_a_wait_is_said_once_and_does_nothing(case: str) -> None:
    life, reason, words = WAITS[case]
    life = replace(life, written=[], told=[], done=[])
    life.step()
    assert (life.phase, life.reason) == ("Pending", reason)
    assert words in life.message
    assert life.written == [f"status {reason}"]
    life.step()
    life.passes(30)
    life.step()
    assert life.written == [f"status {reason}"]


def test_a_baseline_elsewhere_needs_no_openrouter_key() -> None:
    stable = BASELINE.model_copy(update={"endpoint": "huggingface"})
    text = objects.FILE_TEXT.replace("endpoint: openrouter", "endpoint: huggingface")
    agent = objects.agent_model(secretRefs=NO_OPEN_ROUTER)
    life = Life(observed(agent=agent, record=a_record(stable=stable), file=a_file(text)))
    assert life.until(over).phase == "Succeeded"


def test_the_held_out_examples_are_looked_at_before_anything_is_claimed() -> None:
    life = Life(observed(), facts={"check": None})
    life.step()
    assert (life.done, life.written) == (["start_check"], [])
    life.facts = {"check": ProgramState(running=True)}
    plan = life.step()
    assert (plan.steps, life.written) == ((), [])
    assert plan.requeue_after
    assert life.state.candidate_model is UNSEEN
    life.facts = {}
    assert life.until(over).phase == "Succeeded"


def test_a_look_at_the_examples_that_langsmith_does_not_answer_is_made_again() -> None:
    result = {"ok": False, "reason": "LangSmithUnavailable", "message": "LangSmith: 503", "transient": True}
    life = Life(observed(), facts={"check": ProgramState(result=result)})
    life.step()
    life.step()
    assert (life.phase, life.reason) == ("Pending", "LangSmithUnavailable")
    assert life.written == ["status LangSmithUnavailable"]
    assert life.done == ["retry_check", "retry_check"]
    life.facts = {}
    assert life.until(over).phase == "Succeeded"


def test_a_look_that_is_too_old_when_the_turn_comes_is_made_again() -> None:
    another = Active(uid="x", name="r0", digest="d", candidate=BASELINE)
    life = Life(observed(record=a_record(active=another)))
    life.step()
    assert (life.reason, life.done) == ("AnotherRolloutActive", ["stop_check"])
    life.facts = {"check": None}
    life.step()
    assert life.done == ["stop_check"]


def test_an_unanswering_hub_is_asked_again_without_a_word() -> None:
    life = Life(observed(), facts={"candidate_model": Outage(service="Hub", message="502", retry_after=7)})
    assert life.step() == Plan(requeue_after=7)


def claimed(**facts: Any) -> Life:
    return Life(observed(), facts=facts).until(lambda state: state.rollout.status.started_at is not None)


def test_an_endpoint_that_fails_ends_the_rollout() -> None:
    broken = Endpoint(name="mo", state="failed", url="", repo="", revision="", message="quota exceeded")
    life = claimed(endpoint=broken).until(over)
    assert (life.phase, life.reason) == ("Failed", "EndpointFailed")
    assert "quota exceeded" in life.message
    assert not [w for w in life.written if w.startswith("file")]


@pytest.mark.parametrize(
    "facts",
    [
        {"endpoint": None},
        {"endpoint": Outage(service="Endpoints", message="503")},
        {"endpoint": Endpoint(name="mo", state="pending", url="", repo="", revision="")},
        {"answers": False},
    ],
)
def test_an_endpoint_is_waited_for_in_silence(facts: dict[str, Any]) -> None:
    life = claimed(**facts)
    plan = life.step()
    assert plan.steps == ()
    assert plan.requeue_after


@pytest.mark.parametrize(
    ("verdict", "reason"), [("fail", "EvaluationFailed"), ("inconclusive", "EvaluationInconclusive")]
)
def test_a_candidate_that_is_not_proven_is_rejected(verdict: str, reason: str) -> None:
    result = {**objects.EVALUATION_PASSED, "verdict": verdict, "recommendation": "reject"}
    history = (an_entry("v1.1.0-rc.1"),)
    state = observed(objects.rollout(candidate={"version": "v1.1.0-rc.1"}), record=a_record(history=history))
    life = Life(state, facts={"evaluation": ProgramState(result=result)}).until(over)
    record = life.state.record
    assert record is not None
    assert (life.phase, life.reason) == ("Rejected", reason)
    assert life.message == result["explain"]
    assert not [w for w in life.written if w.startswith("file")]
    assert record.history[0].deployment_status == "rejected"
    assert record.history[0].eval_scores["accuracy"] == 0.74
    assert [e.role for e in record.endpoints] == ["stopping"]
    assert record.candidates_compared == {"ls://docs-eval@2025-12-10T00:00:00Z": 1}


def test_an_evaluation_that_cannot_be_made_ends_the_rollout() -> None:
    life = claimed(evaluation=ProgramState(result=EMPTY)).until(over)
    assert (life.phase, life.reason) == ("Failed", "EvaluationRefused")
    assert life.message == (
        "DatasetEmpty: spec.langsmith.evaluationDataset ls://docs-eval of AgentModel docs: ls://docs-eval has no "
        "examples: add some; then create a new rollout"
    )


def test_langsmith_that_does_not_answer_is_waited_for() -> None:
    result = {"ok": False, "reason": "X", "message": "LangSmith: 503", "transient": True}
    life = claimed(evaluation=ProgramState(result=result))
    life.step()
    life.step()
    assert (life.phase, life.reason) == ("Evaluating", "LangSmithUnavailable")
    assert "retry_evaluation" in life.done
    del life.facts["evaluation"]
    assert life.until(over).phase == "Succeeded"


def test_the_same_rollout_created_again_does_nothing() -> None:
    first = Life(observed()).until(over).state
    item = objects.rollout(uid="another")
    life = Life(observed(item, record=first.record, file=first.file)).until(over)
    assert (life.phase, life.reason) == ("Succeeded", "AlreadyCompleted")
    assert "use a new name" in life.message
    assert life.written == ["status AlreadyCompleted"]
    assert life.state.rollout.status.weight == 0


def test_a_refused_rollout_created_again_is_refused_again() -> None:
    first = Life(observed(OF_VERSION)).until(over).state
    life = Life(
        observed(OF_VERSION | {"metadata": {**OF_VERSION["metadata"], "uid": "another"}}, record=first.record)
    )
    assert life.until(over).phase == "Failed"
    assert life.reason == "AlreadyCompleted"


def test_an_endpoint_on_its_way_out_is_taken_into_service_again() -> None:
    name = endpoint_name(observed(), "org/candidate-of-r1", objects.revision_of("r1"))
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
    life = Life(observed(record=a_record(endpoints=(stopping,)))).until(
        lambda state: state.rollout.status.started_at is not None
    )
    record = life.state.record
    assert record is not None
    # Booked up to the claim; from there on it is covered by the reservation.
    assert [(e.role, e.stop_after, e.since) for e in record.endpoints] == [
        ("canary", "", record.reservations["uid-r1/1"].reserved_at)
    ]
    assert record.endpoint_spend == {"2025-12": 1_000_000}
    assert list(record.reservations) == ["uid-r1/1"]


def test_another_revision_of_the_model_that_serves_is_another_candidate() -> None:
    stable = BASELINE.model_copy(update={"model": "org/candidate-of-r1", "revision": "b" * 40})
    text = objects.FILE_TEXT.replace("anthropic/claude-3.5-sonnet", "org/candidate-of-r1")
    life = Life(observed(record=a_record(stable=stable), file=a_file(text))).until(over)
    assert life.phase == "Succeeded"


def test_nothing_is_claimed_without_the_agents_secret() -> None:
    life = Life(observed(secret_problem="Secret tokens does not exist")).rest()
    assert life.reason == "SecretNotUsable"
    assert not [write for write in life.written if write.startswith("record")]


def without_secret(life: Life) -> Life:
    life.state = replace(
        life.state, secret_problem="Secret tokens (spec.secretRefs.huggingFace) does not exist"
    )
    return life


def test_a_secret_that_cannot_be_read_holds_the_rollout() -> None:
    life = without_secret(claimed())
    life.step()
    assert life.reason == "SecretNotUsable"
    assert decide(life.state).steps == ()


def test_without_a_secret_nobody_is_asked_for_a_candidate_that_is_not_claimed() -> None:
    assert decide(without_secret(Life(observed())).state).needs is None


def test_a_claim_goes_back_without_a_secret() -> None:
    aborted, late, edited, lost = (Life(observed()).until(at_weight(20)) for _ in range(4))
    aborted.asks(abort=True)
    late.passes(172800)
    edited.writes_text(objects.FILE_TEXT)
    assert lost.state.record is not None
    lost.state = replace(lost.state, record=lost.state.record.with_(active=None))
    for life, reason in (
        (aborted, "AbortedByUser"),
        (late, "DeadlineExceeded"),
        (edited, "RoutingMismatch"),
        (lost, "AgentLockLost"),
    ):
        assert without_secret(life).until(over).phase == "Aborted"
        assert life.reason == reason


@pytest.mark.parametrize("key", [PRUNING, PRUNED])
@pytest.mark.parametrize("candidate", ["version", "served version", "model", "run"])
def test_a_model_that_was_pruned_is_refused_before_anything_is_claimed(key: str, candidate: str) -> None:
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
    life = Life(observed(item, record=record, **facts)).until(over)
    assert (life.phase, life.reason) == ("Failed", "CandidateNotFound")
    assert "org/m was removed from the Hub by `modelops prune` at 2026-01-02" in life.message
    assert life.state.record is not None
    assert (life.state.record.active, life.state.record.reservations) == (None, {})
