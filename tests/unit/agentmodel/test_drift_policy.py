"""`spec.driftPolicy`: protocol "Drift" 1 to 5."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.agentmodel.test_agentmodel_decide import AgentModelDriver, agent_driver_at, with_deletion
from tests.unit.rollout import objects
from tests.unit.rollout.rollout_driver import RolloutDriver, at_weight, has_ended, parsed, rollout_state
from tests.unit.rollout.test_undo import promoted, undo_after
from tests.unit.rollout.test_watch import agent_of, reports, watched

from modelops.api.v1alpha1.agentmodel import AgentModel
from modelops.domain.agentsfile import StableTarget, with_stable
from modelops.domain.plan import WriteFile, WriteRecord

BASELINE = StableTarget(
    model=objects.BASELINE["model"],
    endpoint=objects.BASELINE["endpoint"],
    version="v1.0.0",
    endpoint_url=objects.BASELINE["endpointUrl"],
    api_key_env=objects.BASELINE["apiKeyEnv"],
)


def agent_with(policy: str, rollout: RolloutDriver) -> AgentModelDriver:
    agent = agent_driver_at(rollout)
    return with_policy(agent, policy)


def with_policy(agent: AgentModelDriver, policy: str, **spec: Any) -> AgentModelDriver:
    found = parsed(AgentModel, objects.agent_model(driftPolicy=policy, **spec))
    status = agent.state.agent_model.status
    agent.state = replace(agent.state, agent_model=found.model_copy(update={"status": status}))
    return agent


def edited(agent: AgentModelDriver, stable: StableTarget = BASELINE) -> AgentModelDriver:
    """GitOps or a person writes these keys."""
    assert agent.state.file is not None
    agent.edit_file(with_stable(agent.state.file.text, objects.AGENT, stable))
    return agent


def named(agent: AgentModelDriver) -> str | None:
    assert agent.state.file is not None
    assert agent.state.file.entry.stable is not None
    return agent.state.file.entry.stable.version


def assert_held(agent: AgentModelDriver, *words: str, reason: str = "StableDrift") -> None:
    before = (agent.record.stable, agent.state.file)
    agent.run_until_idle()
    assert (agent.record.stable, agent.state.file) == before
    assert agent.condition("InSync")[:2] == ("False", reason)
    assert agent.condition("Ready")[:2] == ("False", reason)
    for word in words:
        assert word in agent.condition("InSync")[2]


def test_hold_is_the_default_and_changes_neither_file_nor_record() -> None:
    assert_held(edited(agent_driver_at(promoted())), "names anthropic/claude-3.5-sonnet (v1.0.0) as stable")


def test_adopt_takes_over_a_version_that_served_and_marks_the_other_as_left() -> None:
    agent = edited(agent_with("Adopt", promoted())).run_until_idle()
    record = agent.record
    assert (record.stable.version, record.previous and record.previous.version) == ("v1.0.0", "v1.1.0")
    assert list(record.undone) == ["v1.1.0"]
    assert agent.announced[-2:] != []
    assert "DriftAdopted" in agent.announced
    assert agent.condition("InSync")[0] == "True"
    assert [e.role for e in record.endpoints] == ["previous"]
    assert "file" not in agent.written


@pytest.mark.parametrize(
    ("stable", "word"),
    [
        (StableTarget(model="org/by-hand", version="v7.0.0"), "org/by-hand (v7.0.0) never served docs"),
        (replace(BASELINE, version="v1.2.0"), "(v1.2.0) never served docs"),
    ],
)
def test_adopt_holds_what_never_served(stable: StableTarget, word: str) -> None:
    assert_held(edited(agent_with("Adopt", promoted()), stable), word)


def test_adopt_never_takes_over_a_version_that_an_undo_left() -> None:
    rollout = promoted()
    assert rollout.state.record is not None
    left = rollout.state.record.stable
    agent = agent_with("Adopt", undo_after(rollout).run_until(has_ended))
    agent.run_until_idle()
    applied = StableTarget(
        model=left.model,
        endpoint=left.endpoint,
        version=left.version,
        endpoint_url=left.endpoint_url,
        api_key_env=left.api_key_env,
    )
    assert_held(
        edited(agent, applied),
        "an undo left v1.1.0 at",
        "does not take it over",
        reason="UndoneVersionServes",
    )


def test_adopt_holds_a_version_whose_endpoint_was_stopped() -> None:
    agent = agent_with("Adopt", promoted())
    served = agent.record.served
    gone = served["v1.0.0"].model_copy(update={"endpoint_name": "mo-gone"})
    agent.state = replace(agent.state, record=agent.record.with_(served={**served, "v1.0.0": gone}))
    assert_held(edited(agent), "`modelops rollback --to v1.0.0` starts it first")


def test_adopt_holds_a_model_that_served_as_two_versions_where_the_file_names_none() -> None:
    agent = agent_with("Adopt", promoted())
    served = agent.record.served
    twin = served["v1.0.0"].model_copy(update={"version": "v0.9.0"})
    agent.state = replace(agent.state, record=agent.record.with_(served={**served, "v0.9.0": twin}))
    assert agent.state.file is not None
    edited(agent)
    text = "\n".join(line for line in agent.state.file.text.splitlines() if "version: v1.0.0" not in line)
    agent.edit_file(text + "\n")
    assert_held(agent, "the file names no version")


def test_restore_puts_the_keys_back_once_and_then_holds() -> None:
    agent = edited(agent_with("Restore", promoted()))
    plan = agent.step()
    assert [type(step) for step in plan.steps[:2]] == [WriteRecord, WriteFile]
    assert named(agent) == "v1.1.0"
    assert agent.state.file is not None
    assert agent.state.file.entry.routing is not None
    assert agent.state.file.entry.routing.weight == 0
    agent.run_until_idle()
    assert agent.condition("InSync")[0] == "True"
    assert "DriftRestored" in agent.announced
    assert_held(edited(agent), "has put the keys back once")


def test_restore_that_was_counted_and_not_written_is_not_done_later() -> None:
    """A crash, or a conflict of the file: a person wrote meanwhile."""
    agent = edited(agent_with("Restore", promoted()))
    plan = agent.step()
    counted = next(step.record for step in plan.steps if isinstance(step, WriteRecord))
    again = edited(agent_with("Restore", promoted()))
    again.state = replace(again.state, record=counted)
    assert_held(again, "has put the keys back once")


def test_restore_acts_again_after_the_next_commit() -> None:
    rollout = promoted()
    agent = edited(agent_with("Restore", rollout))
    agent.run_until_idle()
    rollout.state = replace(rollout.state, record=agent.record, file=agent.state.file)
    back = agent_with("Restore", undo_after(rollout).run_until(has_ended)).run_until_idle()
    left = agent.record.stable
    edited(back, StableTarget(model=left.model, version=left.version, endpoint_url=left.endpoint_url))
    back.run_until_idle()
    assert named(back) == "v1.0.0"
    assert back.condition("InSync")[0] == "True"


def test_restore_does_not_overwrite_the_file_before_anything_was_promoted() -> None:
    agent = with_policy(AgentModelDriver(agent_driver_at(promoted()).state), "Restore")
    agent.state = replace(agent.state, record=None, rollouts={})
    agent.state = replace(
        agent.state,
        agent_model=agent.state.agent_model.model_copy(
            update={"status": type(agent.state.agent_model.status)()}
        ),
    )
    agent.run_until_idle()
    assert agent.record.stable.version == "v1.0.0"
    assert_held(agent, "does not put the keys back before the first promotion")


@pytest.mark.parametrize("policy", ["Adopt", "Restore"])
def test_an_active_rollout_retreats_first(policy: str) -> None:
    rollout = RolloutDriver(rollout_state()).run_until(at_weight(20))
    agent = agent_with(policy, rollout)
    edited(agent, replace(BASELINE, model="org/by-hand"))
    before = agent.record
    agent.run_until_idle()
    assert agent.record.stable == before.stable
    assert agent.record.active == before.active
    assert "file" not in agent.written


@pytest.mark.parametrize("policy", ["Adopt", "Restore"])
def test_the_watch_ends_first(policy: str) -> None:
    agent = with_policy(agent_of(watched(), reports(0, 0)), policy)
    edited(agent).step()
    assert agent.record.watch is None
    agent.run_until_idle()
    assert agent.condition("InSync")[0] == "True"
    assert (agent.record.stable.version, named(agent)) == {
        "Adopt": ("v1.0.0", "v1.0.0"),
        "Restore": ("v1.1.0", "v1.1.0"),
    }[policy]


@pytest.mark.parametrize("policy", ["Adopt", "Restore"])
def test_it_is_decided_on_a_live_read(policy: str) -> None:
    agent = edited(agent_with(policy, promoted()))
    seen: list[str] = []
    agent._fact = lambda name: seen.append(name) or {name: True}  # type: ignore[method-assign,func-returns-value]
    agent.step()
    assert seen == ["live"]


def test_nothing_is_put_back_while_the_agent_model_is_being_deleted() -> None:
    agent = agent_with("Restore", promoted())
    deleted = parsed(AgentModel, with_deletion(objects.agent_model(driftPolicy="Restore")))
    agent.state = replace(agent.state, agent_model=deleted)
    edited(agent).run_until_idle()
    assert named(agent) == "v1.0.0"
