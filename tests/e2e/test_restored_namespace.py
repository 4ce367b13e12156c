"""A namespace is restored from a backup without status, in the middle of a canary: nothing is paid for twice."""

from __future__ import annotations

import asyncio

from tests.e2e import manifests
from tests.e2e.api import condition, status, status_summary
from tests.e2e.canary import LONG_PAUSE, SHORT_EVALUATION
from tests.e2e.environment import Environment

from modelops.ports import Json
from modelops.sandbox.hub.seeds import BASE_MODEL

KINDS = ("Secret", "ConfigMap", "AgentModel", "TrainingRun", "Rollout")
"""In the order of a restore: the record is there before what it is about."""


async def backed_up(env: Environment) -> list[Json]:
    """The objects of the namespace as tools restore them: without status, uid, owners and finalizers."""
    found = []
    for kind in KINDS:
        for item in await env.api.list(kind):
            if item["metadata"]["name"] == "kube-root-ca.crt":
                continue
            meta = {
                key: item["metadata"][key]
                for key in ("name", "labels", "annotations")
                if key in item["metadata"]
            }
            content = {key: item[key] for key in ("data", "spec", "type") if key in item}
            version = item.get("apiVersion", "v1")
            found.append({"apiVersion": version, "kind": kind, "metadata": meta, **content})
    return found


async def restore(env: Environment, backup: list[Json]) -> None:
    """The namespace is lost together with the operator, and then has these objects."""
    await env.kill_operator()
    await env.api.remove_namespace()
    await env.api.wait_until_deleted("Namespace", env.api.namespace)
    await env.api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": env.api.namespace}})
    for item in backup:
        await env.api.create(item)
    await env.start_operator()


async def test_a_restored_namespace_trains_nothing_again_and_is_back_on_stable(env: Environment) -> None:
    agents = await asyncio.to_thread(env.start_agents)
    await env.create_agent_model()
    await env.start_operator()
    await env.api.create(manifests.training_run("first", base_model=BASE_MODEL))
    run = await env.api.wait_until_finished("TrainingRun", "first")
    assert status(run)["reason"] == "Trained", status_summary(run)
    paused: manifests.Manifest = {"strategy": LONG_PAUSE, "evaluation": SHORT_EVALUATION}
    await env.api.create(manifests.rollout("second", {"trainingRunRef": {"name": "first"}}, **paused))
    await env.api.wait_until("Rollout", "second", lambda o: status(o).get("weight") == 50)
    repo = status(run)["model"]["repo"]
    await env.wait_until(lambda: repo in agents.models(), expected="agents call the canary")
    record, backup = await env.read_record(), await backed_up(env)
    assert record.active is not None

    jobs = env.cloud.sandbox.job_billing()
    await restore(env, backup)

    run = await env.api.wait_until_finished("TrainingRun", "first")
    assert status(run)["reason"] == "AlreadyCompleted", status_summary(run)
    rollout = await env.api.wait_until_finished("Rollout", "second")
    assert status(rollout)["reason"] == "AlreadyCompleted", status_summary(rollout)
    message = next(c["message"] for c in status(rollout)["conditions"] if c["type"] == "Ready")
    assert "already ended as Deleted, so this one does nothing: use a new name to repeat it" in message
    await env.wait_until(lambda: agents.models() == {manifests.BASELINE}, expected="back on stable")
    _, entry = await env.read_agents_file()
    assert entry.routing is not None
    assert (entry.routing.rollout.state, entry.routing.weight) == ("Aborted", 0)
    agent = await env.api.wait_until("AgentModel", "docs", lambda o: condition(o, "Ready") == "True")
    assert status(agent)["stable"]["version"] == "v1.0.0"
    assert status(agent)["versions"][0]["model"] == repo

    await env.wait_until(lambda: not env.cloud.endpoints_of(repo), expected="without the canary's endpoint")
    await env.wait_until_quiet()
    assert [job["id"] for job in env.cloud.sandbox.job_billing()] == [job["id"] for job in jobs]
    restored = await env.read_record()
    assert (restored.active, dict(restored.reservations)) == (None, {})
    assert restored.settlements.items() >= record.settlements.items()


async def test_a_run_that_is_restored_without_its_record_is_found_on_the_hub(env: Environment) -> None:
    await env.create_agent_model()
    await env.start_operator()
    await env.api.create(manifests.training_run("first", base_model=BASE_MODEL))
    run = await env.api.wait_until_finished("TrainingRun", "first")
    assert status(run)["reason"] == "Trained", status_summary(run)
    model = status(run)["model"]
    jobs = env.cloud.sandbox.job_billing()
    backup = [item for item in await backed_up(env) if item["metadata"]["name"] != "docs-modelops-record"]
    await restore(env, backup)

    run = await env.api.wait_until_finished("TrainingRun", "first")
    assert (status(run)["reason"], status(run)["model"]) == ("AlreadyCompleted", model), status_summary(run)
    await env.wait_until_quiet()
    assert [job["id"] for job in env.cloud.sandbox.job_billing()] == [job["id"] for job in jobs]
    record = await env.read_record()
    assert [(entry.version, entry.hub_repo) for entry in record.history] == [
        (model["version"], model["repo"])
    ]
    assert dict(record.reservations) == {}
