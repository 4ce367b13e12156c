"""The dataset program accepts the input that the operator gives it."""

from tests.unit.training.states import agent_model, run, state

from modelops.datasets.request import Request
from modelops.domain.training.preparation.dataset_input import dataset_input


def test_the_input_has_every_choice_of_run_and_agent() -> None:
    dataset = {
        "langsmith": "ls://own",
        "includeFailures": True,
        "feedbackKey": "helpful",
        "groupKey": "metadata.repo",
        "source": "model:org/teacher",
        "allowSensitive": ["email"],
        "leaveOutSensitive": ["phone"],
    }
    of = state(
        run(dataset=dataset, config={"maxSeqLength": 512}), agent_model=agent_model(allowedLicences=["mit"])
    )
    request = Request.of(dataset_input(of))
    assert (request.langsmith.dataset, request.langsmith.field) == ("ls://own", "spec.dataset.langsmith")
    assert (request.include_failures, request.feedback_key, request.group_key) == (
        True,
        "helpful",
        "metadata.repo",
    )
    assert (request.source, request.allowed_licences, request.max_seq_length) == (
        "model:org/teacher",
        ("mit",),
        512,
    )
    assert [kind.value for kind in request.allow_sensitive] == ["email"]
    assert [kind.value for kind in request.leave_out_sensitive] == ["phone"]
    assert request.base_model is not None
    assert request.base_model.repo == of.run.spec.base_model


def test_the_agents_dataset_is_named_by_the_agents_field() -> None:
    request = Request.of(dataset_input(state()))
    assert request.langsmith.field == "the AgentModel's spec.langsmith.trainingDataset"
