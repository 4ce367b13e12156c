"""Who is concerned by a change: which objects to reconcile when an object of ours, a ConfigMap or a Pod
changes.

Finished runs and rollouts are woken by nothing but a change of their own.
"""

from __future__ import annotations

from collections.abc import Iterator

from modelops.api.v1alpha1.names import RECORD_LABEL
from modelops.engine.cache import ObjectCache
from modelops.engine.executor import CONFIG_MAPS
from modelops.engine.queue import Key
from modelops.engine.resources import AGENT_MODELS, PODS, ROLLOUTS, TRAINING_RUNS
from modelops.ports import Json, Resource


def concerned(
    cache: ObjectCache, resource: Resource, item: Json, before: Json | None = None
) -> Iterator[Key]:
    """Keys to reconcile after `item` changed or went; `before`: what was held of it before a change."""
    namespace, name = item["metadata"].get("namespace", ""), item["metadata"]["name"]
    if resource == AGENT_MODELS:
        yield Key("AgentModel", namespace, name)
        if before is not None and (_asked(item), _ready(item)) == (_asked(before), _ready(before)):
            return
        yield from _unfinished(cache, TRAINING_RUNS, namespace, name)
        yield from _unfinished(cache, ROLLOUTS, namespace, name)
    elif resource == TRAINING_RUNS:
        yield Key("TrainingRun", namespace, name)
        if before is None or _asked(item) != _asked(before):
            yield Key("AgentModel", namespace, agent_model_of(item))
        yield from _rollouts_of_run(cache, namespace, name)
    elif resource == ROLLOUTS:
        yield Key("Rollout", namespace, name)
        if before is None or _asked(item) != _asked(before):
            yield Key("AgentModel", namespace, agent_model_of(item))
    elif resource == CONFIG_MAPS:
        yield from _users_of_config_map(cache, item)
    elif resource == PODS:
        for agent in cache.list(AGENT_MODELS, namespace=namespace):
            wanted = (agent["spec"]["config"].get("workloadSelector") or {}).get("matchLabels") or {}
            if wanted and wanted.items() <= (item["metadata"].get("labels") or {}).items():
                yield from _agent_and_rollouts(cache, namespace, agent["metadata"]["name"])


def concerned_by_report(cache: ObjectCache, namespace: str, agent: str) -> Iterator[Key]:
    """Keys to reconcile after a process of `agent` said something new; an empty namespace means any."""
    for item in cache.list(AGENT_MODELS, namespace=namespace or None):
        if item["spec"]["agent"] == agent:
            metadata = item["metadata"]
            yield from _agent_and_rollouts(cache, metadata["namespace"], metadata["name"])


def with_uid(cache: ObjectCache, uid: str) -> Iterator[Key]:
    """The run or rollout of that uid, where it is held."""
    for resource in (TRAINING_RUNS, ROLLOUTS):
        item = cache.with_uid(resource, uid)
        if item is not None:
            yield Key(resource.kind, item["metadata"]["namespace"], item["metadata"]["name"])


def finished(item: Json) -> bool:
    """Whether the condition Finished is True."""
    conditions = (item.get("status") or {}).get("conditions") or ()
    return any(c["type"] == "Finished" and c["status"] == "True" for c in conditions)


def _asked(item: Json) -> tuple[object, ...]:
    """What others look at again: what somebody asked of it, and that a job of it may bill. The rest of a status follows
    from them."""
    metadata, submitted = item["metadata"], bool((item.get("status") or {}).get("job"))
    return metadata["uid"], metadata.get("generation"), metadata.get("deletionTimestamp"), submitted


def _ready(item: Json) -> list[object]:
    conditions = (item.get("status") or {}).get("conditions") or ()
    return [c["status"] for c in conditions if c["type"] == "Ready"]


def _users_of_config_map(cache: ObjectCache, item: Json) -> Iterator[Key]:
    namespace, name = item["metadata"]["namespace"], item["metadata"]["name"]
    recorded = (item["metadata"].get("labels") or {}).get(RECORD_LABEL)
    if recorded:
        yield from _agent_and_rollouts(cache, namespace, recorded)
    for agent in cache.list(AGENT_MODELS, namespace=namespace):
        if agent["spec"]["config"]["configMapRef"]["name"] == name:
            yield from _agent_and_rollouts(cache, namespace, agent["metadata"]["name"])


def _agent_and_rollouts(cache: ObjectCache, namespace: str, agent_model: str) -> Iterator[Key]:
    yield Key("AgentModel", namespace, agent_model)
    yield from _unfinished(cache, ROLLOUTS, namespace, agent_model)


def _unfinished(cache: ObjectCache, resource: Resource, namespace: str, agent_model: str) -> Iterator[Key]:
    for item in cache.list(resource, namespace=namespace):
        if agent_model_of(item) == agent_model and not finished(item):
            yield Key(resource.kind, namespace, item["metadata"]["name"])


def _rollouts_of_run(cache: ObjectCache, namespace: str, run: str) -> Iterator[Key]:
    for item in cache.list(ROLLOUTS, namespace=namespace):
        reference = item["spec"]["candidate"].get("trainingRunRef") or {}
        if reference.get("name") == run and not finished(item):
            yield Key("Rollout", namespace, item["metadata"]["name"])


def agent_model_of(item: Json) -> str:
    """Name of the AgentModel that a run or rollout is for; it cannot change."""
    return str(item["spec"]["agentModelRef"]["name"])
