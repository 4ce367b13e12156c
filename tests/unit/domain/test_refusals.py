"""Messages for refusals of the dataset and evaluation programs."""

import pytest

from modelops.domain.refusals import RefusalContext, refusal_message

DATASET = "spec.evaluation.dataset ls://d of Rollout r"
CONTEXT = RefusalContext(
    agent_model="docs",
    dataset=DATASET,
    scorer="spec.evaluation.scorer of Rollout r",
    new_object="a new rollout",
)


@pytest.mark.parametrize(
    ("reason", "field"),
    [
        ("DatasetNotFound", DATASET),
        ("DatasetEmpty", DATASET),
        ("TrainTestOverlap", DATASET),
        ("LangSmithRefused", DATASET),
        ("ScorerMissing", "spec.evaluation.scorer of Rollout r"),
        ("PromptRenderFailed", "spec.prompt of AgentModel docs"),
        ("LangSmithUnauthorized", "spec.secretRefs.langsmith of AgentModel docs"),
        ("HubUnauthorized", "spec.secretRefs.huggingFace of AgentModel docs"),
    ],
)
def test_a_refusal_names_field_and_object_before_the_problem(reason: str, field: str) -> None:
    result = {"ok": False, "reason": reason, "message": "it is bad. Correct it."}
    assert (
        refusal_message(result, CONTEXT)
        == f"{reason}: {field}: it is bad. Correct it; then create a new rollout"
    )


@pytest.mark.parametrize("reason", ["HubRepositoryPublic", "ModelUnauthorized", "InternalError", ""])
def test_a_refusal_about_no_field_names_none(reason: str) -> None:
    result = {"ok": False, "reason": reason, "message": "it is bad: make it good"}
    assert refusal_message(result, CONTEXT) == f"{reason}: it is bad: make it good; then create a new rollout"
