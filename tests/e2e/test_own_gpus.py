"""A training as a Job of the cluster: the trainer really runs, in the environment that its Pod would have.

There is no node. A test takes the Pod that the Job's controller made, as a kubelet would, and says how it ended.
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
from tests.cluster.kubelet import container, written
from tests.e2e import manifests
from tests.e2e.api import ready_message, status, status_summary
from tests.e2e.environment import Environment

from modelops.domain.money import micro
from modelops.ports import Json
from modelops.sandbox.hub.seeds import BASE_MODEL

PRICE = "3.60"
"""A dollar in a thousand seconds."""
CPU = {"backend": {"kubernetes": {"device": "cpu-basic", "gpus": 0, "cpu": "1", "memory": "1Gi"}}}


@pytest.fixture
def prices(tmp_path: Path) -> str:
    path = tmp_path / "training_defaults.yaml"
    path.write_text(f"cost_estimates:\n  cpu_basic_per_hour: {PRICE}\n")
    return str(path)


@asynccontextmanager
async def own(env: Environment, prices: str, **spec: Any) -> AsyncIterator[Json]:
    """The run `own`, and the operator that knows the price."""
    await env.create_agent_model()
    await env.start_operator(MODELOPS_TRAINING_DEFAULTS=prices, MODELOPS_TRAINER="tiny")
    yield await env.api.create(manifests.training_run("own", base_model=BASE_MODEL, **CPU, **spec))


async def the_pod(env: Environment) -> Json:
    """Of the only Job."""

    async def found() -> list[Json]:
        return await env.api.list("Pod")

    async with asyncio.timeout(60):
        while not (pods := await found()):
            await asyncio.sleep(0.1)
    return pods[0]


async def runs(env: Environment, pod: Json, *, seconds: int) -> None:
    """A node has taken the Pod so long ago."""
    since = written(datetime.now(UTC) - timedelta(seconds=seconds))
    state = {"running": {"startedAt": since}}
    statuses = [container(pod, state, ready=True)]
    said = {"phase": "Running", "startTime": since, "containerStatuses": statuses}
    await env.api.patch_status("Pod", pod["metadata"]["name"], said)


async def exits(env: Environment, pod: Json, code: int) -> None:
    ended = {"exitCode": code, "finishedAt": written(datetime.now(UTC)), "reason": "Completed"}
    said = {
        "phase": "Failed" if code else "Succeeded",
        "containerStatuses": [container(pod, {"terminated": ended}, ready=False)],
    }
    await env.api.patch_status("Pod", pod["metadata"]["name"], said)


async def environment(env: Environment, pod: Json) -> dict[str, str]:
    """What a kubelet makes of the container's environment."""
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


async def trained(env: Environment, pod: Json, folder: Path) -> tuple[int, str]:
    """Exit code and output of the container's command, run in a folder of its own."""
    folder.mkdir()
    bin = Path(sys.executable).parent
    # A login shell resets PATH; the container's image has Python there.
    (folder / ".profile").write_text(f'export PATH="{bin}:$PATH"\n')
    given = {**await environment(env, pod), "HOME": str(folder), "PATH": os.environ["PATH"]}
    given |= {
        "NO_PROXY": "127.0.0.1,localhost",
        "HF_HUB_DISABLE_XET": "1",
    }  # which the sandbox does not speak
    command = [word.replace("$$", "$") for word in pod["spec"]["containers"][0]["command"]]
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        env=given,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(), 120)
    assert process.returncode is not None
    return process.returncode, output.decode()


