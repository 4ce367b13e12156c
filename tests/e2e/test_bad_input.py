"""Invalid input is reported with the object, the field and the remedy; no money is spent; and the remedy works."""

from __future__ import annotations

import asyncio
import json
import re
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import CommitOperationAdd
from tests.conftest import Kubectl
from tests.contract.learning import fill_dataset, langsmith_examples
from tests.e2e import manifests
from tests.e2e.api import condition, status, status_summary
from tests.e2e.canary import is_file_write
from tests.e2e.cloud import HELD_OUT, TRAIN, Cloud
from tests.e2e.environment import Environment, open_environment
from tests.namespaces import remove_namespace

from modelops.api.v1alpha1.names import RECORD_LABEL, record_name
from modelops.datasets.normalised_inputs import inputs_digest
from modelops.domain.record import RegistryEntry, Target, initial_record
from modelops.localcluster import LocalCluster
from modelops.sandbox.hub.seeds import BASE_MODEL, GATED_MODEL
from modelops.sandbox.tokens import USER

Prepare = Callable[[Environment], Awaitable[Any]]


async def change_nothing(_: Environment) -> None:
    return None


def remove_managed_label(kind: str, name: str) -> Prepare:
    return lambda env: env.api.patch(
        kind, name, {"metadata": {"labels": {"modelops.code-chef.dev/managed": None}}}
    )


def delete(kind: str, name: str) -> Prepare:
    return lambda env: env.api.delete(kind, name)


def remove_secret_key(name: str, key: str) -> Prepare:
    return lambda env: env.api.patch("Secret", name, {"data": {key: None}})


def set_secret_key(name: str, key: str, value: str) -> Prepare:
    return lambda env: env.api.patch("Secret", name, {"stringData": {key: value}})


def set_agents_file(text: str) -> Prepare:
    return lambda env: env.write_agents_file(text)


async def create_model_of_unknown_size(env: Environment) -> None:
    """Creates a base model whose size is neither in its files nor in its name."""
    hf = env.cloud.hf
    await asyncio.to_thread(hf.create_repo, MODEL_OF_UNKNOWN_SIZE, private=True, exist_ok=True)
    add = [CommitOperationAdd("config.json", b"{}")]
    await asyncio.to_thread(hf.create_commit, MODEL_OF_UNKNOWN_SIZE, add, commit_message="A model")


async def create_models_without_template(env: Environment) -> None:
    """Creates a base model and its `-Instruct` sibling, both without a chat template."""
    hf, token = env.cloud.hf, "<|endoftext|>"
    tokenizer = {"eos_token": token, "added_tokens_decoder": {"0": {"content": token}}}
    for repo in (MODEL_WITHOUT_END_TOKEN, f"{MODEL_WITHOUT_END_TOKEN}-Instruct"):
        add = [CommitOperationAdd("tokenizer_config.json", json.dumps(tokenizer).encode())]
        await asyncio.to_thread(hf.create_repo, repo, private=True, exist_ok=True)
        await asyncio.to_thread(hf.create_commit, repo, add, commit_message="A model")


async def create_version_trained_on_held_out(env: Environment) -> None:
    """Creates a version of the agent, on the Hub and in the record, that was trained on its evaluation examples."""
    cloud, repo = env.cloud, f"{USER}/data-{uuid.uuid4().hex[:8]}"
    groups = {
        "form": "groups/v1",
        "train": [inputs_digest(e["inputs"]) for e in langsmith_examples(cloud.held_out)],
    }
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


def evaluation_on(dataset: str) -> dict[str, Any]:
    """A Rollout's spec with this evaluation dataset."""
    return {"evaluation": {**manifests.EVALUATION, "dataset": f"ls://{dataset}"}}


@dataclass(frozen=True)
class InvalidInput:
    """One invalid input. The message must have `object_name`, `field_name`, `remedy` and all `words`."""

    id: str
    reason: str
    object_name: str
    field_name: str
    remedy: str
    words: tuple[str, ...] = ()
    prepare: Prepare = change_nothing
    agent: dict[str, Any] | None = field(default_factory=dict)
    """Changes of the AgentModel's spec; with None no AgentModel is created."""
    spec: dict[str, Any] = field(default_factory=dict)
    uploads: bool = False
    """Whether the dataset is uploaded before the input is refused, because the price depends on the dataset."""
    kind: str = "TrainingRun"

    def __post_init__(self) -> None:
        assert re.fullmatch(r"spec\.\w.*", self.field_name)
        assert all((self.object_name, self.remedy))

    @property
    def expected_words(self) -> tuple[str, ...]:
        """The texts that the message must have."""
        return (self.object_name, self.field_name, self.remedy, *self.words)


