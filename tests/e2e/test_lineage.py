"""A lost record is rebuilt from the Hub, and `modelops prune` deletes old models and data but not those in use."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from tests.e2e import manifests
from tests.e2e.api import ready_message, status, status_summary
from tests.e2e.canary import SHORT_EVALUATION
from tests.e2e.commands import run_modelops
from tests.e2e.environment import Environment

from modelops.domain.record import PRUNED, PRUNING, Record
from modelops.domain.versions import parse
from modelops.ports import Json
from modelops.sandbox.hub.seeds import BASE_MODEL

RECORD = "docs-modelops-record"


async def train(env: Environment, name: str, epochs: int) -> Json:
    """Creates a TrainingRun and waits for its success; returns its status."""
    run = manifests.training_run(name, base_model=BASE_MODEL, config={"numEpochs": epochs})
    await env.api.create(run)
    found = await env.api.wait_until_finished("TrainingRun", name)
    assert status(found)["phase"] == "Succeeded", status_summary(found)
    return status(found)


async def promote(env: Environment, name: str, run: str) -> None:
    given: Any = {**manifests.IMMEDIATE, "evaluation": SHORT_EVALUATION}
    await env.api.create(manifests.rollout(name, {"trainingRunRef": {"name": run}}, **given))
    found = await env.api.wait_until_finished("Rollout", name)
    assert status(found)["reason"] == "Promoted", status_summary(found)


async def delete_and_return_manifest(env: Environment, kind: str, name: str) -> Json:
    """Deletes the object; returns the manifest that creates it again."""
    found = await env.api.get(kind, name)
    assert found is not None
    await env.api.delete(kind, name)
    await env.api.wait_until_deleted(kind, name)
    return {key: found[key] for key in ("apiVersion", "kind", "spec")} | {"metadata": {"name": name}}


async def record_resource_version(env: Environment) -> str:
    found = await env.api.get("ConfigMap", RECORD)
    assert found is not None
    return str(found["metadata"]["resourceVersion"])


def allocated_numbers(record: Record) -> set[str]:
    return {str(parse(version)) for version in record.allocated}


async def repo_exists(env: Environment, repo: str, kind: str = "model") -> bool:
    return await asyncio.to_thread(env.cloud.hf.repo_exists, repo, repo_type=kind)


async def example_trained_on(env: Environment, *datasets: Json) -> str:
    """The id of an example in the training split of each of these prepared datasets: each run splits by its own seed."""
    splits = []
    for dataset in datasets:
        path = await asyncio.to_thread(
            env.cloud.hf.hf_hub_download,
            dataset["repo"],
            "examples.json",
            revision=dataset["revision"],
            repo_type="dataset",
            local_dir=env.folder / "examples" / dataset["revision"],
        )
        splits.append(set(json.loads(Path(path).read_text())["train"]))
    return str(min(set.intersection(*splits)))


async def test_a_lost_record_is_rebuilt_from_the_hub_and_old_models_are_pruned(env: Environment) -> None:
    namespace = env.api.namespace
    agent_arguments = ("docs", "-n", namespace)
    await asyncio.to_thread(env.start_agents)
    await env.create_agent_model()
    await env.start_operator()
    first, second = await train(env, "first", 1), await train(env, "second", 2)
    await promote(env, "to-second", "second")
    third = await train(env, "third", 3)
    before = await env.read_record()
    assert [entry.version for entry in before.history] == ["v1.1.0-rc.1", "v1.2.0", "v1.3.0-rc.1"]
    models = [one["model"]["repo"] for one in (first, second, third)]

    # The runs and the record are deleted; only the Hub still has their history.
    manifests_of_runs = [
        await delete_and_return_manifest(env, "TrainingRun", name) for name in ("first", "second", "third")
    ]
    await env.stop_operator()
    await env.api.delete("ConfigMap", RECORD)
    output = await run_modelops(env, "registry", "rebuild", *agent_arguments, "--dry-run")
    assert "record would be made from the cluster" in output
    assert all(f"({repo})" in output for repo in models)
    assert await env.api.get("ConfigMap", RECORD) is None
    output = await run_modelops(env, "registry", "rebuild", *agent_arguments)
    assert "record made from the cluster" in output
    assert "+ TrainingRun first as completed: it trained v1.1.0-rc.1" in output
    record = await env.read_record()
    history_before = [(e.version, e.hub_repo, e.training_method, e.base_model) for e in before.history]
    assert [
        (e.version, e.hub_repo, e.training_method, e.base_model) for e in record.history
    ] == history_before
    assert [e.deployment_status for e in record.history] == ["trained", "deployed", "trained"]
    assert allocated_numbers(record) == allocated_numbers(before)
    assert record.completed.keys() == before.completed.keys()
    assert (record.stable.version, record.previous and record.previous.version) == ("v1.2.0", "v1.0.0")
    for entry, original in zip(record.history, before.history, strict=True):
        assert entry.lineage["rebuilt"] is True
        for key in ("run", "revision", "base_revision", "dataset", "prompt", "recipe", "job"):
            assert entry.lineage[key] == original.lineage[key], key

    # A second rebuild adds nothing and writes nothing.
    version = await record_resource_version(env)
    assert "already has everything that the Hub knows" in await run_modelops(
        env, "registry", "rebuild", *agent_arguments
    )
    assert await record_resource_version(env) == version

    # A run that the rebuilt record has as completed is not trained again.
    await env.start_operator()
    await env.wait_until_leading()
    await env.api.create(manifests_of_runs[0])
    again = await env.api.wait_until_finished("TrainingRun", "first")
    assert status(again)["reason"] == "AlreadyCompleted", status_summary(again)
    assert await asyncio.to_thread(env.cloud.jobs_of, again["metadata"]["uid"]) == []

    # Which models were trained on an example.
    example = await example_trained_on(env, *(one["dataset"] for one in (first, second, third)))
    output = await run_modelops(env, "lineage", "--example", example, "-n", namespace)
    assert all(one["dataset"]["repo"] in output for one in (first, second, third))
    assert "v1.2.0 of docs" in output
    assert "trained on it, deployed, current stable" in output
    answer = json.loads(await run_modelops(env, "lineage", "--example", example, "-o", "json"))
    assert {m["repo"] for m in answer["models"]} >= set(models)
    assert {m["current"] for m in answer["models"]} == {None}
    unknown_example = "00000000-0000-0000-0000-000000000000"
    assert "in no prepared dataset" in await run_modelops(
        env, "lineage", "--example", unknown_example, expect=1
    )
    output = await run_modelops(env, "lineage", "v1.2.0", "-n", namespace)
    assert all(words in output for words in (models[1], second["dataset"]["digest"], "num_epochs=2"))
    await run_modelops(env, "lineage", "v9.9.9", "-n", namespace, expect=1)

    # Old models are pruned; a dry run changes nothing.
    prune_old = ("prune", *agent_arguments, "--older-than", "0s", "--keep", "1")
    output = await run_modelops(env, *prune_old)
    assert "nothing was changed" in output
    assert await repo_exists(env, models[0])
    await run_modelops(env, "prune", *agent_arguments)  # 90 days
    output = await run_modelops(env, *prune_old, "--yes")
    assert [await repo_exists(env, repo) for repo in models] == [False, True, True]
    data = [one["dataset"]["repo"] for one in (first, second, third)]
    assert [await repo_exists(env, repo, "dataset") for repo in data] == [False, True, True]
    assert "stable of docs" in output
    assert "the newest version" in output
    entry = (await env.read_record()).history[0]
    assert entry.lineage[PRUNING] <= entry.lineage[PRUNED]

    # A pruned version cannot be rolled out.
    await env.api.create(manifests.rollout("undo", {"version": "v1.1.0-rc.1"}))
    refused = await env.api.wait_until_finished("Rollout", "undo")
    assert status(refused)["reason"] == "CandidateNotFound", status_summary(refused)
    assert "was removed from the Hub by `modelops prune`" in ready_message(refused)
    assert (await env.read_record()).active is None

    # Pruning an example deletes the models trained on it, except the serving one, and says what to do first.
    prune_example = ("prune", *agent_arguments, "--example", example)
    output = await run_modelops(env, *prune_example, expect=1)
    assert "promote another version" in output
    output = await run_modelops(env, *prune_example, "--yes", expect=1)
    assert [await repo_exists(env, repo) for repo in models] == [False, True, False]
    assert [await repo_exists(env, repo, "dataset") for repo in data] == [False, True, False]
