"""A training that costs more than the threshold: nothing happens until a person approves, and then all of it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import Any

from tests.cluster.policies import bind, installed
from tests.conftest import Kubectl
from tests.e2e import manifests
from tests.e2e.api import condition, message, status, told
from tests.e2e.stage import Stage

from modelops.sandbox.hub.seeds import BASE_MODEL

LOW = {"monthlyUSD": "100", "approvalAboveUSD": "0.0001"}
CLI = (sys.executable, "-m", "modelops.cli", "approve")


async def approve(here: Stage, user: str) -> subprocess.CompletedProcess[str]:
    kubeconfig = str(here.cluster.kubeconfig_for(user))
    command = [*CLI, "dear", "-n", here.api.namespace, "--yes", "--kubeconfig", kubeconfig]
    return await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=60)


async def asking(here: Stage, *, renewed: str = "") -> dict[str, Any]:
    """The run, once it asks; `renewed`: with another digest than this."""

    def asks(item: dict[str, Any]) -> bool:
        digest = status(item).get("approvalDigest", "")
        return status(item).get("phase") == "AwaitingApproval" and digest not in ("", renewed)

    return await here.api.until("TrainingRun", "dear", asks, say="asking")


async def test_a_dear_training_waits_for_a_person_and_is_done_when_one_approves(
    here: Stage, kubectl: Kubectl
) -> None:
    namespace = here.api.namespace
    await here.agent_model(budget=LOW)
    with installed(kubectl, namespace, operator="admin"):
        bind(kubectl, namespace, "alice", "modelops-approver")
        bind(kubectl, namespace, "bob", "modelops-developer")
        await here.api.create(manifests.training_run("dear", base_model=BASE_MODEL))
        await here.start()
        run = await asking(here)
        await here.quiet()
        uid = run["metadata"]["uid"]
        assert "modelops approve dear" in message(run)
        assert condition(run, "Approved") == "False"
        assert (await here.record()).reservations == {}
        assert here.cloud.jobs_of(uid) == []

        await here.kill()
        await here.start()
        await here.leading()
        before = len(here.recorder.writes)
        writes = [line for line in (await here.quiet())[before:] if "/leases/" not in line]
        assert writes == []

        refused = await approve(here, "bob")
        assert (refused.returncode, "bob has not" in refused.stderr) == (1, True), refused
        approved = await approve(here, "alice")
        assert approved.returncode == 0, approved.stderr
        done = await here.api.complete("TrainingRun", "dear")
        assert status(done)["phase"] == "Succeeded", told(done)
        assert condition(done, "Approved") == "True"
        assert len(await asyncio.to_thread(here.cloud.jobs_of, uid)) == 1
        assert (await here.record()).reservations == {}


async def test_an_offer_that_expires_is_renewed_and_the_old_approval_pays_nothing(here: Stage) -> None:
    await here.agent_model(budget=LOW)
    await here.api.create(manifests.training_run("dear", base_model=BASE_MODEL))
    await here.start(MODELOPS_APPROVAL_SECONDS="4")
    first = status(await asking(here))["approvalDigest"]
    await asking(here, renewed=first)
    late = {"spec": {"approval": {"approvedBy": "admin", "digest": first}}}
    run = await here.api.patch("TrainingRun", "dear", late)
    await here.api.until(
        "TrainingRun", "dear", lambda o: status(o).get("reason") == "ApprovalStale", say="stale"
    )
    uid = run["metadata"]["uid"]
    assert await asyncio.to_thread(here.cloud.jobs_of, uid) == []
    await here.api.patch("TrainingRun", "dear", {"spec": {"cancel": True}})
    done = await here.api.complete("TrainingRun", "dear")
    assert status(done)["phase"] == "Cancelled", told(done)
    assert (await here.record()).reservations == {}
