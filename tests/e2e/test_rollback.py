"""However a canary ends early, all agents return to stable, and no later write raises the canary's weight again."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
import sys

import pytest
from tests.e2e import canary as canaries
from tests.e2e import manifests
from tests.e2e.api import condition, status
from tests.e2e.canary import (
    NAME,
    assert_ends_on_stable,
    canary_weight_written,
    is_abort_write,
    is_file_write,
    is_promotion,
    start_canary,
)
from tests.e2e.environment import Environment
from tests.e2e.recording_proxy import Moment, WriteFault

from modelops.domain import agentsfile
from modelops.ports import Json

ABORT = {"spec": {"abort": True}}


async def test_a_paused_leader_cannot_undo_a_rollback_when_it_continues(
    env: Environment,
) -> None:
    lease = {"MODELOPS_LEASE_SECONDS": "3"}
    env.variables |= lease

    async def stop() -> None:
        env.signal_operator(signal.SIGSTOP)

    env.recorder.fault = WriteFault(
        Moment.HELD, lambda write: canary_weight_written(write) == 50, action=stop
    )
    canary = await start_canary(env, wait=False)
    await env.wait_until(env.recorder.write_held.is_set, expected="stopped before its write of the weight")
    await env.start_standby()
    await env.api.patch("Rollout", NAME, ABORT)
    await assert_ends_on_stable(env, canary, "AbortedByUser")
    before, _ = await env.read_agents_file()
    held_write = env.recorder.faulted_write
    env.recorder.release_write()
    env.signal_operator(signal.SIGCONT)
    assert held_write is not None
    await env.wait_until(lambda: env.recorder.writes[held_write.number - 1].status, expected="answered")
    assert env.recorder.writes[held_write.number - 1].status == 409
    assert await env.wait_for_exit() == 3
    assert (await env.read_agents_file())[0] == before
    await canaries.assert_on_stable(env, canary)


@pytest.mark.parametrize("moment", [Moment.BEFORE, Moment.ANSWER_LOST, Moment.ANSWERED])
async def test_a_crash_between_routing_and_status_never_raises_the_canary_again(
    env: Environment, moment: Moment
) -> None:
    canary = await start_canary(env)
    env.recorder.fault = WriteFault(moment, is_abort_write, action=env.kill_operator)
    await env.api.patch("Rollout", NAME, ABORT)
    await env.wait_until(env.recorder.fault_done.is_set, expected="killed at the write of the state Aborted")
    so_far = len(env.recorder.writes)
    await env.start_operator()
    await assert_ends_on_stable(env, canary, "AbortedByUser")
    await env.wait_until_quiet()
    assert [write.summary for write in env.recorder.writes[so_far:] if canary_weight_written(write)] == []


async def test_a_weight_increase_whose_answer_was_lost_is_undone_by_an_abort(env: Environment) -> None:
    env.recorder.fault = WriteFault(
        Moment.ANSWER_LOST, lambda write: canary_weight_written(write) == 50, action=env.kill_operator
    )
    canary = await start_canary(env, wait=False)
    await env.wait_until(env.recorder.fault_done.is_set, expected="killed at the write of the weight")
    await env.wait_until(lambda: canary.agents.weights() == {50}, expected="at 50 percent")
    await env.api.patch("Rollout", NAME, ABORT)
    so_far = len(env.recorder.writes)
    await env.start_operator()
    await assert_ends_on_stable(env, canary, "AbortedByUser")
    assert [write.summary for write in env.recorder.writes[so_far:] if canary_weight_written(write)] == []


def remove_routing(now: str, _before: str) -> str:
    return agentsfile.with_routing(now, "docs", None)


def restore_old_copy(_now: str, before: str) -> str:
    return before


def raise_weight(now: str, _before: str) -> str:
    return re.sub(r"weight: 50", "weight: 100", now)


@pytest.mark.parametrize("operator_down", [True, False], ids=["operator-down", "operator-up"])
@pytest.mark.parametrize("edit", [remove_routing, restore_old_copy, raise_weight])
async def test_routing_changed_by_hand_ends_on_stable(
    env: Environment, edit: object, operator_down: bool
) -> None:
    before, _ = await env.read_agents_file()
    canary = await start_canary(env)
    now, _ = await env.read_agents_file()
    if edit is restore_old_copy:
        first_write = next(w for w in env.recorder.writes if is_file_write(w))
        before = canaries.agents_yaml_in_patch(first_write.body)
    if operator_down:
        await env.kill_operator()
    so_far = len(env.recorder.writes)
    await env.write_agents_file(edit(now, before))  # type: ignore[operator]
    if operator_down:
        await env.start_operator()
    await assert_ends_on_stable(env, canary, "RoutingMismatch")
    assert [write.summary for write in env.recorder.writes[so_far:] if canary_weight_written(write)] == []


async def test_deleting_a_rollout_in_its_canary_restores_stable(env: Environment) -> None:
    canary = await start_canary(env)
    await env.api.delete("Rollout", NAME)
    await env.api.wait_until_deleted("Rollout", NAME)
    await canaries.assert_on_stable(env, canary)


async def test_a_rollout_deleted_without_its_finalizer_restores_stable(env: Environment) -> None:
    canary = await start_canary(env)
    await env.kill_operator()
    await env.api.delete("Rollout", NAME)
    await env.api.patch("Rollout", NAME, {"metadata": {"finalizers": None}})
    await env.api.wait_until_deleted("Rollout", NAME)
    await env.start_operator()
    await env.wait_until(lambda: canary.agents.weights() == {0}, expected="back on stable")
    await env.api.wait_until("AgentModel", "docs", lambda o: not status(o).get("activeRollout"))
    await canaries.assert_on_stable(env, canary)


async def test_rollback_direct_needs_no_operator(env: Environment) -> None:
    canary = await start_canary(env)
    await env.kill_operator()
    command = [sys.executable, "-m", "modelops.cli", "rollback", "docs", "--direct"]
    command += ["-n", env.api.namespace, "--kubeconfig", str(env.cluster.kubeconfig)]
    completed = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True)
    assert completed.returncode == 0, completed.stderr
    assert "docs is on stable" in completed.stdout
    await env.wait_until(lambda: canary.agents.weights() == {0}, expected="back on stable")
    assert canary.agents.models() == {manifests.BASELINE}
    await env.start_operator()
    await assert_ends_on_stable(env, canary, "RoutingMismatch")


async def test_rollback_aborts_the_active_rollout(env: Environment) -> None:
    canary = await start_canary(env)
    await env.api.wait_until("AgentModel", "docs", lambda o: status(o).get("activeRollout"))
    command = [sys.executable, "-m", "modelops.cli", "rollback", "docs"]
    command += ["-n", env.api.namespace, "--kubeconfig", str(env.cluster.kubeconfig)]
    completed = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True)
    assert completed.returncode == 0, completed.stderr
    await assert_ends_on_stable(env, canary, "AbortedByUser")


async def test_an_abort_during_the_promotion_ends_either_promoted_or_aborted(env: Environment) -> None:
    strategy = {"canary": {"steps": [{"setWeight": 50}]}}

    async def do_nothing() -> None:
        return None

    env.recorder.fault = WriteFault(Moment.HELD, is_promotion, action=do_nothing)
    canary = await start_canary(env, wait=False, strategy=strategy)
    await env.wait_until(env.recorder.write_held.is_set, expected="promoting")
    await env.api.patch("Rollout", NAME, ABORT)
    env.recorder.release_write()
    rollout = await env.api.wait_until_finished("Rollout", NAME)
    record = await env.read_record()
    assert (await env.read_stable_target()).model == record.stable.model
    if status(rollout)["reason"] == "AbortTooLate":
        assert (record.stable.model, record.stable.version) == (canary.repo, "v1.1.0")
    else:
        await assert_ends_on_stable(env, canary, "AbortedByUser")


async def test_a_breach_aborts_the_canary(env: Environment) -> None:
    canary = await start_canary(env, rate=40)
    record = await env.read_record()
    env.cloud.sandbox.break_endpoint(record.endpoints[0].name, error_rate=1.0)
    rollout = await assert_ends_on_stable(env, canary, "ErrorRateBreached")
    await env.api.wait_until(
        "Rollout", NAME, lambda o: (status(o).get("rollback") or {}).get("effectMilliseconds") is not None
    )
    assert condition(rollout, "Succeeded") == "False"


METRICS = [
    {"name": "errors", "prometheus": {"template": "errorRatio"}, "successCondition": "value < 0.5"},
    {"name": "quality", "langsmith": {"measure": "errorRate"}, "successCondition": "value < 0.5"},
]


async def test_prometheus_and_langsmith_down_during_a_rollback(env: Environment) -> None:
    """Their metrics hold the canary where it is; going back needs neither."""
    env.variables |= {"MODELOPS_PROMETHEUS_URL": "http://127.0.0.1:1"}
    canary = await start_canary(
        env, analysis={"minRequests": 1, "latencyFloorMilliseconds": 60000, "metrics": METRICS}
    )
    env.cloud.sandbox.fault("langsmith", "drop_before", times=None)
    await env.api.patch("AgentModel", "docs", {"spec": {"langsmith": {"project": "docs-prod"}}})

    def words(rollout: Json) -> str:
        return json.dumps((status(rollout).get("analysis") or {}).get("metrics") or [])

    held = await env.api.wait_until(
        "Rollout",
        NAME,
        lambda o: words(o).count('"phase": "Error"') == 2,
        expected="without both",
        seconds=90,
    )
    assert "Prometheus at http://127.0.0.1:1 cannot be reached" in words(held)
    assert "LangSmith" in words(held)
    assert status(held)["weight"] == 50
    await env.api.patch("Rollout", NAME, ABORT)
    await assert_ends_on_stable(env, canary, "AbortedByUser")


UNDO = manifests.rollout("undo", {"version": "v1.0.0"}, strategy={"immediate": {}})


async def test_an_undo_takes_no_turn_and_ends_the_active_canary(env: Environment) -> None:
    canary = await start_canary(env)
    await env.api.create(UNDO)
    undone = await env.api.wait_until_finished("Rollout", "undo")
    assert (status(undone)["phase"], status(undone)["reason"]) == ("Succeeded", "Promoted")
    await assert_ends_on_stable(env, canary, "LeftByUndo")
    _, entry = await env.read_agents_file()
    assert entry.routing is not None
    assert entry.routing.rollout.undo == "v1.0.0"


@pytest.mark.parametrize("moment", [Moment.BEFORE, Moment.ANSWER_LOST, Moment.ANSWERED])
async def test_an_undo_is_carried_out_by_the_next_leader_after_a_crash_at_its_write(
    env: Environment, moment: Moment
) -> None:
    canary = await start_canary(env)
    env.recorder.fault = WriteFault(moment, is_abort_write, action=env.kill_operator)
    await env.api.create(UNDO)
    await env.wait_until(env.recorder.fault_done.is_set, expected="killed at the write of the mark")
    so_far = len(env.recorder.writes)
    # Its acceptance is on record, so nobody needs the object any more.
    await env.api.delete("Rollout", "undo")
    await env.start_operator()
    await assert_ends_on_stable(env, canary, "LeftByUndo")
    await env.wait_until_quiet()
    assert [write.summary for write in env.recorder.writes[so_far:] if canary_weight_written(write)] == []


async def test_a_direct_undo_to_a_version_is_taken_over_by_the_operator(env: Environment) -> None:
    canary = await start_canary(env)
    await env.kill_operator()
    command = [sys.executable, "-m", "modelops.cli", "rollback", "docs", "--direct", "--to", "v1.0.0"]
    command += ["-n", env.api.namespace, "--kubeconfig", str(env.cluster.kubeconfig)]
    completed = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True)
    assert completed.returncode == 0, completed.stderr
    await env.wait_until(lambda: canary.agents.weights() == {0}, expected="back on stable")
    await env.start_operator()
    await assert_ends_on_stable(env, canary, "LeftByUndo")
    agent = await env.api.wait_until("AgentModel", "docs", lambda o: status(o).get("lastUndo"))
    assert status(agent)["lastUndo"]["outcome"] == "Promoted"