def billed(job: Json, started: str) -> int:
    """Micro-USD from the Pod's start to the Job's end, by the started minute."""
    ended = datetime.fromisoformat(job["status"]["completionTime"])
    seconds = (ended - datetime.fromisoformat(started)).total_seconds()
    return -(-(-(-int(seconds) // 60) * micro(PRICE)) // 60)


async def test_a_run_is_trained_by_a_job_of_the_cluster_and_settled_at_its_own_price(
    env: Environment, prices: str, tmp_path: Path
) -> None:
    async with own(env, prices) as run:
        pod = await the_pod(env)
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

        await runs(env, pod, seconds=90)
        code, output = await trained(env, pod, tmp_path / "container")
        assert code == 0, output
        await env.api.wait_until(
            "TrainingRun", "own", lambda o: status(o).get("phase") == "Running", expected="Running"
        )
        await exits(env, pod, code)
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
        started = (await the_pod(env))["status"]["startTime"]
        job = await env.api.get("Job", name)
        assert job is not None
        settled = (await env.read_record()).settlements[f"{run['metadata']['uid']}/1"]
        assert (settled.jobs, settled.usd_micro) == ((name,), billed(job, started))
        assert micro(status(done)["costUSD"]) == settled.usd_micro
        assert (await env.read_record()).registry()["docs"]["history"][0]["hub_repo"] == repo
        # No Hugging Face job, and nothing that holds the Job back.
        assert env.cloud.jobs_of(run["metadata"]["uid"]) == []
        await env.api.delete("TrainingRun", "own")
        await env.api.wait_until_deleted("TrainingRun", "own")
        await env.api.wait_until_deleted("Job", name, seconds=120)


@pytest.mark.parametrize("how", ["cancel", "delete"])
async def test_a_run_that_is_ended_stops_its_job_books_what_it_ran_and_lets_go(
    env: Environment, prices: str, how: str
) -> None:
    async with own(env, prices) as run:
        pod = await the_pod(env)
        name = pod["metadata"]["labels"]["batch.kubernetes.io/job-name"]
        await runs(env, pod, seconds=600)
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


async def test_a_crash_after_the_creation_makes_no_second_job(env: Environment, prices: str) -> None:
    async with own(env, prices):
        pod = await the_pod(env)
        await env.kill_operator()
        await env.start_operator(MODELOPS_TRAINING_DEFAULTS=prices, MODELOPS_TRAINER="tiny")
        name = pod["metadata"]["labels"]["batch.kubernetes.io/job-name"]
        found = await env.api.wait_until(
            "TrainingRun", "own", lambda o: status(o).get("job", {}).get("id"), expected="adopted"
        )
        assert status(found)["job"]["id"] == name
        await env.wait_until_quiet()
        assert [job["metadata"]["name"] for job in await env.api.list("Job")] == [name]


async def test_without_a_price_nothing_is_made_and_the_key_is_named(env: Environment) -> None:
    await env.create_agent_model()
    await env.start_operator()
    await env.api.create(manifests.training_run("own", base_model=BASE_MODEL, **CPU))
    run = await env.api.wait_until(
        "TrainingRun", "own", lambda o: status(o).get("reason") == "PriceUnknown", expected="unpriced"
    )
    assert "add cost_estimates.cpu_basic_per_hour" in ready_message(run)
    assert await env.api.list("Job") == []
    assert (await env.read_record()).reservations == {}


async def test_a_job_that_ran_out_of_memory_is_followed_by_another_although_its_log_says_nothing(
    env: Environment, prices: str
) -> None:
    async with own(env, prices, config={"numEpochs": 1, "batchSize": 4}) as run:
        first = await the_pod(env)
        await runs(env, first, seconds=30)
        await exits(env, first, 42)
        found = await env.api.wait_until(
            "TrainingRun",
            "own",
            lambda o: status(o).get("job", {}).get("attempt") == 2,
            expected="tried again",
        )
        (past,) = status(found)["attempts"]
        assert (past["reason"], past["job"].rpartition("-")[2]) == ("OutOfMemory", "1")
        names = [f"{past['job'][:-1]}{attempt}" for attempt in (1, 2)]
        await env.api.wait_until("Job", names[1], lambda _: True)
        assert sorted(job["metadata"]["name"] for job in await env.api.list("Job")) == names
        assert (await env.read_record()).settlements[f"{run['metadata']['uid']}/1"].jobs == (names[0],)


async def test_a_suspended_run_frees_its_node_and_goes_on_as_another_job(
    env: Environment, prices: str
) -> None:
    async with own(env, prices):
        pod = await the_pod(env)
        name = pod["metadata"]["labels"]["batch.kubernetes.io/job-name"]
        await runs(env, pod, seconds=30)
        await env.api.wait_until("TrainingRun", "own", lambda o: status(o).get("phase") == "Running")
        await env.api.patch("TrainingRun", "own", {"spec": {"suspend": True}})
        await env.api.wait_until(
            "TrainingRun", "own", lambda o: status(o).get("phase") == "Suspended", expected="Suspended"
        )
        # Booked, so that nothing holds it any more, although the run has not ended.
        await env.api.wait_until_deleted("Job", name, seconds=120)
        await env.api.patch("TrainingRun", "own", {"spec": {"suspend": False}})
        again = await the_pod(env)
        assert again["metadata"]["labels"]["batch.kubernetes.io/job-name"] == f"{name[:-1]}2"


async def test_a_run_that_was_torn_away_is_booked_in_full_where_its_job_went_with_it(
    env: Environment, prices: str
) -> None:
    async with own(env, prices) as run:
        pod = await the_pod(env)
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
        async with asyncio.timeout(60):
            while key not in (record := await env.read_record()).settlements:
                await asyncio.sleep(0.2)
        assert record.settlements[key].usd_micro == reserved.usd_micro
