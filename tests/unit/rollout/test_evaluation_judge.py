"""The judge of a rollout: what its programs get of it, and that its result is in the status and decides nothing."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.rollout import objects
from tests.unit.rollout.rollout_driver import RolloutDriver, has_ended, is_armed, rollout_state

from modelops.domain.rollout.evaluation import evaluation_input
from modelops.domain.rollout.targets import require_candidate_target
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
