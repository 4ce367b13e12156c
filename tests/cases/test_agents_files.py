"""Files of agents that once failed late, or that only one of the two readers could read."""

import pytest
from tests.unit.rollout.objects import FILE_TEXT
from tests.unit.rollout.rollout_driver import RolloutDriver, a_file, rollout_state

from modelops.domain.agentsfile import RoutingBlock, edit, parse
from modelops.router.agents_yaml import read_table

SHARED = FILE_TEXT.replace("model: anthropic", "model: &main anthropic") + "  other:\n    model: *main\n"
TAGGED = FILE_TEXT + "  other:\n    model: org/other\n    key: !ENV KEY\n"


def test_model_that_another_agent_shares_by_an_alias_is_refused_before_the_agent_is_locked() -> None:
    driver = RolloutDriver(rollout_state(file=a_file(SHARED)))
    driver.step()
    assert (driver.phase, driver.reason) == ("Pending", "ConfigNotUsable")
    assert "without anchors" in driver.message
    assert driver.performed == []
    assert driver.state.record is not None
    assert driver.state.record.active is None


def test_tag_in_another_agents_entry_leaves_this_agent_readable_for_the_router_after_the_operators_edit() -> (
    None
):
    written = edit(TAGGED, "docs", routing=RoutingBlock.aborted(uid="uid", step=0, generation=9))
    assert parse(written, "docs").routing is not None
    table = read_table(written, "docs")
    assert (table.stable.model, table.generation) == ("anthropic/claude-3.5-sonnet", 9)


@pytest.mark.parametrize("value", ["!ENV KEY", "!secret x"])
def test_tagged_text_is_the_same_text_for_both_readers(value: str) -> None:
    text = FILE_TEXT.replace("api_key_env: OPENROUTER_API_KEY", f"api_key_env: {value}")
    stable = parse(text, "docs").stable
    assert stable is not None
    assert stable.api_key_env == read_table(text, "docs").stable.api_key_env == value.split()[1]