def of_kind(kind: str, *cases: InvalidInput) -> tuple[InvalidInput, ...]:
    """The cases with this kind."""
    return tuple(replace(case, kind=kind) for case in cases)


SETTINGS = {"trainingDataset": f"ls://{TRAIN}", "evaluationDataset": f"ls://{HELD_OUT}"}
MODEL_WITHOUT_END_TOKEN = f"{USER}/endless-base"
MODEL_OF_UNKNOWN_SIZE = f"{USER}/unsized"
RUNS = (
    InvalidInput("unknown-agent", "AgentModelNotFound", "AgentModel docs", "spec.agentModelRef", "create it", agent=None),
    InvalidInput("no-secret", "SecretNotUsable", "Secret tokens", "spec.secretRefs.huggingFace", "create it", prepare=delete("Secret", "tokens")),
    InvalidInput("unlabelled-secret", "SecretNotUsable", "Secret tokens", "spec.secretRefs.huggingFace", "add it", ("managed=true",), prepare=remove_managed_label("Secret", "tokens")),
    InvalidInput("no-key", "SecretNotUsable", "Secret tokens", "spec.secretRefs.langsmith", "add it", ("no key langsmith",), prepare=remove_secret_key("tokens", "langsmith")),
    InvalidInput("no-prompt", "NoPromptContract", "AgentModel docs", "spec.prompt", "add the prompt contract", agent={"prompt": None}),
    InvalidInput("no-dataset-named", "NoDataset", "AgentModel docs", "spec.langsmith.trainingDataset", "set spec.dataset.langsmith in a new run", agent={"langsmith": None}),
    InvalidInput("no-such-dataset", "DatasetRefused", "TrainingRun bad", "spec.dataset.langsmith ls://e2e-unknown", "check the name", spec={"dataset": {"langsmith": "ls://e2e-unknown"}}),
    InvalidInput("no-such-dataset-of-the-agent", "DatasetRefused", "AgentModel docs", "spec.langsmith.trainingDataset ls://e2e-unknown", "check the name", agent={"langsmith": {"trainingDataset": "ls://e2e-unknown"}}),
    InvalidInput("no-such-evaluation-dataset", "DatasetRefused", "AgentModel docs", "spec.langsmith.evaluationDataset ls://e2e-unknown", "check the name", agent={"langsmith": {**SETTINGS, "evaluationDataset": "ls://e2e-unknown"}}),
    InvalidInput("empty-dataset", "DatasetRefused", "TrainingRun bad", "spec.dataset.langsmith ls://e2e-empty", "add some", spec={"dataset": {"langsmith": "ls://e2e-empty"}}),
    InvalidInput("wrong-shape", "DatasetRefused", "TrainingRun bad", "spec.dataset.langsmith ls://e2e-shape", "Correct or remove it", ("outputs",), spec={"dataset": {"langsmith": "ls://e2e-shape"}}),
    InvalidInput("too-few", "DatasetRefused", "TrainingRun bad", "spec.dataset.langsmith ls://e2e-few", "add at least", ("20 are needed",), spec={"dataset": {"langsmith": "ls://e2e-few"}}),
    InvalidInput("template", "DatasetRefused", "AgentModel docs", "spec.prompt.user", "correct the template", ("inputs",), agent={"prompt": {**manifests.PROMPT, "user": "{{ inputs.unknown }}"}}),
    InvalidInput("overlap", "DatasetRefused", "AgentModel docs", "spec.langsmith.evaluationDataset ls://e2e-train", "Remove them", ("spec.langsmith.trainingDataset ls://e2e-train",), agent={"langsmith": {**SETTINGS, "evaluationDataset": f"ls://{TRAIN}"}}),
    InvalidInput("unknown-base", "BaseModelNotFound", "TrainingRun bad", "spec.baseModel unknown/model", "check the name", spec={"base_model": "unknown/model"}),
    InvalidInput("gated-base", "BaseModelNotFound", "TrainingRun bad", f"spec.baseModel {GATED_MODEL}", "accept the model's terms", spec={"base_model": GATED_MODEL}),
    InvalidInput("no-base", "NoBaseModel", "TrainingRun bad", "spec.baseModel", "set MODELOPS_DEFAULT_BASE_MODEL", spec={"base_model": None}),
    InvalidInput("no-end-token", "NoEndToken", "AgentModel docs", "spec.prompt.eos", "before it set", (f"spec.baseModel {MODEL_WITHOUT_END_TOKEN} of TrainingRun bad", f"use {MODEL_WITHOUT_END_TOKEN}-Instruct", "<|endoftext|>"), prepare=create_models_without_template, spec={"base_model": MODEL_WITHOUT_END_TOKEN}),
    InvalidInput("no-such-token", "NoEndToken", "AgentModel docs", "spec.prompt.eos <|unknown|>", "correct it", ("<|endoftext|>",), prepare=create_models_without_template, spec={"base_model": MODEL_WITHOUT_END_TOKEN}, agent={"prompt": {**manifests.PROMPT, "eos": "<|unknown|>"}}),
    InvalidInput("unknown-flavor", "FlavorUnknown", "TrainingRun bad", "spec.backend.huggingFace.flavor 'abacus'", "choose one of", spec={"backend": {"huggingFace": {"flavor": "abacus"}}}),
    InvalidInput("price-unknown", "PriceUnknown", "TrainingRun bad", f"spec.baseModel {MODEL_OF_UNKNOWN_SIZE}", "choose a model that has one", prepare=create_model_of_unknown_size, spec={"base_model": MODEL_OF_UNKNOWN_SIZE}, uploads=True),
    InvalidInput("over-max", "OverMaxUSD", "TrainingRun bad", "spec.maxUSD", "raise it in a new run", spec={"maxUSD": "0.0001"}, uploads=True),
    InvalidInput("over-approval", "NeedsApproval", "AgentModel docs", "spec.budget.approvalAboveUSD", "approve it with", agent={"budget": {"approvalAboveUSD": "0.0001"}}, uploads=True),
    InvalidInput("over-budget", "OverBudget", "AgentModel docs", "spec.budget.monthlyUSD", "raise the budget", agent={"budget": {"monthlyUSD": "0.0001"}}, uploads=True),
)  # fmt: skip
TWO_KEYS = {
    kind: {"name": "tokens", "key": key} for kind, key in (("huggingFace", "hf"), ("langsmith", "langsmith"))
}
SERVING = {"accelerator": "cpu", "instanceType": "abacus", "instanceSize": "x1"}
ROLLOUTS = of_kind(
    "Rollout",
    InvalidInput("unknown-agent", "AgentModelNotFound", "AgentModel docs", "spec.agentModelRef", "create it", agent=None),
    InvalidInput("no-config-map", "AgentModelNotFound", "AgentModel docs", "spec.agentModelRef", "see its conditions", prepare=delete("ConfigMap", "agents")),
    InvalidInput("no-secret", "SecretNotUsable", "Secret tokens", "spec.secretRefs.huggingFace", "create it", prepare=delete("Secret", "tokens")),
    InvalidInput("unlabelled-secret", "SecretNotUsable", "Secret tokens", "spec.secretRefs.huggingFace", "add it", ("managed=true",), prepare=remove_managed_label("Secret", "tokens")),
    InvalidInput("no-key", "SecretNotUsable", "Secret tokens", "spec.secretRefs.openRouter", "add it", ("no key openrouter",), prepare=remove_secret_key("tokens", "openrouter")),
    InvalidInput("no-openrouter-key", "SecretNotUsable", "AgentModel docs", "spec.secretRefs.openRouter", "set it to the Secret", agent={"secretRefs": TWO_KEYS}),
    InvalidInput("wrong-openrouter-key", "EvaluationRefused", "AgentModel docs", "spec.secretRefs.openRouter", "correct the Secret", prepare=set_secret_key("tokens", "openrouter", "sk-or-v1-wrong")),
    InvalidInput("no-prompt", "NoPromptContract", "AgentModel docs", "spec.prompt", "add the prompt contract", agent={"prompt": None}),
    InvalidInput("no-dataset", "NoDataset", "AgentModel docs", "spec.langsmith.evaluationDataset", "set spec.evaluation.dataset in a new rollout", agent={"langsmith": None}),
    InvalidInput("no-such-dataset", "EvaluationRefused", "Rollout bad", "spec.evaluation.dataset ls://e2e-unknown", "check the name", spec=evaluation_on("e2e-unknown")),
    InvalidInput("no-such-dataset-of-the-agent", "EvaluationRefused", "AgentModel docs", "spec.langsmith.evaluationDataset ls://e2e-unknown", "check the name", agent={"langsmith": {"evaluationDataset": "ls://e2e-unknown"}}),
    InvalidInput("empty-dataset", "EvaluationRefused", "Rollout bad", "spec.evaluation.dataset ls://e2e-empty", "add some", spec=evaluation_on("e2e-empty")),
    InvalidInput("wrong-shape", "EvaluationRefused", "Rollout bad", "spec.evaluation.dataset ls://e2e-shape", "Correct or remove it", ("outputs",), spec=evaluation_on("e2e-shape")),
    InvalidInput("wrong-keys", "EvaluationRefused", "AgentModel docs", "spec.prompt.assistant", "correct the template", ("docstring",), spec=evaluation_on("e2e-keys")),
    InvalidInput("overlap", "EvaluationRefused", "AgentModel docs", f"spec.langsmith.evaluationDataset ls://{HELD_OUT}", "add examples that were not trained on to the dataset", ("trained on",), prepare=create_version_trained_on_held_out, spec={"candidate": {"version": "v1.1.0-rc.1"}}),
    InvalidInput("no-scorer", "EvaluationRefused", "Rollout bad", "spec.evaluation.scorer", "write scorer: {type: chrF", ("ScorerMissing", "are prose"), spec={"evaluation": {}}),
    InvalidInput("unknown-scorer", "EvaluationRefused", "AgentModel docs", "spec.langsmith.scorer", "Add the package to the image", ("ScorerUnknown", "'nobody'"), agent={"langsmith": {"evaluationDataset": f"ls://{HELD_OUT}", "scorer": {"type": "custom", "name": "nobody"}}}, spec={"evaluation": {}}),
    InvalidInput("price-unknown", "PriceUnknown", "AgentModel docs", "spec.serving", "choose a vendor, a region and an instance", ("abacus",), agent={"serving": SERVING}),
    InvalidInput("unknown-version", "CandidateNotFound", "Rollout bad", "spec.candidate.version v9.9.9", "use one of these versions in a new rollout: v1.0.0", spec={"candidate": {"version": "v9.9.9"}}),
    InvalidInput("unknown-model", "CandidateNotFound", "Rollout bad", "spec.candidate.model unknown/model", "check the repository, the commit", ("spec.secretRefs.huggingFace of AgentModel docs",), spec={"candidate": {"model": {"repo": "unknown/model", "revision": "0" * 40}}}),
    InvalidInput("already-stable", "CandidateNotFound", "Rollout bad", "spec.candidate.version", "use another model in a new rollout", ("v1.0.0", "already serves"), spec={"candidate": {"version": "v1.0.0"}}),
    InvalidInput("over-max", "OverMaxUSD", "Rollout bad", "spec.maxUSD", "raise it in a new rollout", spec={"maxUSD": "0.0001"}),
    InvalidInput("over-approval", "NeedsApproval", "AgentModel docs", "spec.budget.approvalAboveUSD", "modelops approve bad", agent={"budget": {"approvalAboveUSD": "0.0001"}}),
    InvalidInput("over-budget", "OverBudget", "AgentModel docs", "spec.budget.monthlyUSD", "raise the budget", agent={"budget": {"monthlyUSD": "0.0001"}}),
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
    InvalidInput("no-config-map", "ConfigNotUsable", "ConfigMap agents", "spec.config.configMapRef", "create it", prepare=delete("ConfigMap", "agents")),
    InvalidInput("unlabelled-config-map", "ConfigNotUsable", "ConfigMap agents", "spec.config.configMapRef", "add it", ("managed=true",), prepare=remove_managed_label("ConfigMap", "agents")),
    InvalidInput("no-key", "ConfigNotUsable", "ConfigMap agents", "spec.config.configMapRef.key", "add it", ("no key agents.yaml",), prepare=lambda env: env.api.patch("ConfigMap", "agents", {"data": {"agents.yaml": None}})),
    InvalidInput("malformed-file", "ConfigNotUsable", "ConfigMap agents, key agents.yaml", "spec.config.configMapRef", "correct the file", ("line",), prepare=set_agents_file(MALFORMED)),
    InvalidInput("agent-not-in-file", "ConfigNotUsable", "ConfigMap agents, key agents.yaml", "spec.config.configMapRef", "add it under `agents:`", ("docs",), prepare=set_agents_file("agents:\n  cicd: {model: a/b}\n")),
    InvalidInput("bad-weight", "ConfigNotUsable", "ConfigMap agents, key agents.yaml", "spec.config.configMapRef", "it must be an integer from 0 to 100", ("weight", "120"), prepare=set_agents_file(BAD_WEIGHT)),
    InvalidInput("no-secret", "SecretNotUsable", "Secret tokens", "spec.secretRefs.huggingFace", "create it", prepare=delete("Secret", "tokens")),
)  # fmt: skip


