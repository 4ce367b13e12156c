"""The prompt contract of a run: fixed together with its data."""

from __future__ import annotations

import json

from tests.unit.training.objects import prepared_status
from tests.unit.training.states import (
    DATASET_RESULT,
    KNOWN_FACTS,
    agent_model,
    plan_for,
    ready_message,
    run,
    state,
    step_names,
    written_record,
    written_status,
)

from modelops.api.v1alpha1.agentmodel import AgentModel
from modelops.datasets.request import Request
from modelops.domain.prompt import digest as prompt_digest
from modelops.domain.training.actions import StartDataset
from modelops.domain.training.preparation.dataset_input import dataset_input
from modelops.ports import ProgramState

AGENT_WITH_EDITED_PROMPT = agent_model(
    prompt={"user": "edited: {{ inputs.task }}", "assistant": "{{ outputs.docstring }}"}
)


def dataset_rendered_by(contract: AgentModel) -> ProgramState:
    assert contract.spec.prompt is not None
    return ProgramState(result={**DATASET_RESULT, "prompt_digest": prompt_digest(contract.spec.prompt)})


def test_the_prompt_contract_is_fixed_together_with_the_data() -> None:
    status = written_status(plan_for(**{**KNOWN_FACTS, "dataset": dataset_rendered_by(agent_model())}))
    assert status.dataset.prompt_digest == prompt_digest(agent_model().spec.prompt)


def test_the_versions_inputs_have_the_contract_of_its_data() -> None:
    prepared = prepared_status()
    prepared["dataset"]["promptDigest"] = prompt_digest(agent_model().spec.prompt)
    plan = plan_for(run(prepared), agent_model=AGENT_WITH_EDITED_PROMPT)
    inputs = written_record(plan).allocated["v1.1.0-rc.1"]
    assert inputs["prompt_digest"] == prompt_digest(agent_model().spec.prompt)


def test_a_status_without_a_contract_counts_as_rendered_by_the_current_one() -> None:
    plan = plan_for(run(prepared_status()))
    inputs = written_record(plan).allocated["v1.1.0-rc.1"]
    assert inputs["prompt_digest"] == prompt_digest(agent_model().spec.prompt)


def test_data_of_an_edited_contract_are_prepared_again() -> None:
    plan = plan_for(
        **{
            **KNOWN_FACTS,
            "dataset": dataset_rendered_by(agent_model()),
            "agent_model": AGENT_WITH_EDITED_PROMPT,
        }
    )
    assert step_names(plan) == ["status", "stop_dataset", "start_dataset"]
    assert "spec.prompt" in ready_message(plan)
    given = next(s for s in plan.steps if isinstance(s, StartDataset)).input
    assert given["prompt"] == AGENT_WITH_EDITED_PROMPT.spec.prompt.wire()
    assert written_status(plan).dataset is None


def test_the_program_and_the_operator_digest_the_contract_alike() -> None:
    given = json.loads(json.dumps(dataset_input(state(agent_model=AGENT_WITH_EDITED_PROMPT))))
    assert prompt_digest(Request.of(given).prompt) == prompt_digest(AGENT_WITH_EDITED_PROMPT.spec.prompt)
