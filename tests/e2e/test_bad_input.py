"""Whatever is wrong with what people give: a message with the object, the field and the remedy, and nothing is spent."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import CommitOperationAdd
from tests.conftest import Kubectl
from tests.contract.learning import fill_dataset, langsmith_examples
from tests.e2e import manifests
from tests.e2e.api import status, told
from tests.e2e.canary import is_file_write
from tests.e2e.cloud import HELD_OUT, TRAIN, Cloud
from tests.e2e.stage import Stage, stage

from modelops.api.v1alpha1.names import RECORD_LABEL, record_name
from modelops.datasets.groups import digest
from modelops.domain.record import RegistryEntry, Target, initial_record
from modelops.localcluster import LocalCluster
from modelops.sandbox.hub.seeds import BASE_MODEL, GATED_MODEL
from modelops.sandbox.tokens import USER

Prepare = Callable[[Stage], Awaitable[Any]]


async def nothing(_: Stage) -> None:
    return None


def unlabelled(kind: str, name: str) -> Prepare:
    return lambda here: here.api.patch(
        kind, name, {"metadata": {"labels": {"modelops.code-chef.dev/managed": None}}}
    )


def gone(kind: str, name: str) -> Prepare:
    return lambda here: here.api.delete(kind, name)


def without_key(name: str, key: str) -> Prepare:
    return lambda here: here.api.patch("Secret", name, {"data": {key: None}})


def with_key(name: str, key: str, value: str) -> Prepare:
    return lambda here: here.api.patch("Secret", name, {"stringData": {key: value}})


def file(text: str) -> Prepare:
    return lambda here: here.write_file(text)


async def trained_on_the_held_out(here: Stage) -> None:
    """A version of the agent that was trained on exactly what it would be judged on, on the Hub and on record."""
    cloud, repo = here.cloud, f"{USER}/data-{uuid.uuid4().hex[:8]}"
    groups = {"form": "groups/v1", "train": [digest(e["inputs"]) for e in langsmith_examples(cloud.held_out)]}
    adds = [CommitOperationAdd("groups.json", json.dumps(groups).encode())]
    await asyncio.to_thread(cloud.hf.create_repo, repo, repo_type="dataset", private=True)
    commit = await asyncio.to_thread(
        cloud.hf.create_commit, repo, adds, commit_message="groups", repo_type="dataset"
    )
    model = {"name": f"{USER}/learnt-by-heart", "revision": "a" * 40}
    stable = Target(
        version="v1.0.0",
        model=manifests.BASELINE,
        endpoint="openrouter",
        endpoint_url=cloud.sandbox.openrouter,
        api_key_env="OPENROUTER_API_KEY",
    )
    entry = RegistryEntry(
        version="v1.1.0-rc.1",
        model=model["name"],
        base_model=BASE_MODEL,
        training_method="sft",
        training_dataset=f"ls://{HELD_OUT}",
        trained_at="2025-12-09T22:00:00Z",
        hub_repo=model["name"],
        deployment_status="trained",
        lineage={"revision": model["revision"], "dataset": {"repo": repo, "revision": str(commit.oid)}},
    )
    record = initial_record(
        agent="docs", config_map="agents", config_key="agents.yaml", stable=stable, now=entry.trained_at
    ).with_(history=(entry,))
    made = manifests.config_map(record_name("docs"), dict(record.to_data()))
    made["metadata"]["labels"] = {**manifests.MANAGED, RECORD_LABEL: "docs"}
    await here.api.create(made)


def judged_on(dataset: str) -> dict[str, Any]:
    """A Rollout's spec with this evaluation dataset."""
    return {"evaluation": {**manifests.EVALUATION, "dataset": f"ls://{dataset}"}}


@dataclass(frozen=True)
class Bad:
    """One thing that is wrong. `words`: all of them are in the message."""

    id: str
    reason: str
    words: tuple[str, ...]
    prepare: Prepare = nothing
    agent: dict[str, Any] | None = field(default_factory=dict)
    """Changes of the AgentModel's spec; None: there is no AgentModel."""
    spec: dict[str, Any] = field(default_factory=dict)
    kind: str = "TrainingRun"


def of_kind(kind: str, *cases: Bad) -> tuple[Bad, ...]:
    """The cases, of that kind."""
    return tuple(replace(case, kind=kind) for case in cases)


