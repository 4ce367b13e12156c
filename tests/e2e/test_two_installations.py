"""The same chart's values in two clusters, on one Hugging Face account: neither touches what is the other's.

The clusters are as alike as can be: the same namespace, the same names, the same model on the Hub.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.conftest import apply_crds
from tests.e2e import manifests
from tests.e2e.api import status, status_summary
from tests.e2e.canary import LONG_PAUSE, SHORT_EVALUATION
from tests.e2e.cloud import Cloud
from tests.e2e.environment import Environment, open_environment

from modelops.localcluster import LocalCluster, start_cluster
from modelops.ports import Json
from modelops.sandbox.hub.seeds import BASE_MODEL

DATA_FILES = "/resolve/.*/data/"


@pytest.fixture
async def other(env: Environment, cloud: Cloud, namespace: str, tmp_path: Path) -> AsyncIterator[Environment]:
    """The second installation: a cluster of its own, with a namespace of the same name."""
    environ = {name: value for name, value in os.environ.items() if name != "MODELOPS_KUBECONFIG"}
    with start_cluster(tmp_path / "cluster", controllers=True, environ=environ) as cluster:
        await asyncio.to_thread(apply_crds, cluster)
        await create_namespace(cluster, namespace)
        async with open_environment(cluster, cloud, namespace, tmp_path / "other") as made:
            yield made


async def create_namespace(cluster: LocalCluster, name: str) -> None:
    command = [cluster.kubectl, "--kubeconfig", cluster.kubeconfig, "create", "namespace", name]
    process = await asyncio.create_subprocess_exec(*command)
    assert await process.wait() == 0


async def installation_of(env: Environment) -> str:
    found = await env.api.get("ConfigMap", "modelops-installation")
    assert found is not None
    return str(found["data"]["id"])


def experiment_urls(rollout: Json) -> list[str]:
    """The evaluation's experiments in LangSmith."""
    found = status(rollout)["evaluation"]
    return sorted(str(found[key]) for key in found if key.startswith("experiment"))


def jobs_of(cloud: Cloud, run: Json) -> list[Json]:
    uid = run["metadata"]["uid"]
    return [job for job in cloud.sandbox.job_billing() if uid in str(job["labels"].get("modelops-attempt"))]


async def test_the_end_of_one_installations_training_leaves_the_others_job_and_repositories(
    env: Environment, other: Environment, cloud: Cloud
) -> None:
    sandbox = cloud.sandbox
    sandbox.forget_requests()
    stalled = sandbox.fault("hub", "stall", times=None, seconds=60, path_regex=DATA_FILES)
    both = (env, other)
    for one in both:
        await one.create_agent_model()
        await one.start_operator()
        await one.api.create(manifests.training_run("first", base_model=BASE_MODEL))
    runs = [
        await one.api.wait_until("TrainingRun", "first", lambda o: status(o).get("phase") == "Running")
        for one in both
    ]
    mine, theirs = runs
    labels = [jobs_of(cloud, run)[0]["labels"]["modelops-attempt"] for run in runs]
    ids = [await installation_of(one) for one in both]
    assert labels == [f"{id}-{run['metadata']['uid']}-1" for id, run in zip(ids, runs, strict=True)]
    assert len(set(ids)) == 2

    # The other installation ends everything of its own, and starts again: it looks for what it has left behind.
    await other.api.delete("TrainingRun", "first")
    await other.api.wait_until_deleted("TrainingRun", "first")
    await other.wait_until(lambda: [j["stage"] for j in jobs_of(cloud, theirs)] == ["CANCELED"])
    await other.kill_operator()
    await other.start_operator()
    await other.wait_until_leading()
    await other.wait_until_quiet()
    assert [job["stage"] for job in jobs_of(cloud, mine)] == ["RUNNING"]

    sandbox.remove_fault(stalled)
    run = await env.api.wait_until_finished("TrainingRun", "first")
    assert status(run)["reason"] == "Trained", status_summary(run)
    assert [job["stage"] for job in jobs_of(cloud, mine)] == ["COMPLETED"]
    assert cloud.hf.repo_exists(status(run)["model"]["repo"])
    record, stray = await other.read_record(), status(run)["model"]["repo"]
    assert stray not in {entry.hub_repo for entry in record.history}


async def test_both_serve_one_model_with_an_endpoint_each_and_one_ends_without_the_other(
    env: Environment, other: Environment, cloud: Cloud
) -> None:
    candidate = await asyncio.to_thread(cloud.create_candidate)
    both = (env, other)
    for one in both:
        await asyncio.to_thread(one.start_agents)
        await one.create_agent_model()
        await one.start_operator()
        spec: manifests.Manifest = {"strategy": LONG_PAUSE, "evaluation": SHORT_EVALUATION}
        await one.api.create(manifests.rollout("same", {"model": candidate}, **spec))
    mine, theirs = [
        await one.api.wait_until("Rollout", "same", lambda o: status(o).get("weight") == 50) for one in both
    ]
    names = [status(rollout)["candidate"]["endpointName"] for rollout in (mine, theirs)]
    assert sorted(cloud.endpoints_of(candidate["repo"])) == sorted(names)
    assert len(set(names)) == 2
    assert len({str(experiment_urls(rollout)) for rollout in (mine, theirs)}) == 2

    await other.api.delete("AgentModel", "docs")
    await other.api.wait_until_deleted("AgentModel", "docs")
    await other.wait_until(
        lambda: cloud.endpoints_of(candidate["repo"]) == names[:1], expected="one endpoint"
    )
    await other.stop_operator()
    await env.wait_until_quiet(within=60)
    rollout = await env.api.get("Rollout", "same")
    assert rollout is not None
    assert (status(rollout)["phase"], status(rollout)["weight"]) == (status(mine)["phase"], 50)
    assert cloud.endpoints_of(candidate["repo"]) == names[:1]
