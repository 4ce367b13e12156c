"""Training as a Kubernetes Job: the real trainer runs, in the environment that its Pod would have.

The cluster has no node. A test sets the status of the Pod that the Job's controller created, as a kubelet would.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import CommitOperationAdd, hf_hub_download
from tests.cluster.kubelet import container_status, timestamp
from tests.e2e import manifests
from tests.e2e.api import ready_message, status, status_summary
from tests.e2e.environment import Environment
from tests.patience import patient

from modelops.domain.money import micro
from modelops.ports import Json
from modelops.sandbox.hub.seeds import BASE_MODEL

PRICE = "3.60"
"""USD per hour: one dollar in a thousand seconds."""
CPU = {"backend": {"kubernetes": {"device": "cpu-basic", "gpus": 0, "cpu": "1", "memory": "16Gi"}}}


@pytest.fixture
def prices(tmp_path: Path) -> str:
    path = tmp_path / "training_defaults.yaml"
    path.write_text(f"cost_estimates:\n  cpu_basic_per_hour: {PRICE}\n")
    return str(path)


@asynccontextmanager
async def create_run_on_cluster(env: Environment, prices: str, **spec: Any) -> AsyncIterator[Json]:
    """Creates the TrainingRun `own` and starts an operator that has the price; yields the run."""
    await env.create_agent_model()
    await env.start_operator(MODELOPS_TRAINING_DEFAULTS=prices, MODELOPS_TRAINER="tiny")
    yield await env.api.create(manifests.training_run("own", base_model=BASE_MODEL, **CPU, **spec))


async def wait_for_pod(env: Environment) -> Json:
    """Waits for the Pod of the only Job; returns it."""

    async def found() -> list[Json]:
        return await env.api.list("Pod")

    async with asyncio.timeout(patient(60)):
        while not (pods := await found()):
            await asyncio.sleep(0.1)
    return pods[0]


async def set_pod_running(env: Environment, pod: Json, *, seconds: int) -> None:
    """Sets the Pod's status to running since so many seconds."""
    since = timestamp(datetime.now(UTC) - timedelta(seconds=seconds))
    state = {"running": {"startedAt": since}}
    statuses = [container_status(pod, state, ready=True)]
    pod_status = {"phase": "Running", "startTime": since, "containerStatuses": statuses}
    await env.api.patch_status("Pod", pod["metadata"]["name"], pod_status)


async def set_pod_exited(env: Environment, pod: Json, code: int) -> None:
    ended = {"exitCode": code, "finishedAt": timestamp(datetime.now(UTC)), "reason": "Completed"}
    pod_status = {
        "phase": "Failed" if code else "Succeeded",
        "containerStatuses": [container_status(pod, {"terminated": ended}, ready=False)],
    }
    await env.api.patch_status("Pod", pod["metadata"]["name"], pod_status)


async def set_pod_outlived(env: Environment, pod: Json) -> None:
    """The trainer has ended well, and a container that a service mesh has added runs on."""
    ended = {"exitCode": 0, "finishedAt": timestamp(datetime.now(UTC)), "reason": "Completed"}
    proxy = {**container_status(pod, {"running": {}}, ready=True), "name": "istio-proxy"}
    own = container_status(pod, {"terminated": ended}, ready=False)
    await env.api.patch_status("Pod", pod["metadata"]["name"], {"containerStatuses": [own, proxy]})


async def container_environment(env: Environment, pod: Json) -> dict[str, str]:
    """The container's environment variables, with references to Secrets and ConfigMaps resolved as a kubelet does."""
    found: dict[str, str] = {}
    for entry in pod["spec"]["containers"][0]["env"]:
        source: dict[str, Any] = entry.get("valueFrom") or {}
        if reference := source.get("secretKeyRef"):
            secret = await env.api.get("Secret", reference["name"])
            assert secret is not None
            found[entry["name"]] = base64.b64decode(secret["data"][reference["key"]]).decode()
        elif reference := source.get("configMapKeyRef"):
            config_map = await env.api.get("ConfigMap", reference["name"])
            assert config_map is not None
            found[entry["name"]] = config_map["data"][reference["key"]]
        else:
            found[entry["name"]] = entry["value"].replace("$$", "$")
    return found


async def run_container_command(env: Environment, pod: Json, folder: Path) -> tuple[int, str]:
    """Runs the container's command in a new folder; returns its exit code and output."""
    folder.mkdir()
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # The container's image has Python there.
    variables = {**await container_environment(env, pod), "HOME": str(folder), "PATH": path}
    variables |= {
        "NO_PROXY": "127.0.0.1,localhost",
        "HF_HUB_DISABLE_XET": "1",
    }  # the sandbox does not implement Xet
    command = [word.replace("$$", "$") for word in pod["spec"]["containers"][0]["command"]]
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        env=variables,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(), patient(120))
    assert process.returncode is not None
    return process.returncode, output.decode()


