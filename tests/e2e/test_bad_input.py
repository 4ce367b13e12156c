"""Whatever is wrong with what people give: a message with the object, the field and the remedy, and nothing is spent."""

from __future__ import annotations

import asyncio
import json
import re
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
from tests.e2e.api import status, status_summary
from tests.e2e.canary import is_file_write
from tests.e2e.cloud import HELD_OUT, TRAIN, Cloud
from tests.e2e.environment import Environment, open_environment

from modelops.api.v1alpha1.names import RECORD_LABEL, record_name
from modelops.datasets.groups import digest
from modelops.domain.record import RegistryEntry, Target, initial_record
from modelops.localcluster import LocalCluster
from modelops.sandbox.hub.seeds import BASE_MODEL, GATED_MODEL
from modelops.sandbox.tokens import USER

Prepare = Callable[[Environment], Awaitable[Any]]


async def nothing(_: Environment) -> None:
    return None


def unlabelled(kind: str, name: str) -> Prepare:
    return lambda env: env.api.patch(
        kind, name, {"metadata": {"labels": {"modelops.code-chef.dev/managed": None}}}
    )


def gone(kind: str, name: str) -> Prepare:
    return lambda env: env.api.delete(kind, name)


def without_key(name: str, key: str) -> Prepare:
    return lambda env: env.api.patch("Secret", name, {"data": {key: None}})


def with_key(name: str, key: str, value: str) -> Prepare:
    return lambda env: env.api.patch("Secret", name, {"stringData": {key: value}})


def file(text: str) -> Prepare:
    return lambda env: env.write_agents_file(text)


async def model_without_a_size(env: Environment) -> None:
    """A base model that says neither in its files nor in its name how large it is."""
    hf = env.cloud.hf
    await asyncio.to_thread(hf.create_repo, UNSIZED, private=True, exist_ok=True)
    add = [CommitOperationAdd("config.json", b"{}")]
    await asyncio.to_thread(hf.create_commit, UNSIZED, add, commit_message="A model")


async def model_without_a_template(env: Environment) -> None:
    """A base model, and its sibling for conversations."""
    hf, token = env.cloud.hf, "<|endoftext|>"
    tokenizer = {"eos_token": token, "added_tokens_decoder": {"0": {"content": token}}}
    for repo in (ENDLESS, f"{ENDLESS}-Instruct"):
        add = [CommitOperationAdd("tokenizer_config.json", json.dumps(tokenizer).encode())]
        await asyncio.to_thread(hf.create_repo, repo, private=True, exist_ok=True)
        await asyncio.to_thread(hf.create_commit, repo, add, commit_message="A model")


async def trained_on_the_held_out(env: Environment) -> None:
    """A version of the agent that was trained on exactly what it would be judged on, on the Hub and on record."""
    cloud, repo = env.cloud, f"{USER}/data-{uuid.uuid4().hex[:8]}"
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
    await env.api.create(made)


def judged_on(dataset: str) -> dict[str, Any]:
    """A Rollout's spec with this evaluation dataset."""
    return {"evaluation": {**manifests.EVALUATION, "dataset": f"ls://{dataset}"}}


@dataclass(frozen=True)
class Bad:
    """One thing that is wrong. The message names the object `of`, the field `at` and what to do; and all `words`."""

    id: str
    reason: str
    of: str
    at: str
    remedy: str
    words: tuple[str, ...] = ()
    prepare: Prepare = nothing
    agent: dict[str, Any] | None = field(default_factory=dict)
    """Changes of the AgentModel's spec; None: there is no AgentModel."""
    spec: dict[str, Any] = field(default_factory=dict)
    uploads: bool = False
    """Whether it is found only when the dataset is on the Hub, since the price follows from it."""
    kind: str = "TrainingRun"

    def __post_init__(self) -> None:
        assert re.fullmatch(r"spec\.\w.*", self.at)
        assert all((self.of, self.remedy))

    @property
    def wanted(self) -> tuple[str, ...]:
        """What the message has."""
        return (self.of, self.at, self.remedy, *self.words)


