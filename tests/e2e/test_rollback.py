"""However a canary ends early, and whoever interferes: everybody is back on stable, and nothing raises it again."""

from __future__ import annotations

import asyncio
import re
import signal
import subprocess
import sys

import pytest
from tests.e2e import canary as canaries
from tests.e2e import manifests
from tests.e2e.api import condition, status
from tests.e2e.canary import NAME, begun, ends_on_stable, is_file_write, is_promotion, is_tombstone, raises
from tests.e2e.recording_proxy import Moment, Strike
from tests.e2e.stage import Stage

from modelops.domain import agentsfile

ABORT = {"spec": {"abort": True}}


async def test_a_leader_stopped_after_deciding_changes_nothing_when_it_goes_on_after_a_rollback(
    here: Stage,
) -> None:
    lease = {"MODELOPS_LEASE_SECONDS": "3"}
    here.environment |= lease

    async def stop() -> None:
        here.signal(signal.SIGSTOP)

    here.recorder.strike = Strike(Moment.HELD, lambda write: raises(write) == 50, act=stop)
    canary = await begun(here, wait=False)
    await here.until(here.recorder.held.is_set, say="stopped with its raise decided")
    await here.start_another()
    await here.api.patch("Rollout", NAME, ABORT)
    await ends_on_stable(here, canary, "AbortedByUser")
    before, _ = await here.file()
    held = here.recorder.struck
    here.recorder.release()
    here.signal(signal.SIGCONT)
    assert held is not None
    await here.until(lambda: here.recorder.writes[held.number - 1].status, say="answered")
    assert here.recorder.writes[held.number - 1].status == 409
    assert await here.ended() == 3
    assert (await here.file())[0] == before
    await canaries.is_on_stable(here, canary)


@pytest.mark.parametrize("moment", [Moment.BEFORE, Moment.LOST, Moment.ANSWERED])
async def test_a_crash_between_routing_and_status_never_raises_the_canary_again(
    here: Stage, moment: Moment
) -> None:
    canary = await begun(here)
    here.recorder.strike = Strike(moment, is_tombstone, act=here.kill)
    await here.api.patch("Rollout", NAME, ABORT)
    await here.until(here.recorder.acted.is_set, say="killed at the tombstone")
    so_far = len(here.recorder.writes)
    await here.start()
    await ends_on_stable(here, canary, "AbortedByUser")
    await here.quiet()
    assert [write.line for write in here.recorder.writes[so_far:] if raises(write)] == []


async def test_a_raise_whose_answer_was_lost_before_an_abort_is_taken_back(here: Stage) -> None:
    here.recorder.strike = Strike(Moment.LOST, lambda write: raises(write) == 50, act=here.kill)
    canary = await begun(here, wait=False)
    await here.until(here.recorder.acted.is_set, say="killed at the raise")
    await here.until(lambda: canary.agents.weights() == {50}, say="raised")
    await here.api.patch("Rollout", NAME, ABORT)
    so_far = len(here.recorder.writes)
    await here.start()
    await ends_on_stable(here, canary, "AbortedByUser")
    assert [write.line for write in here.recorder.writes[so_far:] if raises(write)] == []


def without_routing(now: str, _before: str) -> str:
    return agentsfile.with_routing(now, "docs", None)


def old_copy(_now: str, before: str) -> str:
    return before


def raised_by_hand(now: str, _before: str) -> str:
    return re.sub(r"weight: 50", "weight: 100", now)


@pytest.mark.parametrize("down", [True, False], ids=["operator-down", "operator-up"])
@pytest.mark.parametrize("edit", [without_routing, old_copy, raised_by_hand])
async def test_routing_changed_by_hand_ends_on_stable(here: Stage, edit: object, down: bool) -> None:
    before, _ = await here.file()
    canary = await begun(here)
    now, _ = await here.file()
    if edit is old_copy:
        armed = next(w for w in here.recorder.writes if is_file_write(w))
        before = canaries.text_of(armed.body)
    if down:
        await here.kill()
    so_far = len(here.recorder.writes)
    await here.write_file(edit(now, before))  # type: ignore[operator]
    if down:
        await here.start()
    await ends_on_stable(here, canary, "RoutingMismatch")
    assert [write.line for write in here.recorder.writes[so_far:] if raises(write)] == []


async def test_deleting_a_rollout_in_its_canary_restores_stable(here: Stage) -> None:
    canary = await begun(here)
    await here.api.delete("Rollout", NAME)
    await here.api.gone("Rollout", NAME)
    await canaries.is_on_stable(here, canary)


async def test_a_rollout_deleted_behind_the_operators_back_restores_stable(here: Stage) -> None:
    canary = await begun(here)
    await here.kill()
    await here.api.delete("Rollout", NAME)
    await here.api.patch("Rollout", NAME, {"metadata": {"finalizers": None}})
    await here.api.gone("Rollout", NAME)
    await here.start()
    await here.until(lambda: canary.agents.weights() == {0}, say="back on stable")
    await here.api.until("AgentModel", "docs", lambda o: not status(o).get("activeRollout"))
    await canaries.is_on_stable(here, canary)


async def test_rollback_direct_needs_no_operator(here: Stage) -> None:
    canary = await begun(here)
    await here.kill()
    command = [sys.executable, "-m", "modelops.cli", "rollback", "docs", "--direct"]
    command += ["-n", here.api.namespace, "--kubeconfig", str(here.cluster.kubeconfig)]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "docs is on stable" in done.stdout
    await here.until(lambda: canary.agents.weights() == {0}, say="back on stable")
    assert canary.agents.models() == {manifests.BASELINE}
    await here.start()
    await ends_on_stable(here, canary, "RoutingMismatch")


async def test_rollback_aborts_the_active_rollout(here: Stage) -> None:
    canary = await begun(here)
    await here.api.until("AgentModel", "docs", lambda o: status(o).get("activeRollout"))
    command = [sys.executable, "-m", "modelops.cli", "rollback", "docs"]
    command += ["-n", here.api.namespace, "--kubeconfig", str(here.cluster.kubeconfig)]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    await ends_on_stable(here, canary, "AbortedByUser")


async def test_an_abort_that_meets_the_promotion_ends_on_one_side_only(here: Stage) -> None:
    strategy = {"canary": {"steps": [{"setWeight": 50}]}}

    async def nothing() -> None:
        return None

    here.recorder.strike = Strike(Moment.HELD, is_promotion, act=nothing)
    canary = await begun(here, wait=False, strategy=strategy)
    await here.until(here.recorder.held.is_set, say="promoting")
    await here.api.patch("Rollout", NAME, ABORT)
    here.recorder.release()
    rollout = await here.api.complete("Rollout", NAME)
    record = await here.record()
    assert (await here.stable()).model == record.stable.model
    if status(rollout)["reason"] == "AbortTooLate":
        assert (record.stable.model, record.stable.version) == (canary.repo, "v1.1.0")
    else:
        await ends_on_stable(here, canary, "AbortedByUser")


async def test_a_breach_aborts_the_canary(here: Stage) -> None:
    canary = await begun(here, rate=40)
    record = await here.record()
    here.cloud.sandbox.break_endpoint(record.endpoints[0].name, error_rate=1.0)
    rollout = await ends_on_stable(here, canary, "ErrorRateBreached")
    await here.api.until(
        "Rollout", NAME, lambda o: (status(o).get("rollback") or {}).get("effectMilliseconds") is not None
    )
    assert condition(rollout, "Succeeded") == "False"
