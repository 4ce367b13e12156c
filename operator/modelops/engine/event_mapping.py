"""Maps events to keys: which objects to reconcile when an object of the operator, a ConfigMap or a Pod changes.

A finished run or rollout is reconciled only when it changes itself.
"""

from __future__ import annotations

from collections.abc import Iterator

from modelops.api.v1alpha1.names import RECORD_LABEL, STOP_ALL_CONFIG_MAP
from modelops.domain.agentmodel.project import IN_PASSING
from modelops.domain.reasons import TrainingReason
from modelops.domain.stop import is_stop
from modelops.engine.cache import ObjectCache
from modelops.engine.executor import CONFIG_MAPS
from modelops.engine.queue import Key
from modelops.engine.resources import AGENT_MODELS, PODS, ROLLOUTS, TRAINING_RUNS
from modelops.ports import Json, Resource


def keys_to_reconcile(
    cache: ObjectCache, resource: Resource, item: Json, before: Json | None = None
) -> Iterator[Key]:
    """Keys to reconcile after `item` was added, changed or deleted.

    `before` is its cached version from before a change, None where it was added or deleted.
    """
    namespace, name = item["metadata"].get("namespace", ""), item["metadata"]["name"]
    if resource == AGENT_MODELS:
        yield Key("AgentModel", namespace, name)
        if before is not None and _watched_by_runs(item) == _watched_by_runs(before):
            return
        yield from _unfinished(cache, TRAINING_RUNS, namespace, name)
        yield from _unfinished(cache, ROLLOUTS, namespace, name)
    elif resource == TRAINING_RUNS:
        yield Key("TrainingRun", namespace, name)
        if before is None or _watched_parts(item) != _watched_parts(before):
            yield Key("AgentModel", namespace, agent_model_of(item))
        yield from _rollouts_of_run(cache, namespace, name)
    elif resource == ROLLOUTS:
        yield Key("Rollout", namespace, name)
        if before is None or _watched_parts(item) != _watched_parts(before):
            yield Key("AgentModel", namespace, agent_model_of(item))
    elif resource == CONFIG_MAPS and is_stop(name):
        yield from _stopped(cache, None if name == STOP_ALL_CONFIG_MAP else namespace)
    elif resource == CONFIG_MAPS:
        yield from _users_of_config_map(cache, item)
    elif resource == PODS:
        for agent in cache.list(AGENT_MODELS, namespace=namespace):
            wanted = (agent["spec"]["config"].get("workloadSelector") or {}).get("matchLabels") or {}
            if wanted and wanted.items() <= (item["metadata"].get("labels") or {}).items():
                yield from _agent_and_rollouts(cache, namespace, agent["metadata"]["name"])


def keys_to_reconcile_after_report(cache: ObjectCache, namespace: str, agent: str) -> Iterator[Key]:
    """Keys to reconcile after a process of `agent` has reported a change; an empty namespace means any."""
    for item in cache.list(AGENT_MODELS, namespace=namespace or None):
        if item["spec"]["agent"] == agent:
            metadata = item["metadata"]
            yield from _agent_and_rollouts(cache, metadata["namespace"], metadata["name"])


def with_uid(cache: ObjectCache, uid: str) -> Iterator[Key]:
    """The key of the run or rollout with this uid, where the cache has it."""
    for resource in (TRAINING_RUNS, ROLLOUTS):
        item = cache.with_uid(resource, uid)
        if item is not None:
            yield Key(resource.kind, item["metadata"]["namespace"], item["metadata"]["name"])


def is_finished(item: Json) -> bool:
    """Whether the condition Finished is True."""
    conditions = (item.get("status") or {}).get("conditions") or ()
    return any(c["type"] == "Finished" and c["status"] == "True" for c in conditions)


def _watched_parts(item: Json) -> tuple[object, ...]:
    """The parts of an object whose change concerns other objects.

    They are its spec, its deletion, whether it has a job, whether its token is refused, and whether it passes through
    a weight. The rest of a status follows from these."""
    metadata, status = item["metadata"], item.get("status") or {}
    deleted, reason = metadata.get("deletionTimestamp"), status.get("reason")
    refused, passing = reason == TrainingReason.TokenRefused, reason in IN_PASSING
    return metadata["uid"], metadata.get("generation"), deleted, bool(status.get("job")), refused, passing


def _watched_by_runs(item: Json) -> tuple[object, ...]:
    """The parts of an AgentModel whose change concerns its runs and rollouts."""
    conditions = (item.get("status") or {}).get("conditions") or ()
    return *_watched_parts(item), *(c["status"] for c in conditions if c["type"] == "Ready")


def _users_of_config_map(cache: ObjectCache, item: Json) -> Iterator[Key]:
    namespace, name = item["metadata"]["namespace"], item["metadata"]["name"]
    recorded = (item["metadata"].get("labels") or {}).get(RECORD_LABEL)
    if recorded:
        yield from _agent_and_rollouts(cache, namespace, recorded)
    for agent in cache.list(AGENT_MODELS, namespace=namespace):
        if agent["spec"]["config"]["configMapRef"]["name"] == name:
            yield from _agent_and_rollouts(cache, namespace, agent["metadata"]["name"])


def _stopped(cache: ObjectCache, namespace: str | None) -> Iterator[Key]:
    """The agents of a namespace (None: of all) and what they have unfinished. Rollouts first: they go back."""
    for resource in (ROLLOUTS, TRAINING_RUNS, AGENT_MODELS):
        for item in cache.list(resource, namespace=namespace):
            if resource == AGENT_MODELS or not is_finished(item):
                yield Key(resource.kind, item["metadata"]["namespace"], item["metadata"]["name"])


def _agent_and_rollouts(cache: ObjectCache, namespace: str, agent_model: str) -> Iterator[Key]:
    yield Key("AgentModel", namespace, agent_model)
    yield from _unfinished(cache, ROLLOUTS, namespace, agent_model)


def _unfinished(cache: ObjectCache, resource: Resource, namespace: str, agent_model: str) -> Iterator[Key]:
    for item in cache.list(resource, namespace=namespace):
        if agent_model_of(item) == agent_model and (not is_finished(item) or has_weight(item)):
            yield Key(resource.kind, namespace, item["metadata"]["name"])


def has_weight(item: Json) -> bool:
    """Whether the status still says that the rollout's candidate serves, which another rollout's end changes."""
    return bool((item.get("status") or {}).get("weight"))


def _rollouts_of_run(cache: ObjectCache, namespace: str, run: str) -> Iterator[Key]:
    for item in cache.list(ROLLOUTS, namespace=namespace):
        reference = item["spec"]["candidate"].get("trainingRunRef") or {}
        if reference.get("name") == run and not is_finished(item):
            yield Key("Rollout", namespace, item["metadata"]["name"])


def agent_model_of(item: Json) -> str:
    """Name of the AgentModel of a run or rollout. The field is immutable."""
    return str(item["spec"]["agentModelRef"]["name"])