@pytest.fixture(scope="module")
def unusable_datasets(cloud: Cloud) -> None:
    """Uploads three datasets: one is empty, one has an example without outputs, and one has too few examples."""
    from modelops.adapters.langsmith.connection import LangSmithConnection

    sandbox = cloud.sandbox
    client = LangSmithConnection(
        api_url=sandbox.langsmith, api_key=sandbox.langsmith_key, attempts=1
    ).client()
    examples = langsmith_examples(cloud.train)
    fill_dataset(client, "e2e-empty", [])
    fill_dataset(client, "e2e-shape", [*examples[:-1], {**examples[-1], "outputs": {}}])
    fill_dataset(client, "e2e-keys", [*examples[:-1], {**examples[-1], "outputs": {"other": "Return 1."}}])
    fill_dataset(client, "e2e-few", examples[:5])
    client.close(timeout=0)


def conditions(item: dict[str, Any]) -> list[tuple[str, str]]:
    """Reason and message of every condition."""
    return [(c["reason"], c["message"]) for c in status(item).get("conditions", ())]


async def missing_message(env: Environment, case: InvalidInput) -> str:
    """Waits until a condition has the reason and all expected words; returns a description of the failure, or ""."""

    def has_message(item: dict[str, Any]) -> bool:
        return any(
            reason == case.reason and all(w in text for w in case.expected_words)
            for reason, text in conditions(item)
        )

    name = "docs" if case.kind == "AgentModel" else "bad"
    try:
        await env.api.wait_until(case.kind, name, has_message, seconds=60)
        await assert_nothing_is_reserved(env)
    except AssertionError:
        found = await env.api.get(case.kind, name) or {}
        return f"{case.id}: wanted {case.reason} with {case.expected_words}: {status_summary(found)}; {conditions(found)}"
    return ""


