"""The judge of a rollout: what its programs get of it, and that its result is in the status and decides nothing."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from tests.unit.rollout import objects
from tests.unit.rollout.rollout_driver import RolloutDriver, has_ended, is_armed, rollout_state

from modelops.domain.rollout.evaluation import evaluation_input
from modelops.domain.rollout.targets import require_candidate_target
from modelops.evaluation.request import CalibrationRule, FeedbackRule, SimilarityRule
from modelops.ports import ProgramState

JUDGE = {"model": "anthropic/claude-sonnet-4.5"}
AGAINST = {
    "model": JUDGE["model"],
    "promptDigest": "a" * 64,
    "compared": 90,
    "candidatePreferred": 0,
    "baselinePreferred": 90,
    "missing": 10,
    "differencePoints": "-100.00",
    "intervalPoints": ["-100.00", "-96.90"],
    "usd": "0.25",
}


def driver_of(spec: dict[str, Any], **facts: Any) -> RolloutDriver:
    item = objects.rollout(evaluation={"scorer": {"type": "exact", "threshold": "1"}, **spec})
    return RolloutDriver(rollout_state(item), facts=facts)


def test_both_programs_get_the_judge_and_the_name_of_its_key() -> None:
    state = driver_of({"judge": JUDGE}).run_until(is_armed).state
    found = evaluation_input(state, require_candidate_target(state))["judge"]
    assert (found["model"], found["max_examples"]) == (JUDGE["model"], 100)
    assert found["key_name"].endswith("spec.secretRefs.openRouter")


CALIBRATION = {
    "model": "anthropic/claude-sonnet-4.5",
    "labels": "ls://docs-judge-labels",
    "labelsAsOf": "2025-12-09T12:00:00.123456Z",
    "said": "ab" * 30,
    "promptDigest": "0" * 64,
    "digest": "1" * 64,
}


def judged(*, judge: dict[str, Any] | None, calibration: dict[str, Any] | None) -> dict[str, Any]:
    """`input.json` of a rollout with scorer judge."""
    item = objects.rollout(evaluation={"scorer": {"type": "judge"}, **({"judge": judge} if judge else {})})
    langsmith = {"evaluationDataset": "ls://held-out", "judge": calibration}
    agent = objects.agent_model(langsmith={k: v for k, v in langsmith.items() if v is not None})
    state = RolloutDriver(rollout_state(item, agent=agent)).run_until(is_armed).state
    return evaluation_input(state, require_candidate_target(state))


def test_scorer_judge_takes_the_judge_and_its_calibration_from_the_agent_model() -> None:
    found = judged(judge=None, calibration=CALIBRATION)
    assert found["judge"]["model"] == CALIBRATION["model"]
    rule = CalibrationRule.model_validate(found["calibration"])
    assert (rule.said, rule.digest, rule.labels) == ("ab" * 30, "1" * 64, "ls://docs-judge-labels")
    # The version is kept to the microsecond: an earlier one might not exist.
    assert datetime.fromisoformat(rule.labels_as_of).microsecond == 123456
    assert found["disagree_points"] == "50"


def test_a_rollout_that_names_another_judge_gets_that_one_beside_the_calibration() -> None:
    """So the check can refuse it: whoever creates a Rollout cannot calibrate."""
    found = judged(judge={"model": "openai/gpt-4.1"}, calibration=CALIBRATION)
    assert (found["judge"]["model"], found["calibration"]["model"]) == (
        "openai/gpt-4.1",
        CALIBRATION["model"],
    )


def test_scorer_judge_without_a_calibration_gets_none() -> None:
    assert "calibration" not in judged(judge=JUDGE, calibration=None)


def reports(evaluation: dict[str, Any], **agent: Any) -> dict[str, Any]:
    """`input.json` of a rollout with reports beside the verdict."""
    item = objects.rollout(evaluation={"scorer": {"type": "exact"}, **evaluation})
    state = RolloutDriver(rollout_state(item, agent=objects.agent_model(**agent))).run_until(is_armed).state
    return evaluation_input(state, require_candidate_target(state))


@pytest.mark.parametrize(
    ("embeddings", "service", "url", "reference"),
    [
        ({"model": "openai/text-embedding-3-small"}, "openrouter", "", "openRouter"),
        (
            {
                "model": "tei",
                "endpoint": "huggingface",
                "endpointUrl": "https://x.endpoints.huggingface.cloud/v1",
            },
            "huggingface",
            "https://x.endpoints.huggingface.cloud/v1",
            "huggingFace",
        ),
    ],
)
def test_the_embedding_model_and_its_key_are_the_agent_models(
    embeddings: dict[str, str], service: str, url: str, reference: str
) -> None:
    found = reports({"similarity": {"maxExamples": 50}}, embeddings=embeddings)["similarity"]
    rule = SimilarityRule.model_validate(found)
    assert (rule.model, rule.service, rule.base_url, rule.max_examples) == (
        embeddings["model"],
        service,
        url,
        50,
    )
    assert rule.key_name.endswith(f"spec.secretRefs.{reference}")


def test_similarity_without_an_embedding_model_is_left_to_the_check() -> None:
    assert reports({"similarity": {}})["similarity"] == {"model": "", "max_examples": 200}


def test_the_keys_of_langsmiths_feedback_are_passed_on() -> None:
    found = reports({"langsmithFeedback": {"keys": ["correctness"], "waitSeconds": 9}})
    assert FeedbackRule.model_validate(found["feedback"]).keys == ("correctness",)
    assert found["feedback"]["wait_seconds"] == 9
    nothing = reports({})
    assert (nothing["similarity"], nothing["feedback"]) == (None, None)


def test_reports_are_in_the_status() -> None:
    result = {
        **objects.EVALUATION_PASSED,
        "similarity": {"model": "m", "compared": 2, "baseline": "0.9000", "interval": ["-0.1000", "0.1000"]},
        "feedback": [{"key": "correctness", "compared": 2, "difference": "0.5"}],
    }
    driver = driver_of({}, evaluation=ProgramState(result=result)).run_until(is_armed)
    evaluation = driver.state.rollout.status.evaluation
    assert evaluation is not None
    assert evaluation.wire()["similarity"]["interval"] == ["-0.1000", "0.1000"]
    assert evaluation.wire()["langsmithFeedback"][0]["difference"] == "0.5"


def test_without_a_judge_there_is_none() -> None:
    state = driver_of({}).run_until(is_armed).state
    assert evaluation_input(state, require_candidate_target(state))["judge"] is None
    evaluation = state.rollout.status.evaluation
    assert evaluation is not None
    assert evaluation.judge is None


@pytest.mark.parametrize(("verdict", "recommendation"), [("pass", "deploy"), ("fail", "reject")])
def test_a_judge_that_prefers_the_baseline_throughout_changes_no_verdict(
    verdict: str, recommendation: str
) -> None:
    result = {
        **objects.EVALUATION_PASSED,
        "verdict": verdict,
        "recommendation": recommendation,
        "judge": AGAINST,
    }
    driver = driver_of({"judge": JUDGE}, evaluation=ProgramState(result=result))
    driver.run_until(is_armed if verdict == "pass" else has_ended)
    evaluation = driver.state.rollout.status.evaluation
    assert evaluation is not None
    assert (evaluation.verdict, evaluation.recommendation) == (verdict, recommendation)
    assert evaluation.judge is not None
    assert (evaluation.judge.baseline_preferred, evaluation.judge.usd) == (90, "0.25")
    assert evaluation.wire()["judge"]["intervalPoints"] == ["-100.00", "-96.90"]
