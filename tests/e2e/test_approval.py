"""A training that costs more than the threshold: nothing happens until a person approves, and then all of it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import Any

from tests.cluster.policies import bind, installed
from tests.conftest import Kubectl
from tests.e2e import manifests
from tests.e2e.api import condition, ready_message, status, status_summary
from tests.e2e.environment import Environment

from modelops.sandbox.hub.seeds import BASE_MODEL

LOW = {"monthlyUSD": "100", "approvalAboveUSD": "0.0001"}
CLI = (sys.executable, "-m", "modelops.cli", "approve")


async def approve(env: Environment, user: str) -> subprocess.CompletedProcess[str]:
    kubeconfig = str(env.cluster.kubeconfig_for(user))
    command = [*CLI, "dear", "-n", env.api.namespace, "--yes", "--kubeconfig", kubeconfig]
    return await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=60)


async def asking(env: Environment, *, renewed: str = "") -> dict[str, Any]:
    """The run, once it asks; `renewed`: with another digest than this."""

    def asks(item: dict[str, Any]) -> bool:
        digest = status(item).get("approvalDigest", "")
        return status(item).get("phase") == "AwaitingApproval" and digest not in ("", renewed)

    return await env.api.wait_until("TrainingRun", "dear", asks, expected="asking")


async def test_a_dear_training_waits_for_a_person_and_is_done_when_one_approves(
    env: Environment, kubectl: Kubectl
) -> None:
    namespace = env.api.namespace
    await env.create_agent_model(budget=LOW)
    with installed(kubectl, namespace, operator="admin"):
        bind(kubectl, namespace, "alice", "modelops-approver")
        bind(kubectl, namespace, "bob", "modelops-developer")
        await env.api.create(manifests.training_run("dear", base_model=BASE_MODEL))
        await env.start_operator()
        run = await asking(env)
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


async def test_an_offer_that_expires_is_renewed_and_the_old_approval_pays_nothing(env: Environment) -> None:
    await env.create_agent_model(budget=LOW)
    await env.api.create(manifests.training_run("dear", base_model=BASE_MODEL))
    await env.start_operator(MODELOPS_APPROVAL_SECONDS="4")
    first = status(await asking(env))["approvalDigest"]
    await asking(env, renewed=first)
    late = {"spec": {"approval": {"approvedBy": "admin", "digest": first}}}
    run = await env.api.patch("TrainingRun", "dear", late)
    await env.api.wait_until(
        "TrainingRun", "dear", lambda o: status(o).get("reason") == "ApprovalStale", expected="stale"
    )
    uid = run["metadata"]["uid"]
    assert await asyncio.to_thread(env.cloud.jobs_of, uid) == []
    await env.api.patch("TrainingRun", "dear", {"spec": {"cancel": True}})
    done = await env.api.wait_until_finished("TrainingRun", "dear")
    assert status(done)["phase"] == "Cancelled", status_summary(done)
    assert (await env.read_record()).reservations == {}