def of_kind(kind: str, *cases: Bad) -> tuple[Bad, ...]:
    """The cases, of that kind."""
    return tuple(replace(case, kind=kind) for case in cases)


SETTINGS = {"trainingDataset": f"ls://{TRAIN}", "evaluationDataset": f"ls://{HELD_OUT}"}
ENDLESS = f"{USER}/endless-base"
UNSIZED = f"{USER}/unsized"
RUNS = (
    Bad("unknown-agent", "AgentModelNotFound", "AgentModel docs", "spec.agentModelRef", "create it", agent=None),
    Bad("no-secret", "SecretNotUsable", "Secret tokens", "spec.secretRefs.huggingFace", "create it", prepare=gone("Secret", "tokens")),
    Bad("unlabelled-secret", "SecretNotUsable", "Secret tokens", "spec.secretRefs.huggingFace", "add it", ("managed=true",), prepare=unlabelled("Secret", "tokens")),
    Bad("no-key", "SecretNotUsable", "Secret tokens", "spec.secretRefs.langsmith", "add it", ("no key langsmith",), prepare=without_key("tokens", "langsmith")),
    Bad("no-prompt", "NoPromptContract", "AgentModel docs", "spec.prompt", "add the prompt contract", agent={"prompt": None}),
    Bad("no-dataset-named", "NoDataset", "AgentModel docs", "spec.langsmith.trainingDataset", "set spec.dataset.langsmith in a new run", agent={"langsmith": None}),
    Bad("no-such-dataset", "DatasetRefused", "TrainingRun bad", "spec.dataset.langsmith ls://e2e-nobody", "check the name", spec={"dataset": {"langsmith": "ls://e2e-nobody"}}),
    Bad("no-such-dataset-of-the-agent", "DatasetRefused", "AgentModel docs", "spec.langsmith.trainingDataset ls://e2e-nobody", "check the name", agent={"langsmith": {"trainingDataset": "ls://e2e-nobody"}}),
    Bad("no-such-evaluation-dataset", "DatasetRefused", "AgentModel docs", "spec.langsmith.evaluationDataset ls://e2e-nobody", "check the name", agent={"langsmith": {**SETTINGS, "evaluationDataset": "ls://e2e-nobody"}}),
    Bad("empty-dataset", "DatasetRefused", "TrainingRun bad", "spec.dataset.langsmith ls://e2e-empty", "add some", spec={"dataset": {"langsmith": "ls://e2e-empty"}}),
    Bad("wrong-shape", "DatasetRefused", "TrainingRun bad", "spec.dataset.langsmith ls://e2e-shape", "Correct or remove them", ("outputs",), spec={"dataset": {"langsmith": "ls://e2e-shape"}}),
    Bad("too-few", "DatasetRefused", "TrainingRun bad", "spec.dataset.langsmith ls://e2e-few", "add at least", ("20 are needed",), spec={"dataset": {"langsmith": "ls://e2e-few"}}),
    Bad("template", "DatasetRefused", "AgentModel docs", "spec.prompt.user", "correct the template", ("inputs",), agent={"prompt": {**manifests.PROMPT, "user": "{{ inputs.nobody }}"}}),
    Bad("overlap", "DatasetRefused", "AgentModel docs", "spec.langsmith.evaluationDataset ls://e2e-train", "Remove them", ("spec.langsmith.trainingDataset ls://e2e-train",), agent={"langsmith": {**SETTINGS, "evaluationDataset": f"ls://{TRAIN}"}}),
    Bad("unknown-base", "BaseModelNotFound", "TrainingRun bad", "spec.baseModel nobody/nothing", "check the name", spec={"base_model": "nobody/nothing"}),
    Bad("gated-base", "BaseModelNotFound", "TrainingRun bad", f"spec.baseModel {GATED_MODEL}", "accept the model's terms", spec={"base_model": GATED_MODEL}),
    Bad("no-base", "NoBaseModel", "TrainingRun bad", "spec.baseModel", "set MODELOPS_DEFAULT_BASE_MODEL", spec={"base_model": None}),
    Bad("no-end-token", "NoEndToken", "AgentModel docs", "spec.prompt.eos", "before it set", (f"spec.baseModel {ENDLESS} of TrainingRun bad", f"use {ENDLESS}-Instruct", "<|endoftext|>"), prepare=model_without_a_template, spec={"base_model": ENDLESS}),
    Bad("no-such-token", "NoEndToken", "AgentModel docs", "spec.prompt.eos <|nobody|>", "correct it", ("<|endoftext|>",), prepare=model_without_a_template, spec={"base_model": ENDLESS}, agent={"prompt": {**manifests.PROMPT, "eos": "<|nobody|>"}}),
    Bad("unknown-flavor", "FlavorUnknown", "TrainingRun bad", "spec.backend.huggingFace.flavor 'abacus'", "choose one of", spec={"backend": {"huggingFace": {"flavor": "abacus"}}}),
    Bad("price-unknown", "PriceUnknown", "TrainingRun bad", f"spec.baseModel {UNSIZED}", "choose a model that has one", prepare=model_without_a_size, spec={"base_model": UNSIZED}, uploads=True),
    Bad("over-max", "OverMaxUSD", "TrainingRun bad", "spec.maxUSD", "raise it in a new run", spec={"maxUSD": "0.0001"}, uploads=True),
    Bad("over-approval", "NeedsApproval", "AgentModel docs", "spec.budget.approvalAboveUSD", "approve it with", agent={"budget": {"approvalAboveUSD": "0.0001"}}, uploads=True),
    Bad("over-budget", "OverBudget", "AgentModel docs", "spec.budget.monthlyUSD", "raise the budget", agent={"budget": {"monthlyUSD": "0.0001"}}, uploads=True),
)  # fmt: skip
TWO_KEYS = {
    kind: {"name": "tokens", "key": key} for kind, key in (("huggingFace", "hf"), ("langsmith", "langsmith"))
}
SERVING = {"accelerator": "cpu", "instanceType": "abacus", "instanceSize": "x1"}
ROLLOUTS = of_kind(
    "Rollout",
    Bad("unknown-agent", "AgentModelNotFound", "AgentModel docs", "spec.agentModelRef", "create it", agent=None),
    Bad("no-config-map", "AgentModelNotFound", "AgentModel docs", "spec.agentModelRef", "see its conditions", prepare=gone("ConfigMap", "agents")),
    Bad("no-secret", "SecretNotUsable", "Secret tokens", "spec.secretRefs.huggingFace", "create it", prepare=gone("Secret", "tokens")),
    Bad("unlabelled-secret", "SecretNotUsable", "Secret tokens", "spec.secretRefs.huggingFace", "add it", ("managed=true",), prepare=unlabelled("Secret", "tokens")),
    Bad("no-key", "SecretNotUsable", "Secret tokens", "spec.secretRefs.openRouter", "add it", ("no key openrouter",), prepare=without_key("tokens", "openrouter")),
    Bad("no-openrouter-key", "SecretNotUsable", "AgentModel docs", "spec.secretRefs.openRouter", "name the Secret", agent={"secretRefs": TWO_KEYS}),
    Bad("wrong-openrouter-key", "EvaluationRefused", "AgentModel docs", "spec.secretRefs.openRouter", "correct the Secret", prepare=with_key("tokens", "openrouter", "sk-or-v1-wrong")),
    Bad("no-prompt", "NoPromptContract", "AgentModel docs", "spec.prompt", "add the prompt contract", agent={"prompt": None}),
    Bad("no-dataset", "NoDataset", "AgentModel docs", "spec.langsmith.evaluationDataset", "set spec.evaluation.dataset in a new rollout", agent={"langsmith": None}),
    Bad("no-such-dataset", "EvaluationRefused", "Rollout bad", "spec.evaluation.dataset ls://e2e-nobody", "check the name", spec=judged_on("e2e-nobody")),
    Bad("no-such-dataset-of-the-agent", "EvaluationRefused", "AgentModel docs", "spec.langsmith.evaluationDataset ls://e2e-nobody", "check the name", agent={"langsmith": {"evaluationDataset": "ls://e2e-nobody"}}),
    Bad("empty-dataset", "EvaluationRefused", "Rollout bad", "spec.evaluation.dataset ls://e2e-empty", "add some", spec=judged_on("e2e-empty")),
    Bad("wrong-shape", "EvaluationRefused", "AgentModel docs", "spec.prompt.assistant", "correct the template", ("docstring",), spec=judged_on("e2e-shape")),
    Bad("overlap", "EvaluationRefused", "AgentModel docs", f"spec.langsmith.evaluationDataset ls://{HELD_OUT}", "give the Rollout's spec.evaluation.dataset examples", ("trained on",), prepare=trained_on_the_held_out, spec={"candidate": {"version": "v1.1.0-rc.1"}}),
    Bad("price-unknown", "PriceUnknown", "AgentModel docs", "spec.serving", "choose a place and hardware", ("abacus",), agent={"serving": SERVING}),
    Bad("unknown-version", "CandidateNotFound", "Rollout bad", "spec.candidate.version v9.9.9", "name one that is, in a new rollout: v1.0.0", spec={"candidate": {"version": "v9.9.9"}}),
    Bad("unknown-model", "CandidateNotFound", "Rollout bad", "spec.candidate.model nobody/nothing", "check repository and commit", ("spec.secretRefs.huggingFace of AgentModel docs",), spec={"candidate": {"model": {"repo": "nobody/nothing", "revision": "0" * 40}}}),
    Bad("already-stable", "CandidateNotFound", "Rollout bad", "spec.candidate.version", "name another one in a new rollout", ("v1.0.0", "already serves"), spec={"candidate": {"version": "v1.0.0"}}),
    Bad("over-max", "OverMaxUSD", "Rollout bad", "spec.maxUSD", "raise it in a new rollout", spec={"maxUSD": "0.0001"}),
    Bad("over-approval", "NeedsApproval", "AgentModel docs", "spec.budget.approvalAboveUSD", "raise that", agent={"budget": {"approvalAboveUSD": "0.0001"}}),
    Bad("over-budget", "OverBudget", "AgentModel docs", "spec.budget.monthlyUSD", "raise the budget", agent={"budget": {"monthlyUSD": "0.0001"}}),
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
    Bad("no-config-map", "ConfigNotUsable", "ConfigMap agents", "spec.config.configMapRef", "create it", prepare=gone("ConfigMap", "agents")),
    Bad("unlabelled-config-map", "ConfigNotUsable", "ConfigMap agents", "spec.config.configMapRef", "add it", ("managed=true",), prepare=unlabelled("ConfigMap", "agents")),
    Bad("no-key", "ConfigNotUsable", "ConfigMap agents", "spec.config.configMapRef.key", "add it", ("no key agents.yaml",), prepare=lambda env: env.api.patch("ConfigMap", "agents", {"data": {"agents.yaml": None}})),
    Bad("malformed-file", "ConfigNotUsable", "ConfigMap agents, key agents.yaml", "spec.config.configMapRef", "correct the file", ("line",), prepare=file(MALFORMED)),
    Bad("agent-not-in-file", "ConfigNotUsable", "ConfigMap agents, key agents.yaml", "spec.config.configMapRef", "add it under `agents:`", ("docs",), prepare=file("agents:\n  cicd: {model: a/b}\n")),
    Bad("bad-weight", "ConfigNotUsable", "ConfigMap agents, key agents.yaml", "spec.config.configMapRef", "it must be an integer from 0 to 100", ("weight", "120"), prepare=file(BAD_WEIGHT)),
    Bad("no-secret", "SecretNotUsable", "Secret tokens", "spec.secretRefs.huggingFace", "create it", prepare=gone("Secret", "tokens")),
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


async def says(env: Environment, case: Bad) -> str:
    """Waits until a condition of that reason has all the words; what is wrong, or nothing."""

    def told_so(item: dict[str, Any]) -> bool:
        return any(
            reason == case.reason and all(w in text for w in case.wanted) for reason, text in conditions(item)
        )

    name = "docs" if case.kind == "AgentModel" else "bad"
    try:
        await env.api.wait_until(case.kind, name, told_so, seconds=60)
        await nothing_is_held(env)
    except AssertionError:
        found = await env.api.get(case.kind, name) or {}
        return f"{case.id}: wanted {case.reason} with {case.wanted}: {status_summary(found)}; {conditions(found)}"
    return ""


async def nothing_is_held(env: Environment) -> None:
    """No money, no endpoint and no claim on record, and no routing in the file."""
    if await env.api.get("ConfigMap", "docs-modelops-record"):
        record = await env.read_record()
        assert (record.reservations, record.endpoints, record.active) == ({}, (), None)


@asynccontextmanager
async def one_operator_for(
    cases: Sequence[Bad], cluster: LocalCluster, cloud: Cloud, kubectl: Kubectl, folder: Path
) -> AsyncIterator[dict[str, Environment]]:
    """A namespace for each case, and one operator that watches them all."""
    async with AsyncExitStack() as stack:
        stages: dict[str, Environment] = {}
        for case in cases:
            namespace = f"bad-{uuid.uuid4().hex[:8]}"
            await asyncio.to_thread(kubectl, "create", "namespace", namespace, check=True)
            stack.callback(kubectl, "delete", "namespace", namespace, "--wait=false")
            made = open_environment(cluster, cloud, namespace, folder / case.id)
            stages[case.id] = await stack.enter_async_context(made)
        first = stages[cases[0].id]
        watched = ",".join(env.api.namespace for env in stages.values())
        await first.start_operator(MODELOPS_WATCH_NAMESPACES=watched)
        await first.wait_until_leading()
        yield stages
        owners = {
            run["metadata"]["uid"]: name
            for name, env in stages.items()
            for run in await env.api.list("TrainingRun")
        }
        spent = [
            f"{write.summary} for {[name for uid, name in owners.items() if uid.encode() in write.body]}"
            for write in first.recorder.writes
            if write.service == "endpoints" or "/api/jobs/" in write.path or is_file_write(write)
        ]
        assert not spent
        may_upload = {case.id for case in cases if case.uploads}
        kept = {uid: name for uid, name in owners.items() if name not in may_upload}
        uploaded = [write for write in first.recorder.writes if "/api/datasets/" in write.path]
        assert not [
            f"{w.summary} for {of}" for w in uploaded for uid, of in kept.items() if uid[:6] in w.path
        ]
        assert bool(uploaded) == bool(may_upload), "a look for uploads that would see none"


@pytest.mark.parametrize("cases", [RUNS, ROLLOUTS, AGENTS], ids=["runs", "rollouts", "agents"])
async def test_what_is_wrong_is_said_and_nothing_is_spent(
    cases: tuple[Bad, ...],
    cluster: LocalCluster,
    cloud: Cloud,
    kubectl: Kubectl,
    tmp_path: Path,
    datasets: None,
) -> None:
    candidate = await asyncio.to_thread(cloud.create_candidate)

    async def one(env: Environment, case: Bad) -> str:
        await case.prepare(env)
        if case.agent is not None:
            await env.create_agent_model(**case.agent)
        if case.kind == "TrainingRun":
            await env.api.create(manifests.training_run("bad", **{"base_model": BASE_MODEL, **case.spec}))
        if case.kind == "Rollout":
            given = {"candidate": {"model": candidate}, **case.spec}
            await env.api.create(manifests.rollout("bad", **given))
        return await says(env, case)

    async with one_operator_for(cases, cluster, cloud, kubectl, tmp_path) as stages:
        wrong = await asyncio.gather(*(one(stages[case.id], case) for case in cases))
    assert not list(filter(None, wrong)), "\n".join(filter(None, wrong))
