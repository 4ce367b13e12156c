"""A record is lost with the runs that it knew, and comes back from the Hub; what is old goes, and nothing else."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from tests.e2e import manifests
from tests.e2e.api import message, status, told
from tests.e2e.canary import QUICK
from tests.e2e.commands import modelops
from tests.e2e.stage import Stage

from modelops.domain.record import PRUNED, PRUNING, Record
from modelops.domain.versions import parse
from modelops.ports import Json
from modelops.sandbox.hub.seeds import BASE_MODEL

RECORD = "docs-modelops-record"


async def trained(here: Stage, name: str, epochs: int) -> Json:
    """The status of a run that has ended."""
    run = manifests.training_run(name, base_model=BASE_MODEL, config={"numEpochs": epochs})
    await here.api.create(run)
    found = await here.api.complete("TrainingRun", name)
    assert status(found)["phase"] == "Succeeded", told(found)
    return status(found)


async def promoted(here: Stage, name: str, run: str) -> None:
    given: Any = {**manifests.IMMEDIATE, "evaluation": QUICK}
    await here.api.create(manifests.rollout(name, {"trainingRunRef": {"name": run}}, **given))
    found = await here.api.complete("Rollout", name)
    assert status(found)["reason"] == "Promoted", told(found)


async def forgotten(here: Stage, kind: str, name: str) -> Json:
    """Deleted; returns it as it can be created again."""
    found = await here.api.get(kind, name)
    assert found is not None
    await here.api.delete(kind, name)
    await here.api.gone(kind, name)
    return {key: found[key] for key in ("apiVersion", "kind", "spec")} | {"metadata": {"name": name}}


async def version_of_record(here: Stage) -> str:
    found = await here.api.get("ConfigMap", RECORD)
    assert found is not None
    return str(found["metadata"]["resourceVersion"])


def numbers(record: Record) -> set[str]:
    return {str(parse(version)) for version in record.allocated}


async def exists(here: Stage, repo: str, kind: str = "model") -> bool:
    return await asyncio.to_thread(here.cloud.hf.repo_exists, repo, repo_type=kind)


async def example_of(here: Stage, dataset: Json) -> str:
    """The id of an example that was trained on."""
    path = await asyncio.to_thread(
        here.cloud.hf.hf_hub_download,
        dataset["repo"],
        "examples.json",
        revision=dataset["revision"],
        repo_type="dataset",
        local_dir=here.folder / "examples",
    )
    return str(json.loads(Path(path).read_text())["train"][0])


async def test_a_lost_record_comes_back_from_the_hub_and_what_is_old_goes(here: Stage) -> None:
    namespace = here.api.namespace
    where = ("docs", "-n", namespace)
    await asyncio.to_thread(here.agents)
    await here.agent_model()
    await here.start()
    first, second = await trained(here, "first", 1), await trained(here, "second", 2)
    await promoted(here, "to-second", "second")
    third = await trained(here, "third", 3)
    before = await here.record()
    assert [entry.version for entry in before.history] == ["v1.1.0-rc.1", "v1.2.0", "v1.3.0-rc.1"]
    models = [one["model"]["repo"] for one in (first, second, third)]

    # Everything that is known of the runs is lost, but for what the Hub has.
    manifests_of_runs = [await forgotten(here, "TrainingRun", name) for name in ("first", "second", "third")]
    await here.stop()
    await here.api.delete("ConfigMap", RECORD)
    said = await modelops(here, "registry", "rebuild", *where, "--dry-run")
    assert "record would be made from the cluster" in said
    assert all(f"({repo})" in said for repo in models)
    assert await here.api.get("ConfigMap", RECORD) is None
    said = await modelops(here, "registry", "rebuild", *where)
    assert "record made from the cluster" in said
    assert "+ TrainingRun first as completed: it trained v1.1.0-rc.1" in said
    record = await here.record()
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
    version = await version_of_record(here)
    assert "already has everything that the Hub knows" in await modelops(here, "registry", "rebuild", *where)
    assert await version_of_record(here) == version

    # What the record knows again is not done again.
    await here.start()
    await here.leading()
    await here.api.create(manifests_of_runs[0])
    again = await here.api.complete("TrainingRun", "first")
    assert status(again)["reason"] == "AlreadyCompleted", told(again)
    assert await asyncio.to_thread(here.cloud.jobs_of, again["metadata"]["uid"]) == []

    # Where an example went.
    example = await example_of(here, first["dataset"])
    said = await modelops(here, "lineage", "--example", example, "-n", namespace)
    assert all(one["dataset"]["repo"] in said for one in (first, second, third))
    assert "v1.2.0 of docs" in said
    assert "trained on it, deployed, current stable" in said
    answer = json.loads(await modelops(here, "lineage", "--example", example, "-o", "json"))
    assert {m["repo"] for m in answer["models"]} >= set(models)
    assert {m["current"] for m in answer["models"]} == {None}
    nobody = "00000000-0000-0000-0000-000000000000"
    assert "in no prepared dataset" in await modelops(here, "lineage", "--example", nobody, expect=1)
    said = await modelops(here, "lineage", "v1.2.0", "-n", namespace)
    assert all(words in said for words in (models[1], second["dataset"]["digest"], "num_epochs=2"))
    await modelops(here, "lineage", "v9.9.9", "-n", namespace, expect=1)

    # What is old goes; a dry run changes nothing.
    old = ("prune", *where, "--older-than", "0s", "--keep", "1")
    said = await modelops(here, *old)
    assert "nothing was changed" in said
    assert await exists(here, models[0])
    await modelops(here, "prune", *where)  # 90 days
    said = await modelops(here, *old, "--yes")
    assert [await exists(here, repo) for repo in models] == [False, True, True]
    data = [one["dataset"]["repo"] for one in (first, second, third)]
    assert [await exists(here, repo, "dataset") for repo in data] == [False, True, True]
    assert "stable of docs" in said
    assert "one of the newest 1 versions" in said
    entry = (await here.record()).history[0]
    assert entry.lineage[PRUNING] <= entry.lineage[PRUNED]

    # Nothing returns to what is gone.
    await here.api.create(manifests.rollout("undo", {"version": "v1.1.0-rc.1"}))
    refused = await here.api.complete("Rollout", "undo")
    assert status(refused)["reason"] == "CandidateNotFound", told(refused)
    assert "was removed from the Hub by `modelops prune`" in message(refused)
    assert (await here.record()).active is None

    # An example goes with what was trained on it; what serves stays, and says what to do first.
    gone = ("prune", *where, "--example", example)
    said = await modelops(here, *gone, expect=1)
    assert "promote another version" in said
    said = await modelops(here, *gone, "--yes", expect=1)
    assert [await exists(here, repo) for repo in models] == [False, True, False]
    assert [await exists(here, repo, "dataset") for repo in data] == [False, True, False]
