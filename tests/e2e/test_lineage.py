"""A record is lost with the runs that it knew, and comes back from the Hub; what is old goes, and nothing else."""

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


async def trained(env: Environment, name: str, epochs: int) -> Json:
    """The status of a run that has ended."""
    run = manifests.training_run(name, base_model=BASE_MODEL, config={"numEpochs": epochs})
    await env.api.create(run)
    found = await env.api.wait_until_finished("TrainingRun", name)
    assert status(found)["phase"] == "Succeeded", status_summary(found)
    return status(found)


async def promoted(env: Environment, name: str, run: str) -> None:
    given: Any = {**manifests.IMMEDIATE, "evaluation": SHORT_EVALUATION}
    await env.api.create(manifests.rollout(name, {"trainingRunRef": {"name": run}}, **given))
    found = await env.api.wait_until_finished("Rollout", name)
    assert status(found)["reason"] == "Promoted", status_summary(found)


async def forgotten(env: Environment, kind: str, name: str) -> Json:
    """Deleted; returns it as it can be created again."""
    found = await env.api.get(kind, name)
    assert found is not None
    await env.api.delete(kind, name)
    await env.api.wait_until_deleted(kind, name)
    return {key: found[key] for key in ("apiVersion", "kind", "spec")} | {"metadata": {"name": name}}


async def version_of_record(env: Environment) -> str:
    found = await env.api.get("ConfigMap", RECORD)
    assert found is not None
    return str(found["metadata"]["resourceVersion"])


def numbers(record: Record) -> set[str]:
    return {str(parse(version)) for version in record.allocated}


async def exists(env: Environment, repo: str, kind: str = "model") -> bool:
    return await asyncio.to_thread(env.cloud.hf.repo_exists, repo, repo_type=kind)


async def example_of(env: Environment, dataset: Json) -> str:
    """The id of an example that was trained on."""
    path = await asyncio.to_thread(
        env.cloud.hf.hf_hub_download,
        dataset["repo"],
        "examples.json",
        revision=dataset["revision"],
        repo_type="dataset",
        local_dir=env.folder / "examples",
    )
    return str(json.loads(Path(path).read_text())["train"][0])


async def test_a_lost_record_comes_back_from_the_hub_and_what_is_old_goes(env: Environment) -> None:
    namespace = env.api.namespace
    where = ("docs", "-n", namespace)
    await asyncio.to_thread(env.start_agents)
    await env.create_agent_model()
    await env.start_operator()
    first, second = await trained(env, "first", 1), await trained(env, "second", 2)
    await promoted(env, "to-second", "second")
    third = await trained(env, "third", 3)
    before = await env.read_record()
    assert [entry.version for entry in before.history] == ["v1.1.0-rc.1", "v1.2.0", "v1.3.0-rc.1"]
    models = [one["model"]["repo"] for one in (first, second, third)]

    # Everything that is known of the runs is lost, but for what the Hub has.
    manifests_of_runs = [await forgotten(env, "TrainingRun", name) for name in ("first", "second", "third")]
    await env.stop_operator()
    await env.api.delete("ConfigMap", RECORD)
    said = await run_modelops(env, "registry", "rebuild", *where, "--dry-run")
    assert "record would be made from the cluster" in said
    assert all(f"({repo})" in said for repo in models)
    assert await env.api.get("ConfigMap", RECORD) is None
    said = await run_modelops(env, "registry", "rebuild", *where)
    assert "record made from the cluster" in said
    assert "+ TrainingRun first: it has trained v1.1.0-rc.1" in said
    record = await env.read_record()
    told_before = [(e.version, e.hub_repo, e.training_method, e.base_model) for e in before.history]
    assert [(e.version, e.hub_repo, e.training_method, e.base_model) for e in record.history] == told_before
    assert [e.deployment_status for e in record.history] == ["trained", "deployed", "trained"]
    assert numbers(record) == numbers(before)
    assert record.completed.keys() == before.completed.keys()
    assert (record.stable.version, record.previous and record.previous.version) == ("v1.2.0", "v1.0.0")
    for entry, old in zip(record.history, before.history, strict=True):
        assert entry.lineage["rebuilt"] is True
        for key in ("run", "revision", "base_revision", "dataset", "prompt", "recipe", "job"):
            assert entry.lineage[key] == old.lineage[key], key

    # Once more adds nothing, and writes nothing.
    version = await version_of_record(env)
    assert "has all that the Hub remembers" in await run_modelops(env, "registry", "rebuild", *where)
    assert await version_of_record(env) == version

    # What the record knows again is not done again.
    await env.start_operator()
    await env.wait_until_leading()
    await env.api.create(manifests_of_runs[0])
    again = await env.api.wait_until_finished("TrainingRun", "first")
    assert status(again)["reason"] == "AlreadyCompleted", status_summary(again)
    assert await asyncio.to_thread(env.cloud.jobs_of, again["metadata"]["uid"]) == []

    # Where an example went.
    example = await example_of(env, first["dataset"])
    said = await run_modelops(env, "lineage", "--example", example, "-n", namespace)
    assert all(one["dataset"]["repo"] in said for one in (first, second, third))
    assert "v1.2.0 of docs" in said
    assert "trained on it, deployed, current stable" in said
    answer = json.loads(await run_modelops(env, "lineage", "--example", example, "-o", "json"))
    assert {m["repo"] for m in answer["models"]} >= set(models)
    assert {m["current"] for m in answer["models"]} == {None}
    nobody = "00000000-0000-0000-0000-000000000000"
    assert "in no prepared dataset" in await run_modelops(env, "lineage", "--example", nobody, expect=1)
    said = await run_modelops(env, "lineage", "v1.2.0", "-n", namespace)
    assert all(words in said for words in (models[1], second["dataset"]["digest"], "num_epochs=2"))
    await run_modelops(env, "lineage", "v9.9.9", "-n", namespace, expect=1)

    # What is old goes; a dry run changes nothing.
    old = ("prune", *where, "--older-than", "0s", "--keep", "1")
    said = await run_modelops(env, *old)
    assert "nothing was changed" in said
    assert await exists(env, models[0])
    await run_modelops(env, "prune", *where)  # 90 days
    said = await run_modelops(env, *old, "--yes")
    assert [await exists(env, repo) for repo in models] == [False, True, True]
    data = [one["dataset"]["repo"] for one in (first, second, third)]
    assert [await exists(env, repo, "dataset") for repo in data] == [False, True, True]
    assert "stable of docs" in said
    assert "one of the newest 1 versions" in said
    entry = (await env.read_record()).history[0]
    assert entry.lineage[PRUNING] <= entry.lineage[PRUNED]

    # Nothing returns to what is gone.
    await env.api.create(manifests.rollout("undo", {"version": "v1.1.0-rc.1"}))
    refused = await env.api.wait_until_finished("Rollout", "undo")
    assert status(refused)["reason"] == "CandidateNotFound", status_summary(refused)
    assert "was removed from the Hub by `modelops prune`" in ready_message(refused)
    assert (await env.read_record()).active is None

    # An example goes with what was trained on it; what serves stays, and says what to do first.
    gone = ("prune", *where, "--example", example)
    said = await run_modelops(env, *gone, expect=1)
    assert "promote another version" in said
    said = await run_modelops(env, *gone, "--yes", expect=1)
    assert [await exists(env, repo) for repo in models] == [False, True, False]
    assert [await exists(env, repo, "dataset") for repo in data] == [False, True, False]
