"""ConfigMaps and mounts that no rollout could use are found when the file is read."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest
from tests.unit.rollout import objects
from tests.unit.rollout.objects import AGENT, FILE, NAMESPACE, Json
from tests.unit.rollout.processes import Time
from tests.unit.rollout.rollout_driver import parsed

from modelops.api.v1alpha1.agentmodel import AgentModel
from modelops.domain.agentsfile import AgentEntry
from modelops.engine.agent_processes import AgentProcesses
from modelops.engine.cache import ObjectCache
from modelops.engine.cluster_reader import ClusterReader
from modelops.engine.executor import CONFIG_MAPS
from modelops.engine.resources import AGENT_MODELS, PODS
from modelops.ports import AgentReports
from modelops.runtime.watches import reduce_pod

KEY = "agents.yaml"
WATCHES = {"name": "MODELOPS_CONFIGMAP", "value": FILE}


@dataclass
class LiveConfigMap:
    """An API server with one ConfigMap, or with none."""

    item: Json | None = None

    async def get(self, resource: Any, namespace: str, name: str) -> Json | None:
        return self.item


def reader_with(*items: tuple[Any, Json], kube: LiveConfigMap | None = None) -> ClusterReader:
    time = Time()
    cache = ObjectCache(monotonic=time.monotonic)
    for resource, item in items:
        cache.put(resource, item)
    return ClusterReader(kube, cache, time)  # type: ignore[arg-type]


def read_file(kube: LiveConfigMap, reader: ClusterReader | None = None) -> tuple[Any, Any, str]:
    return asyncio.run((reader or reader_with(kube=kube)).file(NAMESPACE, FILE, KEY, AGENT))


def file_problem(**changes: Any) -> str:
    item = {**objects.agents_file(), **changes}
    reader = reader_with((CONFIG_MAPS, item))
    found, file, problem = asyncio.run(reader.file(NAMESPACE, FILE, KEY, AGENT))
    assert found is not None
    assert (file is None) == bool(problem)
    return problem


def test_a_mutable_configmap_with_the_file_as_text_is_no_problem() -> None:
    assert file_problem(immutable=False) == ""


def test_an_immutable_configmap_is_a_problem_with_its_remedy() -> None:
    assert "is immutable" in file_problem(immutable=True)
    assert "create it again without `immutable: true`" in file_problem(immutable=True)


def test_a_file_under_binary_data_is_a_problem_with_its_remedy() -> None:
    assert "in binaryData" in file_problem(data=None, binaryData={KEY: "YWdlbnRzOg=="})
    assert file_problem(binaryData={"other": "YQ=="}) == ""


def test_a_configmap_that_does_not_exist_is_to_be_created_with_label_and_key() -> None:
    _, _, problem = read_file(LiveConfigMap())
    assert problem == (
        f"ConfigMap {FILE} (spec.config.configMapRef) does not exist in namespace {NAMESPACE}: create it with the "
        f"label modelops.code-chef.dev/managed=true and the agents' file under the key {KEY}"
    )


def test_a_configmap_without_the_label_is_read_again_each_time() -> None:
    """No event of the watch, which selects by the label, would tell that it was changed or deleted."""
    item = objects.agents_file()
    bare = {**item, "metadata": {key: v for key, v in item["metadata"].items() if key != "labels"}}
    kube = LiveConfigMap(bare)
    reader = reader_with(kube=kube)
    assert "does not carry the label" in read_file(kube, reader)[2]
    kube.item = None
    assert "does not exist" in read_file(kube, reader)[2]
    kube.item = {**item, "metadata": {**item["metadata"], "resourceVersion": "99"}}
    assert read_file(kube, reader)[2] == ""


@pytest.mark.parametrize("changes", [{"immutable": True}, {"metadata": {"name": FILE}}])
def test_a_file_that_may_not_be_written_is_read_all_the_same(changes: Json) -> None:
    entry = reader_with().entry({**objects.agents_file(), **changes}, KEY, AGENT)
    assert entry is not None
    assert entry.stable is not None
    assert entry.stable.model == objects.BASELINE["model"]


@pytest.mark.parametrize("data", [{KEY: objects.FILE_TEXT + "  broken: [\n"}, {"other": "agents:"}])
def test_a_file_that_cannot_be_read_is_not_taken_for_an_empty_one(data: Json) -> None:
    reader = reader_with()
    assert reader.entry({**objects.agents_file(), "data": data}, KEY, AGENT) is None
    assert reader.entry(objects.agents_file(), KEY, "not-there") == AgentEntry()


def pod(
    *,
    mount: Json | None = None,
    volume: Json | None = None,
    env: list[Json] | None = None,
    **container: Any,
) -> Json:
    given = {
        "name": "agent",
        "env": env or [],
        "volumeMounts": [{"name": "v", "mountPath": "/etc/agents.yaml", **(mount or {})}],
        **container,
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "docs-0",
            "namespace": NAMESPACE,
            "uid": "p0",
            "resourceVersion": "5",
            "labels": {"app": "docs"},
        },
        "spec": {
            "containers": [given],
            "volumes": [{"name": "v", **(volume or {"configMap": {"name": FILE}})}],
        },
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    }


def mount_problem(item: Json, *, config_map: str = FILE) -> str:
    config = {"configMapRef": {"name": FILE}, "workloadSelector": {"matchLabels": {"app": "docs"}}}
    agent = parsed(AgentModel, objects.agent_model(config=config))
    return reader_with((PODS, reduce_pod(item))).mount_problem(NAMESPACE, agent, config_map)


SUB_PATH = {"subPath": KEY}


@pytest.mark.parametrize(
    "item",
    [
        pytest.param(pod(mount=SUB_PATH), id="subPath"),
        pytest.param(pod(mount={"subPathExpr": "$(NAME)"}), id="subPathExpr"),
        pytest.param(
            pod(mount=SUB_PATH, volume={"projected": {"sources": [{"configMap": {"name": FILE}}]}}),
            id="projected",
        ),
        pytest.param(
            pod(mount=SUB_PATH, env=[{"name": "MODELOPS_CONFIGMAP", "value": "another"}]), id="another watch"
        ),
    ],
)
def test_a_pod_that_mounts_the_file_with_subpath_is_named_with_the_remedy(item: Json) -> None:
    problem = mount_problem(item)
    assert "Pod docs-0" in problem
    assert "MODELOPS_CONFIGMAP" in problem


FROM_KEY = {"name": "AGENTS", "valueFrom": {"configMapKeyRef": {"name": FILE, "key": KEY}}}
ELSEWHERE = {"configMap": {"name": "settings"}}


@pytest.mark.parametrize(
    "item",
    [
        pytest.param(pod(volume=ELSEWHERE, env=[FROM_KEY]), id="a variable"),
        pytest.param(pod(volume=ELSEWHERE, envFrom=[{"configMapRef": {"name": FILE}}]), id="all keys"),
    ],
)
def test_a_pod_that_has_the_file_in_a_variable_is_named_with_the_remedy(item: Json) -> None:
    problem = mount_problem(item)
    assert "Pod docs-0" in problem
    assert "in an environment variable" in problem
    assert "mount the ConfigMap as a volume" in problem


def test_only_an_init_container_that_runs_on_matters() -> None:
    item = pod(volume=ELSEWHERE)
    item["spec"]["initContainers"] = [{"name": "setup", "env": [FROM_KEY]}]
    assert mount_problem(item) == ""
    item["spec"]["initContainers"][0]["restartPolicy"] = "Always"
    assert "in an environment variable" in mount_problem(item)


@dataclass(frozen=True)
class ReportsOf:
    fixed: tuple[str, ...] = ()

    def summary(self, *_: Any, **__: Any) -> AgentReports:
        raise AssertionError("the counters are not looked at")

    def traffic(self, *_: Any) -> None:
        return None

    def unconfirmed(self, *_: Any, **__: Any) -> tuple[str, ...]:
        return ()

    def fixed_files(self, *_: Any, **__: Any) -> tuple[str, ...]:
        return self.fixed


def test_without_a_selector_the_agents_own_reports_name_the_mount() -> None:
    agent = parsed(AgentModel, objects.agent_model())
    seen = AgentProcesses(reader=reader_with(), reports=ReportsOf())
    assert seen.mount_problem(NAMESPACE, agent, "docs", FILE) == ""
    fixed = AgentProcesses(reader=reader_with(), reports=ReportsOf(("docs-1", "docs-2")))
    assert fixed.mount_problem(NAMESPACE, agent, "docs", FILE) == (
        f"docs-1 and docs-2 reported that the agents' file of ConfigMap {FILE} is mounted with subPath there, so a "
        "change never reaches it: mount the whole volume without subPath, or let the router watch the ConfigMap by "
        "the variable MODELOPS_CONFIGMAP"
    )


@pytest.mark.parametrize(
    "item",
    [
        pytest.param(pod(), id="the whole volume"),
        pytest.param(pod(mount=SUB_PATH, env=[WATCHES]), id="a watch of the same ConfigMap"),
        pytest.param(
            pod(mount=SUB_PATH, env=[{"name": "MODELOPS_CONFIGMAP", "valueFrom": {}}]),
            id="a watch from elsewhere",
        ),
        pytest.param(
            pod(mount=SUB_PATH, envFrom=[{"configMapRef": {"name": "env"}}]), id="unknown variables"
        ),
        pytest.param(pod(mount=SUB_PATH, volume={"configMap": {"name": "settings"}}), id="another ConfigMap"),
        pytest.param(pod(env=[FROM_KEY]), id="a variable beside a mount"),
        pytest.param(pod(volume=ELSEWHERE, env=[FROM_KEY, WATCHES]), id="a variable beside a watch"),
        pytest.param(
            pod(
                volume=ELSEWHERE,
                env=[{"name": "X", "valueFrom": {"configMapKeyRef": {"name": FILE, "key": "mode"}}}],
            ),
            id="another key",
        ),
        pytest.param(pod(mount=SUB_PATH, volume={"secret": {"secretName": FILE}}), id="a Secret"),
    ],
)
def test_a_pod_that_sees_changes_is_no_problem(item: Json) -> None:
    assert mount_problem(item) == ""


def test_the_older_of_two_agentmodels_owns_the_agent() -> None:
    one = objects.agent_model()
    two = {
        **one,
        "metadata": {
            **one["metadata"],
            "name": "docs-2",
            "uid": "z",
            "creationTimestamp": "2025-12-02T00:00:00Z",
        },
    }
    reader = reader_with((AGENT_MODELS, one), (AGENT_MODELS, two))
    assert reader.older_owner(parsed(AgentModel, two)) == "docs"
    assert reader.older_owner(parsed(AgentModel, one)) == ""
    assert reader.older_owner(None) == ""


def mounting(item: Json, **agent: Any) -> list[str]:
    config = {"configMapRef": {"name": FILE}, "workloadSelector": {"matchLabels": {"app": "docs"}}}
    model = parsed(AgentModel, objects.agent_model(**{"config": config, **agent}))
    found = reader_with((PODS, reduce_pod(item))).mounting_pods(NAMESPACE, model, FILE)
    return [of.name for of in found]


def running(item: Json, **metadata: Any) -> Json:
    return {
        **item,
        "metadata": {**item["metadata"], **metadata},
        "status": {"phase": "Running", "conditions": []},
    }


WATCHING = [{"name": "MODELOPS_CONFIGMAP", "value": FILE}]


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (running(pod()), True),
        (running(pod(volume={"projected": {"sources": [{"configMap": {"name": FILE}}]}})), True),
        (running(pod(envFrom=[{"configMapRef": {"name": "env"}}])), True),
        (running(pod(env=[{"name": "MODELOPS_CONFIGMAP", "value": "another"}])), True),
        (running(pod(env=WATCHING)), False),
        (running(pod(mount=SUB_PATH)), False),
        (running(pod(volume={"configMap": {"name": "another"}})), False),
        (running(pod(), deletionTimestamp="2026-01-01T00:00:00Z"), False),
        (running(pod(), labels={"app": "another"}), False),
        (pod(), False),
    ],
)
def test_a_running_pod_that_has_the_file_by_a_mount_alone_can_be_touched(
    item: Json, *, expected: bool
) -> None:
    assert mounting(item) == (["docs-0"] if expected else [])


def test_without_a_selector_no_pod_is_touched() -> None:
    assert mounting(running(pod()), config={"configMapRef": {"name": FILE}}) == []