SETTINGS = {"trainingDataset": f"ls://{TRAIN}", "evaluationDataset": f"ls://{HELD_OUT}"}
RUNS = (
    Bad("unknown-agent", "AgentModelNotFound", ("AgentModel docs", "spec.agentModelRef", "create it"), agent=None),
    Bad("no-secret", "SecretNotUsable", ("Secret tokens", "spec.secretRefs", "create it"), prepare=gone("Secret", "tokens")),
    Bad("unlabelled-secret", "SecretNotUsable", ("Secret tokens", "managed=true", "add it"), prepare=unlabelled("Secret", "tokens")),
    Bad("no-key", "SecretNotUsable", ("Secret tokens", "no key langsmith", "add it"), prepare=without_key("tokens", "langsmith")),
    Bad("no-prompt", "NoPromptContract", ("AgentModel docs", "spec.prompt", "add"), agent={"prompt": None}),
    Bad("no-dataset-named", "NoDataset", ("spec.dataset.langsmith", "AgentModel docs"), agent={"langsmith": None}),
    Bad("no-such-dataset", "DatasetRefused", ("e2e-nobody",), spec={"dataset": {"langsmith": "ls://e2e-nobody"}}),
    Bad("empty-dataset", "DatasetRefused", ("'e2e-empty'", "add"), spec={"dataset": {"langsmith": "ls://e2e-empty"}}),
    Bad("wrong-shape", "DatasetRefused", ("'e2e-shape'", "outputs", "Correct or remove"), spec={"dataset": {"langsmith": "ls://e2e-shape"}}),
    Bad("too-few", "DatasetRefused", ("'e2e-few'", "20 are needed", "add"), spec={"dataset": {"langsmith": "ls://e2e-few"}}),
    Bad("template", "DatasetRefused", ("spec.prompt.user", "inputs"), agent={"prompt": {**manifests.PROMPT, "user": "{{ inputs.nobody }}"}}),
    Bad("overlap", "DatasetRefused", ("'e2e-train'", "evaluation dataset", "Remove them"), agent={"langsmith": {**SETTINGS, "evaluationDataset": f"ls://{TRAIN}"}}),
    Bad("unknown-base", "BaseModelNotFound", ("spec.baseModel nobody/nothing", "check the name"), spec={"base_model": "nobody/nothing"}),
    Bad("gated-base", "BaseModelNotFound", (f"spec.baseModel {GATED_MODEL}", "terms"), spec={"base_model": GATED_MODEL}),
    Bad("unknown-flavor", "FlavorUnknown", ("spec.backend.huggingFace.flavor", "abacus", "choose one of"), spec={"backend": {"huggingFace": {"flavor": "abacus"}}}),
    Bad("over-max", "OverMaxUSD", ("spec.maxUSD", "raise it in a new run"), spec={"maxUSD": "0.0001"}),
    Bad("over-approval", "NeedsApproval", ("budget.approvalAboveUSD", "AgentModel docs", "raise that"), agent={"budget": {"approvalAboveUSD": "0.0001"}}),
    Bad("over-budget", "OverBudget", ("budget.monthlyUSD", "AgentModel docs"), agent={"budget": {"monthlyUSD": "0.0001"}}),
)  # fmt: skip
TWO_KEYS = {
    kind: {"name": "tokens", "key": key} for kind, key in (("huggingFace", "hf"), ("langsmith", "langsmith"))
}
SERVING = {"accelerator": "cpu", "instanceType": "abacus", "instanceSize": "x1"}
ROLLOUTS = of_kind(
    "Rollout",
    Bad("unknown-agent", "AgentModelNotFound", ("AgentModel docs", "spec.agentModelRef", "create it"), agent=None),
    Bad("no-config-map", "AgentModelNotFound", ("AgentModel docs", "conditions"), prepare=gone("ConfigMap", "agents")),
    Bad("no-secret", "SecretNotUsable", ("Secret tokens", "spec.secretRefs", "create it"), prepare=gone("Secret", "tokens")),
    Bad("unlabelled-secret", "SecretNotUsable", ("Secret tokens", "managed=true", "add it"), prepare=unlabelled("Secret", "tokens")),
    Bad("no-key", "SecretNotUsable", ("Secret tokens", "no key openrouter", "add it"), prepare=without_key("tokens", "openrouter")),
    Bad("no-prompt", "NoPromptContract", ("AgentModel docs", "spec.prompt", "add"), agent={"prompt": None}),
    Bad("no-dataset", "NoDataset", ("spec.evaluation.dataset", "AgentModel docs"), agent={"langsmith": None}),
    Bad("price-unknown", "PriceUnknown", ("spec.serving", "abacus", "AgentModel docs"), agent={"serving": SERVING}),
    Bad("unknown-version", "CandidateNotFound", ("spec.candidate.version v9.9.9", "v1.0.0"), spec={"candidate": {"version": "v9.9.9"}}),
    Bad("unknown-model", "CandidateNotFound", ("spec.candidate.model nobody/nothing", "Hub"), spec={"candidate": {"model": {"repo": "nobody/nothing", "revision": "0" * 40}}}),
    Bad("already-stable", "CandidateNotFound", ("v1.0.0", "already"), spec={"candidate": {"version": "v1.0.0"}}),
    Bad("no-openrouter-key", "SecretNotUsable", ("AgentModel docs", "spec.secretRefs.openRouter", "name the Secret"), agent={"secretRefs": TWO_KEYS}),
    Bad("wrong-openrouter-key", "EvaluationRefused", ("AgentModel docs", "spec.secretRefs.openRouter", "correct the Secret"), prepare=with_key("tokens", "openrouter", "sk-or-v1-wrong")),
    Bad("no-such-dataset", "EvaluationRefused", ("e2e-nobody", "check the name"), spec=judged_on("e2e-nobody")),
    Bad("empty-dataset", "EvaluationRefused", ("'e2e-empty'", "add some"), spec=judged_on("e2e-empty")),
    Bad("wrong-shape", "EvaluationRefused", ("spec.prompt.assistant", "docstring", "correct the template"), spec=judged_on("e2e-shape")),
    Bad("overlap", "EvaluationRefused", ("'e2e-held-out'", "trained on", "spec.evaluation.dataset"), prepare=trained_on_the_held_out, spec={"candidate": {"version": "v1.1.0-rc.1"}}),
    Bad("over-max", "OverMaxUSD", ("spec.maxUSD",), spec={"maxUSD": "0.0001"}),
    Bad("over-approval", "NeedsApproval", ("budget.approvalAboveUSD",), agent={"budget": {"approvalAboveUSD": "0.0001"}}),
    Bad("over-budget", "OverBudget", ("budget.monthlyUSD",), agent={"budget": {"monthlyUSD": "0.0001"}}),
)  # fmt: skip
MALFORMED = "agents:\n  docs:\n    model: [\n"
BAD_WEIGHT = (
    "agents:\n  docs:\n    model: modelops-sandbox/name-as-sentence\n    endpoint: openrouter\n    version: v1.0.0\n"
    "    routing:\n      generation: 7\n      salt: somebody\n"
    "      rollout: {uid: somebody, step: 1, state: Progressing}\n"
    "      canary_until: 2099-01-01T00:00:00Z\n      canary: {weight: 120, model: org/other}\n"
)
AGENTS = of_kind(
    "AgentModel",
    Bad("no-config-map", "ConfigNotUsable", ("ConfigMap agents", "spec.config.configMapRef", "create it"), prepare=gone("ConfigMap", "agents")),
    Bad("unlabelled-config-map", "ConfigNotUsable", ("ConfigMap agents", "managed=true", "add it"), prepare=unlabelled("ConfigMap", "agents")),
    Bad("no-key", "ConfigNotUsable", ("ConfigMap agents", "no key agents.yaml", "add it"), prepare=lambda here: here.api.patch("ConfigMap", "agents", {"data": {"agents.yaml": None}})),
    Bad("malformed-file", "ConfigNotUsable", ("ConfigMap agents, key agents.yaml", "line"), prepare=file(MALFORMED)),
    Bad("agent-not-in-file", "ConfigNotUsable", ("ConfigMap agents, key agents.yaml", "docs"), prepare=file("agents:\n  cicd: {model: a/b}\n")),
    Bad("bad-weight", "ConfigNotUsable", ("ConfigMap agents, key agents.yaml", "weight", "120"), prepare=file(BAD_WEIGHT)),
    Bad("no-secret", "SecretNotUsable", ("Secret tokens", "create it"), prepare=gone("Secret", "tokens")),
)  # fmt: skip


