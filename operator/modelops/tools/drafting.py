"""`init`: drafts the AgentModel of an agent from what the cluster has, and says what was guessed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from modelops.api.v1alpha1.names import API_VERSION, MANAGED_LABEL
from modelops.client import AsyncClient, ClientError, Invalid
from modelops.domain import agentsfile
from modelops.tools.errors import ToolRefused

KEY: Final = "agents.yaml"
INPUT_KEY, OUTPUT_KEY = "task", "code"
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
TOKENS: Final = {"huggingFace": "hugging-face", "langsmith": "langsmith", "openRouter": "openrouter"}


@dataclass(frozen=True, kw_only=True)
class DraftRequest:
    """What is known of the agent. What is empty is looked up in the cluster, or guessed.

    `agent`: its key in agents.yaml. `secret`: name of the Secret with the tokens. `input_key`, `output_key`: the keys
    of an example's inputs and outputs that the prompt is made from.
    """

    agent: str
    config_map: str | None = None
    key: str = KEY
    secret: str = "modelops-tokens"
    training_dataset: str | None = None
    evaluation_dataset: str | None = None
    monthly_usd: str | None = None
    input_key: str | None = None
    output_key: str | None = None


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A manifest, what was guessed in it, and commands that must be run beside it."""

    manifest: dict[str, Any]
    guesses: tuple[str, ...]
    commands: tuple[str, ...]


async def draft_agent(client: AsyncClient, request: DraftRequest) -> Draft:
    """The draft, which the API server has checked without storing it.

    Raises:
        ToolRefused: no ConfigMap has such an agent, or several have; with what there is.
        Invalid: the API server refuses it, for example a name.
    """
    place = await client.namespace()
    name, found = await _file(client, request, place)
    text = found["data"][request.key]
    stable = _entry(text, request.agent, name)
    guesses = [f"the baseline is what {name}/{request.key} says now: {stable.model}"]
    commands = []
    if (found["metadata"].get("labels") or {}).get(MANAGED_LABEL) != "true":
        commands.append(f"kubectl label configmap {name} -n {place} {MANAGED_LABEL}=true")
    spec: dict[str, Any] = {
        "agent": request.agent,
        "baseline": {
            "model": stable.model,
            "endpoint": stable.endpoint,
            "endpointUrl": stable.endpoint_url,
            "apiKeyEnv": stable.api_key_env,
        },
        "config": {"configMapRef": {"name": name, **({"key": request.key} if request.key != KEY else {})}},
        "prompt": _prompt(request),
        "langsmith": {
            "trainingDataset": request.training_dataset or default_dataset(request.agent, "train"),
            "evaluationDataset": request.evaluation_dataset or default_dataset(request.agent, "holdout"),
        },
        "secretRefs": {kind: {"name": request.secret, "key": key} for kind, key in TOKENS.items()},
    }
    if request.input_key and request.output_key:
        guesses.append(
            "spec.prompt has nothing but these keys: write the templates that the agent really uses"
        )
    else:
        keys = f"inputs.{request.input_key or INPUT_KEY} and outputs.{request.output_key or OUTPUT_KEY}"
        guesses.append(f"spec.prompt reads {keys}: write the templates that the agent really uses")
    if not (request.training_dataset and request.evaluation_dataset):
        guesses.append(
            "the names of the datasets follow the agent's: --training-dataset, --evaluation-dataset"
        )
    guesses.append(
        "nothing says which answers are right: write spec.langsmith.scorer. Without it the first evaluation costs "
        "nothing, and suggests one that fits the examples"
    )
    selector = await _selector(client, place, name)
    if selector:
        spec["config"]["workloadSelector"] = {"matchLabels": selector}
        guesses.append(f"the agent's Pods are those with {_labels(selector)}, which mount {name}")
    else:
        guesses.append(
            f"no one Deployment mounts {name}, so the processes that report must confirm a change of routing; if the "
            "agent has Pods of its own, set spec.config.workloadSelector"
        )
    if request.monthly_usd:
        spec["budget"] = {"monthlyUSD": request.monthly_usd}
    else:
        guesses.append("the budget is the default, $100 a month: --budget")
    keys = " ".join(f"--from-literal={key}=..." for key in TOKENS.values())
    commands.append(f"kubectl create secret generic {request.secret} -n {place} {keys}")
    commands.append(f"kubectl label secret {request.secret} -n {place} {MANAGED_LABEL}=true")
    object_name = request.agent.replace("_", "-")
    try:
        await client.agent_models.create(object_name, spec, dry_run=True)
    except Invalid:
        raise
    except ClientError as error:
        guesses.append(f"the API server could not check it: {error}")
    manifest = {
        "apiVersion": API_VERSION,
        "kind": "AgentModel",
        "metadata": {"name": object_name, "namespace": place},
        "spec": spec,
    }
    return Draft(manifest=manifest, guesses=tuple(guesses), commands=tuple(commands))