async def assert_nothing_is_reserved(env: Environment) -> None:
    """Checks that the record has no reservation, no endpoint and no active rollout."""
    if await env.api.get("ConfigMap", "docs-modelops-record"):
        record = await env.read_record()
        assert (record.reservations, record.endpoints, record.active) == ({}, (), None)


ACCEPTED = {
    "AgentModel": lambda item: condition(item, "Ready") == "True",
    "TrainingRun": lambda item: status(item).get("phase") in ("Submitting", "Scheduling", "Running", "Verifying", "Succeeded"),
}  # fmt: skip
"""Whether the object has passed every check of its input."""


async def apply_remedy(env: Environment, case: InvalidInput) -> str:
    """Corrects what the message names, as a person would: an object that has ended is made anew. Then the object must
    be accepted; returns a description of the failure, or "".
    """
    await env.put_inputs()
    await env.put_agent_model()
    name = "docs" if case.kind == "AgentModel" else "bad"
    found = await env.api.get(case.kind, name)
    assert found is not None
    has_ended = condition(found, "Finished") == "True"
    if case.kind == "TrainingRun" and case.reason == "NeedsApproval":
        approval = {"approvedBy": "admin", "digest": status(found)["approvalDigest"]}
        await env.api.patch(case.kind, name, {"spec": {"approval": approval}})
    if has_ended or case.spec:
        # What is wrong in a spec can only be corrected in a new object; the one that waits for it is given up.
        await env.api.delete(case.kind, name)
        await env.api.wait_until_deleted(case.kind, name)
        name = "corrected"
        await env.api.create(manifests.training_run(name, base_model=BASE_MODEL))
    try:
        await env.api.wait_until(case.kind, name, ACCEPTED[case.kind], seconds=120)
    except AssertionError:
        found = await env.api.get(case.kind, name) or {}
        return f"{case.id}: not accepted after its remedy (ended before: {has_ended}): {status_summary(found)}; {conditions(found)}"
    if case.kind != "AgentModel":
        await env.api.delete(case.kind, name)
    return ""


