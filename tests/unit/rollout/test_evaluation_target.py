"""What a rollout evaluates: the model only, or the agent itself; and a sample of production, which decides nothing."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.rollout import objects
from tests.unit.rollout.rollout_driver import RolloutDriver, has_ended, is_armed, rollout_state

from modelops.api.v1alpha1.rollout import EvaluationStatus
from modelops.domain.rollout.evaluation import evaluation_input
from modelops.domain.rollout.evaluation_scores import evaluation_basis, evaluation_choices, evaluation_scores
from modelops.domain.rollout.state import State
from modelops.domain.rollout.targets import require_candidate_target
from modelops.evaluation.request import Request
from modelops.ports import ProgramState

AGENT = {"url": "http://docs.team.svc:8000/evaluate", "maxCallsPerAnswer": 3}
PRODUCTION = {
    "runs": 40,
    "leftOut": 2,
    "baseline": {"errors": 0},
    "candidate": {"errors": 40, "latencyP50Milliseconds": 9000},
}


def state_of(spec: dict[str, Any], *, agent: dict[str, Any] | None = None, **facts: Any) -> State:
    return driver_of(spec, agent=agent, **facts).run_until(is_armed).state


def driver_of(spec: dict[str, Any], *, agent: dict[str, Any] | None = None, **facts: Any) -> RolloutDriver:
    settings: dict[str, Any] = {"langsmith": {"evaluationDataset": "ls://docs-eval", "project": "docs-runs"}}
    if agent:
        refs = objects.agent_model()["spec"]["secretRefs"]
        settings |= {
            "evaluation": {"agent": agent},
            "secretRefs": {**refs, "agent": {"name": "a", "key": "k"}},
        }
    item = objects.rollout(evaluation={"scorer": {"type": "exact", "threshold": "1"}, **spec})
    return RolloutDriver(rollout_state(item, agent=objects.agent_model(**settings)), facts=facts)


def given(state: State) -> dict[str, Any]:
    return evaluation_input(state, require_candidate_target(state))


def test_the_programs_get_how_the_agent_is_asked_and_the_variables_of_its_own_keys() -> None:
    state = state_of({"target": "agent"}, agent=AGENT)
    found = Request.of(given(state))
    assert found.agent_rule is not None
    assert (found.agent_rule.url, found.agent_rule.max_calls) == (AGENT["url"], 3)
    assert found.agent_rule.key_name.endswith("spec.secretRefs.agent")
    assert found.arms.baseline.agent_key_env == "OPENROUTER_API_KEY"
    assert found.arms.candidate.agent_key_env == "HF_TOKEN"


@pytest.mark.parametrize("evaluation", [{}, {"target": "model"}])
def test_an_evaluation_of_the_model_has_the_input_basis_and_choices_of_earlier_releases(
    evaluation: dict[str, Any],
) -> None:
    state = state_of(evaluation, agent=AGENT)
    found = given(state)
    assert not {"target", "asked_agent", "production"} & found.keys()
    assert all("agent_key_env" not in arm for arm in found["arms"].values())
    assert evaluation_basis(state) == evaluation_basis(state_of({}))
    assert "target" not in evaluation_choices(state, margin_points="5")


def test_a_verdict_about_the_agent_holds_for_the_agent_only() -> None:
    agent, model = state_of({"target": "agent"}, agent=AGENT), state_of({})
    assert evaluation_basis(agent) != evaluation_basis(model)
    assert evaluation_choices(agent, margin_points="5").endswith("target agent")


def test_target_agent_without_an_agent_is_left_to_the_check() -> None:
    assert given(state_of({"target": "agent"}))["asked_agent"] is None


def test_the_sample_names_the_project_of_the_agent_and_ends_where_the_rollout_begins() -> None:
    """The check plans the cost of the runs that the evaluation asks, so both must find the same ones."""
    state = state_of({"productionSample": {"runs": 20}})
    created = state.rollout.metadata.creation_timestamp
    assert created is not None
    assert given(state)["production"] == {
        "project": "docs-runs",
        "runs": 20,
        "days": 7,
        "until": created.isoformat(),
    }


@pytest.mark.parametrize(("verdict", "recommendation"), [("pass", "deploy"), ("fail", "reject")])
def test_the_status_says_what_answered_and_production_changes_no_verdict(
    verdict: str, recommendation: str
) -> None:
    result = {
        **objects.EVALUATION_PASSED,
        "verdict": verdict,
        "recommendation": recommendation,
        "target": "agent",
        "production": PRODUCTION,
    }
    driver = driver_of({"target": "agent"}, agent=AGENT, evaluation=ProgramState(result=result))
    driver.run_until(is_armed if verdict == "pass" else has_ended)
    found: EvaluationStatus | None = driver.state.rollout.status.evaluation
    assert found is not None
    assert (found.target, found.verdict, found.recommendation) == ("agent", verdict, recommendation)
    assert found.production is not None
    assert found.production.candidate is not None
    assert (found.production.runs, found.production.candidate.errors) == (40, 40)
    assert evaluation_scores(driver.state)["target"] == "agent"


def test_a_result_of_an_earlier_release_is_one_of_the_model_only() -> None:
    found = state_of({}, evaluation=ProgramState(result=objects.EVALUATION_PASSED)).rollout.status.evaluation
    assert found is not None
    assert (found.target, found.production) == ("model", None)
