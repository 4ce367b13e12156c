"""A program's refusal, as a condition says it."""

import pytest

from modelops.domain.refusals import Given, told

DATASET = "spec.evaluation.dataset ls://d of Rollout r"
GIVEN = Given(agent_model="docs", dataset=DATASET, again="a new rollout")


@pytest.mark.parametrize(
    ("reason", "field"),
    [
        ("DatasetNotFound", DATASET),
        ("DatasetEmpty", DATASET),
        ("TrainTestOverlap", DATASET),
        ("LangSmithRefused", DATASET),
        ("PromptRenderFailed", "spec.prompt of AgentModel docs"),
        ("LangSmithUnauthorized", "spec.secretRefs.langsmith of AgentModel docs"),
        ("HubUnauthorized", "spec.secretRefs.huggingFace of AgentModel docs"),
    ],
)
def test_field_and_its_object_come_before_what_is_wrong(reason: str, field: str) -> None:
    result = {"ok": False, "reason": reason, "message": "it is bad. Correct it."}
    assert told(result, GIVEN) == f"{reason}: {field}: it is bad. Correct it; then create a new rollout"


@pytest.mark.parametrize("reason", ["HubRepositoryPublic", "ModelUnauthorized", "InternalError", ""])
def test_what_concerns_no_field_is_left_as_it_is(reason: str) -> None:
    result = {"ok": False, "reason": reason, "message": "it is bad: make it good"}
    assert told(result, GIVEN) == f"{reason}: it is bad: make it good; then create a new rollout"