@asynccontextmanager
async def run_one_operator(
    cases: Sequence[InvalidInput], cluster: LocalCluster, cloud: Cloud, kubectl: Kubectl, folder: Path
) -> AsyncIterator[dict[str, Environment]]:
    """Creates a namespace for each case, and runs one operator that watches them all."""
    async with AsyncExitStack() as stack:
        environments: dict[str, Environment] = {}
        for case in cases:
            namespace = f"bad-{uuid.uuid4().hex[:8]}"
            await asyncio.to_thread(kubectl, "create", "namespace", namespace, check=True)
            stack.callback(remove_namespace, kubectl, namespace)
            made = open_environment(cluster, cloud, namespace, folder / case.id)
            environments[case.id] = await stack.enter_async_context(made)
        first = environments[cases[0].id]
        watched = ",".join(env.api.namespace for env in environments.values())
        await first.start_operator(MODELOPS_WATCH_NAMESPACES=watched)
        await first.wait_until_leading()
        kept = asyncio.create_task(keep_running(first, watched))
        stack.callback(kept.cancel)
        yield environments


async def keep_running(env: Environment, watched: str) -> None:
    """Starts the operator again whenever it ends, as the kubelet does: a busy machine may cost it its lease."""
    while True:
        await env.wait_for_exit(seconds=3600)
        await env.start_operator(MODELOPS_WATCH_NAMESPACES=watched)