def default_dataset(agent: str, use: str) -> str:
    """The dataset that is guessed for an agent. `use`: train or holdout."""
    return f"ls://{agent}-{use}"


def _prompt(request: DraftRequest) -> dict[str, str]:
    """The prompt contract. Raises ToolRefused where a key cannot be used in a template."""
    keys = request.input_key or INPUT_KEY, request.output_key or OUTPUT_KEY
    for key in keys:
        if not _KEY.fullmatch(key):
            raise ToolRefused(f"{key!r} is no key of an example: write a word such as {INPUT_KEY}")
    return {"user": f"{{{{ inputs.{keys[0]} }}}}", "assistant": f"{{{{ outputs.{keys[1]} }}}}"}


async def _file(client: AsyncClient, request: DraftRequest, place: str) -> tuple[str, Mapping[str, Any]]:
    """The ConfigMap with the agents' file: the one that is named, or the only one with that key."""
    if request.config_map:
        found = await client.config_map(request.config_map)
        if found is None or request.key not in (found.get("data") or {}):
            raise ToolRefused(
                f"namespace {place} has no ConfigMap {request.config_map} with the key {request.key}: create it first, "
                f"as config/samples/agents-configmap.yaml shows"
            )
        return request.config_map, found
    listed = await client.config_maps()
    with_key = {one["metadata"]["name"]: one for one in listed if request.key in (one.get("data") or {})}
    if not with_key:
        raise ToolRefused(
            f"no ConfigMap of namespace {place} has the key {request.key}: create the agents' file first, as "
            "config/samples/agents-configmap.yaml shows, or name its key with --key"
        )
    if len(with_key) > 1:
        raise ToolRefused(
            f"several ConfigMaps have the key {request.key}: name one with --config-map: {', '.join(sorted(with_key))}"
        )
    return next(iter(with_key.items()))


def _entry(text: str, agent: str, config_map: str) -> agentsfile.StableTarget:
    try:
        stable = agentsfile.parse(text, agent).stable
    except agentsfile.AgentsFileError as error:
        raise ToolRefused(f"ConfigMap {config_map}: {error}") from error
    needed = ("model", "endpoint", "endpoint_url", "api_key_env")
    missing = [name for name in needed if stable is None or getattr(stable, name) is None]
    if stable is None or missing:
        raise ToolRefused(
            f"ConfigMap {config_map}: agent {agent} has no {', '.join(missing)}: write what serves it now, as "
            "config/samples/agents-configmap.yaml shows"
        )
    return stable


async def _selector(client: AsyncClient, place: str, config_map: str) -> dict[str, str]:
    """The labels of the one Deployment that mounts the ConfigMap or names it; empty where it is not one."""
    try:
        listed = (await client.read(f"/apis/apps/v1/namespaces/{place}/deployments", namespace=place))[
            "items"
        ]
    except ClientError:
        return {}
    using = [one for one in listed if _uses(one["spec"]["template"]["spec"], config_map)]
    if len(using) != 1:
        return {}
    labels: dict[str, str] = using[0]["spec"]["selector"].get("matchLabels") or {}
    return labels


def _uses(spec: Mapping[str, Any], config_map: str) -> bool:
    mounts = any(
        (volume.get("configMap") or {}).get("name") == config_map for volume in spec.get("volumes") or ()
    )
    watches = any(
        variable.get("name") == "MODELOPS_CONFIGMAP" and variable.get("value") == config_map
        for container in spec["containers"]
        for variable in container.get("env") or ()
    )
    return mounts or watches


def _labels(labels: Mapping[str, str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in labels.items())