@pytest.fixture(scope="module")
def datasets(cloud: Cloud) -> None:
    """Those that nothing can be learnt from."""
    from modelops.adapters.langsmith.connection import LangSmithConnection

    sandbox = cloud.sandbox
    client = LangSmithConnection(
        api_url=sandbox.langsmith, api_key=sandbox.langsmith_key, attempts=1
    ).client()
    examples = langsmith_examples(cloud.train)
    fill_dataset(client, "e2e-empty", [])
    fill_dataset(client, "e2e-shape", [*examples[:-1], {**examples[-1], "outputs": {}}])
    fill_dataset(client, "e2e-few", examples[:5])
    client.close(timeout=0)


def conditions(item: dict[str, Any]) -> list[tuple[str, str]]:
    """Reason and message of every condition."""
    return [(c["reason"], c["message"]) for c in status(item).get("conditions", ())]


async def says(here: Stage, case: Bad) -> str:
    """Waits until a condition of that reason has all the words; what is wrong, or nothing."""

    def told_so(item: dict[str, Any]) -> bool:
        return any(
            reason == case.reason and all(w in text for w in case.words) for reason, text in conditions(item)
        )

    name = "docs" if case.kind == "AgentModel" else "bad"
    try:
        await here.api.until(case.kind, name, told_so, seconds=60)
        await nothing_is_held(here)
    except AssertionError:
        found = await here.api.get(case.kind, name) or {}
        return f"{case.id}: wanted {case.reason} with {case.words}: {told(found)}; {conditions(found)}"
    return ""