async def assert_nothing_was_spent(
    cases: Sequence[InvalidInput], environments: Mapping[str, Environment]
) -> None:
    """Checks all writes to the services so far."""
    writes = environments[cases[0].id].recorder.writes
    owners = {
        run["metadata"]["uid"]: name
        for name, env in environments.items()
        for run in await env.api.list("TrainingRun")
    }
    spent = [
        f"{write.summary} for {[name for uid, name in owners.items() if uid.encode() in write.body]}"
        for write in writes
        if write.service == "endpoints" or "/api/jobs/" in write.path or is_file_write(write)
    ]
    assert not spent
    may_upload = {case.id for case in cases if case.uploads}
    kept = {uid: name for uid, name in owners.items() if name not in may_upload}
    uploaded = [write for write in writes if "/api/datasets/" in write.path]
    assert not [f"{w.summary} for {of}" for w in uploaded for uid, of in kept.items() if uid[:6] in w.path]
    assert bool(uploaded) == bool(may_upload), "this check for uploads cannot see any upload"


@pytest.mark.parametrize("cases", [RUNS, ROLLOUTS, AGENTS], ids=["runs", "rollouts", "agents"])
async def test_invalid_input_is_reported_nothing_is_spent_and_the_remedy_works(
    cases: tuple[InvalidInput, ...],
    cluster: LocalCluster,
    cloud: Cloud,
    kubectl: Kubectl,
    tmp_path: Path,
    unusable_datasets: None,
) -> None:
    candidate = await asyncio.to_thread(cloud.create_candidate)

    async def run_case(env: Environment, case: InvalidInput) -> str:
        await case.prepare(env)
        if case.agent is not None:
            await env.create_agent_model(**case.agent)
        if case.kind == "TrainingRun":
            await env.api.create(manifests.training_run("bad", **{"base_model": BASE_MODEL, **case.spec}))
        if case.kind == "Rollout":
            given = {"candidate": {"model": candidate}, **case.spec}
            await env.api.create(manifests.rollout("bad", **given))
        return await missing_message(env, case)

    async with run_one_operator(cases, cluster, cloud, kubectl, tmp_path) as environments:
        failures = await asyncio.gather(*(run_case(environments[case.id], case) for case in cases))
        assert not any(failures), "\n".join(filter(None, failures))
        await assert_nothing_was_spent(cases, environments)
        few = asyncio.Semaphore(4)

        async def correct(case: InvalidInput) -> str:
            async with few:
                return await apply_remedy(environments[case.id], case)

        # Twenty rollouts with an endpoint each are too much for two processors: unit tests correct their causes.
        failures = await asyncio.gather(*(correct(case) for case in cases if case.kind != "Rollout"))
        assert not any(failures), "\n".join(filter(None, failures))
