"""A run that costs more than the threshold starts no job until a person has approved its estimate."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import Any

from tests.cluster.policies import bind, installed_policies
from tests.conftest import Kubectl
from tests.e2e import manifests
from tests.e2e.api import condition, ready_message, status, status_summary
from tests.e2e.environment import Environment
from tests.patience import patient

from modelops.sandbox.hub.seeds import BASE_MODEL

LOW_THRESHOLD = {"monthlyUSD": "100", "approvalAboveUSD": "0.0001"}
CLI = (sys.executable, "-m", "modelops.cli", "approve")


async def approve(env: Environment, user: str, name: str = "dear") -> subprocess.CompletedProcess[str]:
    kubeconfig = str(env.cluster.kubeconfig_for(user))
    command = [*CLI, name, "-n", env.api.namespace, "--yes", "--kubeconfig", kubeconfig]
    return await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, timeout=patient(60)
    )


async def wait_for_approval_request(env: Environment, *, other_than: str = "") -> dict[str, Any]:
    """Waits until the run asks for an approval, with a digest other than `other_than`; returns the run."""

    def is_awaiting_approval(item: dict[str, Any]) -> bool:
        digest = status(item).get("approvalDigest", "")
        return status(item).get("phase") == "AwaitingApproval" and digest not in ("", other_than)

    return await env.api.wait_until(
        "TrainingRun", "dear", is_awaiting_approval, expected="awaiting an approval"
    )


async def test_a_run_above_the_threshold_waits_for_an_approval_and_then_trains(
    env: Environment, kubectl: Kubectl
) -> None:
    namespace = env.api.namespace
    await env.create_agent_model(budget=LOW_THRESHOLD)
    with installed_policies(kubectl, namespace, operator="admin"):
        bind(kubectl, namespace, "alice", "modelops-approver")
        bind(kubectl, namespace, "bob", "modelops-developer")
        await env.api.create(manifests.training_run("dear", base_model=BASE_MODEL))
        await env.start_operator()
        run = await wait_for_approval_request(env)
        await env.wait_until_quiet()
        uid = run["metadata"]["uid"]
        assert "modelops approve dear" in ready_message(run)
        assert condition(run, "Approved") == "False"
        assert (await env.read_record()).reservations == {}
        assert env.cloud.jobs_of(uid) == []

        await env.kill_operator()
        await env.start_operator()
        await env.wait_until_leading()
        before = len(env.recorder.writes)
        writes = [line for line in (await env.wait_until_quiet())[before:] if "/leases/" not in line]
        assert writes == []

        refused = await approve(env, "bob")
        assert (refused.returncode, "bob has not" in refused.stderr) == (1, True), refused
        approved = await approve(env, "alice")
        assert approved.returncode == 0, approved.stderr
        done = await env.api.wait_until_finished("TrainingRun", "dear")
        assert status(done)["phase"] == "Succeeded", status_summary(done)
        assert condition(done, "Approved") == "True"
        assert len(await asyncio.to_thread(env.cloud.jobs_of, uid)) == 1
        assert (await env.read_record()).reservations == {}


async def test_an_expired_estimate_is_renewed_and_an_approval_of_the_old_one_is_stale(
    env: Environment,
) -> None:
    await env.create_agent_model(budget=LOW_THRESHOLD)
    await env.api.create(manifests.training_run("dear", base_model=BASE_MODEL))
    await env.start_operator(MODELOPS_APPROVAL_SECONDS="4")
    first = status(await wait_for_approval_request(env))["approvalDigest"]
    await wait_for_approval_request(env, other_than=first)
    late = {"spec": {"approval": {"approvedBy": "admin", "digest": first}}}
    run = await env.api.patch("TrainingRun", "dear", late)
    await env.api.wait_until(
        "TrainingRun", "dear", lambda o: status(o).get("reason") == "ApprovalStale", expected="ApprovalStale"
    )
    uid = run["metadata"]["uid"]
    assert await asyncio.to_thread(env.cloud.jobs_of, uid) == []
    await env.api.patch("TrainingRun", "dear", {"spec": {"cancel": True}})
    done = await env.api.wait_until_finished("TrainingRun", "dear")
    assert status(done)["phase"] == "Cancelled", status_summary(done)
    assert (await env.read_record()).reservations == {}


async def test_a_rollout_above_the_threshold_waits_for_an_approval_and_then_goes_on(
    env: Environment, kubectl: Kubectl
) -> None:
    namespace = env.api.namespace
    candidate = await asyncio.to_thread(env.cloud.create_candidate)
    await env.create_agent_model(budget=LOW_THRESHOLD)
    with installed_policies(kubectl, namespace, operator="admin"):
        bind(kubectl, namespace, "alice", "modelops-approver")
        spec = {"strategy": {"evaluateOnly": {}}}
        await env.api.create(manifests.rollout("dear-one", {"model": candidate}, **spec))
        await env.start_operator()
        waiting = await env.api.wait_until(
            "Rollout",
            "dear-one",
            lambda item: status(item).get("phase") == "AwaitingApproval",
            expected="awaiting an approval",
        )
        await env.wait_until_quiet()
        offer = status(waiting)["offer"]
        assert float(offer["callsUSD"]) > 0
        assert offer["examples"] > 0
        assert "modelops approve dear-one" in ready_message(waiting)
        record = await env.read_record()
        assert (record.active, record.reservations, record.endpoints) == (None, {}, ())

        approved = await approve(env, "alice", "dear-one")
        assert approved.returncode == 0, approved.stderr
        done = await env.api.wait_until_finished("Rollout", "dear-one")
        assert status(done)["reason"] == "EvaluatedOnly", status_summary(done)
        assert [one["approvedBy"] for one in status(done)["approvals"]] == ["alice"]
        billed = float(status(done)["evaluation"]["callsUSD"])
        assert 0 < billed <= float(offer["callsUSD"])
        assert (await env.read_record()).reservations == {}