async def nothing_is_held(here: Stage) -> None:
    """No money, no endpoint and no claim on record, and no routing in the file."""
    if await here.api.get("ConfigMap", "docs-modelops-record"):
        record = await here.record()
        assert (record.reservations, record.endpoints, record.active) == ({}, (), None)


@asynccontextmanager
async def one_operator_for(
    cases: Sequence[Bad], cluster: LocalCluster, cloud: Cloud, kubectl: Kubectl, folder: Path
) -> AsyncIterator[dict[str, Stage]]:
    """A namespace for each case, and one operator that watches them all."""
    async with AsyncExitStack() as stack:
        stages: dict[str, Stage] = {}
        for case in cases:
            namespace = f"bad-{uuid.uuid4().hex[:8]}"
            await asyncio.to_thread(kubectl, "create", "namespace", namespace, check=True)
            stack.callback(kubectl, "delete", "namespace", namespace, "--wait=false")
            made = stage(cluster, cloud, namespace, folder / case.id)
            stages[case.id] = await stack.enter_async_context(made)
        first = stages[cases[0].id]
        watched = ",".join(here.api.namespace for here in stages.values())
        await first.start(MODELOPS_WATCH_NAMESPACES=watched)
        await first.leading()
        yield stages
        owners = {
            run["metadata"]["uid"].encode(): name
            for name, here in stages.items()
            for run in await here.api.list("TrainingRun")
        }
        spent = [
            f"{write.line} for {[name for uid, name in owners.items() if uid in write.body]}"
            for write in first.recorder.writes
            if write.service == "endpoints" or "/api/jobs/" in write.path or is_file_write(write)
        ]
        assert not spent


@pytest.mark.parametrize("cases", [RUNS, ROLLOUTS, AGENTS], ids=["runs", "rollouts", "agents"])
async def test_what_is_wrong_is_said_and_nothing_is_spent(
    cases: tuple[Bad, ...],
    cluster: LocalCluster,
    cloud: Cloud,
    kubectl: Kubectl,
    tmp_path: Path,
    datasets: None,
) -> None:
    candidate = await asyncio.to_thread(cloud.candidate)

    async def one(here: Stage, case: Bad) -> str:
        await case.prepare(here)
        if case.agent is not None:
            await here.agent_model(**case.agent)
        if case.kind == "TrainingRun":
            await here.api.create(manifests.training_run("bad", **{"base_model": BASE_MODEL, **case.spec}))
        if case.kind == "Rollout":
            given = {"candidate": {"model": candidate}, **case.spec}
            await here.api.create(manifests.rollout("bad", **given))
        return await says(here, case)

    async with one_operator_for(cases, cluster, cloud, kubectl, tmp_path) as stages:
        wrong = await asyncio.gather(*(one(stages[case.id], case) for case in cases))
    assert not list(filter(None, wrong)), "\n".join(filter(None, wrong))