def expected_cost(job: Json, started: str) -> int:
    """Cost in micro-USD from the Pod's start to the Job's end; every started minute counts."""
    ended = datetime.fromisoformat(job["status"]["completionTime"])
    seconds = (ended - datetime.fromisoformat(started)).total_seconds()
    return -(-(-(-int(seconds) // 60) * micro(PRICE)) // 60)


async def test_a_run_is_trained_by_a_kubernetes_job_and_settled_at_the_configured_price(
    env: Environment, prices: str, tmp_path: Path
) -> None:
    async with create_run_on_cluster(env, prices) as run:
        pod = await wait_for_pod(env)
        name = pod["metadata"]["labels"]["batch.kubernetes.io/job-name"]
        waiting = await env.api.wait_until(
            "TrainingRun", "own", lambda o: status(o).get("phase") == "Scheduling", expected="Scheduling"
        )
        offered = status(waiting)["estimate"]
        assert (status(waiting)["job"]["id"], offered["flavor"]) == (name, "cpu-basic")
        assert offered["usdPerHour"] == PRICE
        assert "cost_estimates.cpu_basic_per_hour" in offered["source"]
        reserved = (await env.read_record()).reservations[f"{run['metadata']['uid']}/1"]
        assert reserved.account == f"kubernetes:{env.api.namespace}"
        assert reserved.usd_micro == micro(offered["highUSD"])

        await set_pod_running(env, pod, seconds=90)
        code, output = await run_container_command(env, pod, tmp_path / "container")
        assert code == 0, output
        await env.api.wait_until(
            "TrainingRun", "own", lambda o: status(o).get("phase") == "Running", expected="Running"
        )
        await set_pod_exited(env, pod, code)
        done = await env.api.wait_until_finished("TrainingRun", "own")

        assert status(done)["phase"] == "Succeeded", status_summary(done)
        repo = status(done)["model"]["repo"]
        claim = hf_hub_download(
            repo,
            "claims/1",
            endpoint=env.cloud.sandbox.hub,
            token=env.cloud.sandbox.hf_token,
            local_dir=tmp_path,
        )
        assert json.loads(Path(claim).read_text())["job"] == name
        started = (await wait_for_pod(env))["status"]["startTime"]
        job = await env.api.get("Job", name)
        assert job is not None
        settled = (await env.read_record()).settlements[f"{run['metadata']['uid']}/1"]
        assert (settled.jobs, settled.usd_micro) == ((name,), expected_cost(job, started))
        assert micro(status(done)["costUSD"]) == settled.usd_micro
        assert (await env.read_record()).registry()["docs"]["history"][0]["hub_repo"] == repo
        # There is no Hugging Face job, and no finalizer keeps the Job.
        assert env.cloud.jobs_of(run["metadata"]["uid"]) == []
        await env.api.delete("TrainingRun", "own")
        await env.api.wait_until_deleted("TrainingRun", "own")
        await env.api.wait_until_deleted("Job", name, seconds=120)


async def test_a_run_in_a_service_mesh_ends_with_its_trainer_and_gives_up_its_gpus(
    env: Environment, prices: str, tmp_path: Path
) -> None:
    async with create_run_on_cluster(env, prices) as run:
        pod = await wait_for_pod(env)
        name = pod["metadata"]["labels"]["batch.kubernetes.io/job-name"]
        await set_pod_running(env, pod, seconds=90)
        code, output = await run_container_command(env, pod, tmp_path / "container")
        assert code == 0, output
        await set_pod_outlived(env, pod)
        done = await env.api.wait_until_finished("TrainingRun", "own")
        assert status(done)["phase"] == "Succeeded", status_summary(done)
        settled = (await env.read_record()).settlements[f"{run['metadata']['uid']}/1"]
        assert settled.jobs == (name,)
        assert micro(PRICE) * 2 // 60 <= settled.usd_micro <= micro(PRICE) * 4 // 60
        await env.api.wait_until_deleted("Job", name, seconds=120)
        await env.api.wait_until_deleted("Pod", pod["metadata"]["name"], seconds=120)


@pytest.mark.parametrize("how", ["cancel", "delete"])
async def test_a_cancelled_or_deleted_run_stops_its_job_and_settles_its_cost(
    env: Environment, prices: str, how: str
) -> None:
    async with create_run_on_cluster(env, prices) as run:
        pod = await wait_for_pod(env)
        name = pod["metadata"]["labels"]["batch.kubernetes.io/job-name"]
        await set_pod_running(env, pod, seconds=600)
        await env.api.wait_until(
            "TrainingRun", "own", lambda o: status(o).get("phase") == "Running", expected="Running"
        )
        if how == "cancel":
            await env.api.patch("TrainingRun", "own", {"spec": {"cancel": True}})
            done = await env.api.wait_until_finished("TrainingRun", "own")
            assert status(done)["phase"] == "Cancelled", status_summary(done)
        else:
            await env.api.delete("TrainingRun", "own")
            await env.api.wait_until_deleted("TrainingRun", "own", seconds=120)
        settled = (await env.read_record()).settlements[f"{run['metadata']['uid']}/1"]
        assert settled.jobs == (name,)
        assert micro(PRICE) * 10 // 60 <= settled.usd_micro <= micro(PRICE) * 13 // 60
        await env.api.wait_until_deleted("Job", name, seconds=120)
        assert await env.api.list("Pod") == []


async def test_a_crash_after_the_jobs_creation_makes_no_second_job(env: Environment, prices: str) -> None:
    async with create_run_on_cluster(env, prices):
        pod = await wait_for_pod(env)
        await env.kill_operator()
        await env.start_operator(MODELOPS_TRAINING_DEFAULTS=prices, MODELOPS_TRAINER="tiny")
        name = pod["metadata"]["labels"]["batch.kubernetes.io/job-name"]
        found = await env.api.wait_until(
            "TrainingRun", "own", lambda o: status(o).get("job", {}).get("id"), expected="adopted"
        )
        assert status(found)["job"]["id"] == name
        await env.wait_until_quiet()
        assert [job["metadata"]["name"] for job in await env.api.list("Job")] == [name]


async def test_without_a_price_no_job_is_created_and_the_missing_key_is_named(env: Environment) -> None:
    await env.create_agent_model()
    await env.start_operator()
    await env.api.create(manifests.training_run("own", base_model=BASE_MODEL, **CPU))
    run = await env.api.wait_until(
        "TrainingRun", "own", lambda o: status(o).get("reason") == "PriceUnknown", expected="PriceUnknown"
    )
    assert "add cost_estimates.cpu_basic_per_hour" in ready_message(run)
    assert await env.api.list("Job") == []
    assert (await env.read_record()).reservations == {}


async def test_exit_code_42_is_retried_as_out_of_memory_without_a_log_line(
    env: Environment, prices: str
) -> None:
    async with create_run_on_cluster(env, prices, config={"numEpochs": 1, "batchSize": 4}) as run:
        first = await wait_for_pod(env)
        await set_pod_running(env, first, seconds=30)
        await set_pod_exited(env, first, 42)
        found = await env.api.wait_until(
            "TrainingRun",
            "own",
            lambda o: status(o).get("job", {}).get("attempt") == 2,
            expected="at attempt 2",
        )
        (past,) = status(found)["attempts"]
        assert (past["reason"], past["job"].rpartition("-")[2]) == ("OutOfMemory", "1")
        names = [f"{past['job'][:-1]}{attempt}" for attempt in (1, 2)]
        await env.api.wait_until("Job", names[1], lambda _: True)
        assert sorted(job["metadata"]["name"] for job in await env.api.list("Job")) == names
        assert (await env.read_record()).settlements[f"{run['metadata']['uid']}/1"].jobs == (names[0],)


async def test_a_suspended_run_deletes_its_job_and_resumes_with_a_new_one(
    env: Environment, prices: str
) -> None:
    async with create_run_on_cluster(env, prices):
        pod = await wait_for_pod(env)
        name = pod["metadata"]["labels"]["batch.kubernetes.io/job-name"]
        await set_pod_running(env, pod, seconds=30)
        await env.api.wait_until("TrainingRun", "own", lambda o: status(o).get("phase") == "Running")
        await env.api.patch("TrainingRun", "own", {"spec": {"suspend": True}})
        await env.api.wait_until(
            "TrainingRun", "own", lambda o: status(o).get("phase") == "Suspended", expected="Suspended"
        )
        # The attempt is settled, so the Job has no finalizer any more, although the run has not finished.
        await env.api.wait_until_deleted("Job", name, seconds=120)
        await env.api.patch("TrainingRun", "own", {"spec": {"suspend": False}})
        again = await wait_for_pod(env)
        assert again["metadata"]["labels"]["batch.kubernetes.io/job-name"] == f"{name[:-1]}2"


async def test_a_run_deleted_without_its_finalizer_is_settled_at_its_whole_reservation(
    env: Environment, prices: str
) -> None:
    async with create_run_on_cluster(env, prices) as run:
        pod = await wait_for_pod(env)
        name = pod["metadata"]["labels"]["batch.kubernetes.io/job-name"]
        await env.api.wait_until("TrainingRun", "own", lambda o: status(o).get("phase") == "Scheduling")
        key = f"{run['metadata']['uid']}/1"
        reserved = (await env.read_record()).reservations[key]
        claim = CommitOperationAdd("claims/1", json.dumps({"job": name}).encode())
        await asyncio.to_thread(env.cloud.hf.create_commit, reserved.repo, [claim], commit_message="Claim")
        await env.kill_operator()
        await env.api.patch("TrainingRun", "own", {"metadata": {"finalizers": None}})
        await env.api.delete("TrainingRun", "own")
        await env.api.wait_until_deleted("Job", name, seconds=120)
        await env.start_operator(MODELOPS_TRAINING_DEFAULTS=prices, MODELOPS_TRAINER="tiny")
        async with asyncio.timeout(patient(60)):
            while key not in (record := await env.read_record()).settlements:
                await asyncio.sleep(0.2)
        assert record.settlements[key].usd_micro == reserved.usd_micro
