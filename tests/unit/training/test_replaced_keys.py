"""A refusal of the dataset program is about the keys that it was started with; a replaced one is tried."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from tests.unit.training.objects import NAMESPACE, RUN, secret_json
from tests.unit.training.services import Programs
from tests.unit.training.simulation import Faults, PaidJobSimulation
from tests.unit.training.states import KNOWN_FACTS, plan_for, step_names, written_status

from modelops.domain.facts import Outage
from modelops.ports import Json, ProgramState

WRONG_KEY: Json = {"ok": False, "reason": "LangSmithUnauthorized", "message": "LangSmith answered 401"}


class KeyedPrograms(Programs):
    """The dataset program as LangSmith sees it: it refuses every token but `right`.

    `edit` is what a person does while the program runs.
    """

    def __init__(self, simulation: PaidJobSimulation, *, edit: str) -> None:
        super().__init__(simulation.programs.result)
        self.good, self.simulation, self.edit = self.result, simulation, edit
        self.tokens: list[str] = []

    async def start(self, name: str, module: str, program_input: Json, environment: Any, **more: Any) -> None:
        self.tokens.append(more["secrets"]["HF_TOKEN"].value)
        self.result = self.good if self.tokens[-1] == "right" else WRONG_KEY
        changed = secret_json()
        changed["data"]["token"] = base64.b64encode(self.edit.encode()).decode()
        self.simulation.server.seed(changed)
        await super().start(name, module, program_input, environment, **more)


@pytest.mark.parametrize(("edit", "refused"), [("right", False), ("also-wrong", True)])
async def test_a_key_that_is_replaced_while_the_program_runs_is_tried(edit: str, refused: bool) -> None:
    simulation = PaidJobSimulation(Faults(takeovers=0, lost_answers=0), prepared=False, stepped=False)
    programs = simulation.programs = KeyedPrograms(simulation, edit=edit)
    simulation.lead(stale=False)
    for _ in range(4):
        await simulation.reconciler.reconcile(NAMESPACE, RUN)
    assert len(programs.tokens) == 2
    assert programs.tokens[1] == edit
    assert (simulation.status()["reason"] == "DatasetRefused") is refused


def test_a_refusal_waits_while_it_is_not_known_whether_it_is_about_the_keys_of_now() -> None:
    facts = {**KNOWN_FACTS, "dataset": ProgramState(result=WRONG_KEY)}
    down = Outage(service="Hugging Face", message="Secret tokens does not exist")
    plan = plan_for(**{**facts, "keys_replaced": down})
    assert (plan.steps, plan.requeue_after) == ((), 15)
    assert written_status(plan_for(**facts)).reason == "DatasetRefused"
    again = plan_for(**{**facts, "keys_replaced": True})
    assert step_names(again) == ["status", "stop_dataset", "start_dataset"]
