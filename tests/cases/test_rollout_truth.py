"""What a Rollout says is so: the service that it waits for, and after its end what it was judged by."""

from __future__ import annotations

import pytest
from tests.unit.rollout.rollout_driver import RolloutDriver, rollout_state

from modelops.ports import ProgramState


@pytest.mark.parametrize(
    ("reason", "shown"),
    [
        ("LangSmithUnavailable", "LangSmithUnavailable"),
        ("HubUnavailable", "HubUnavailable"),
        ("BaselineUnavailable", "BaselineUnavailable"),
    ],
)
@pytest.mark.parametrize("program", ["check", "evaluation"])
def test_a_service_that_does_not_answer_is_named_by_the_reason(program: str, reason: str, shown: str) -> None:
    failed = {"ok": False, "reason": reason, "message": "it answered 503", "transient": True}
    driver = RolloutDriver(rollout_state(), facts={program: ProgramState(result=failed)})
    driver.run_until(lambda state: state.rollout.status.reason == shown)
    assert driver.state.rollout.status.conditions[0].message == "it answered 503"
