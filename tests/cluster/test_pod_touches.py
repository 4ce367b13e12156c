"""Touching the agents' Pods on a real API server. No kubelet runs here: the tests write the Pods' statuses."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from tests.cluster.kubelet import set_status, wait_until
from tests.cluster.losing_proxy import LosingProxy, losing_proxy
from tests.cluster.operator_process import kubeconfig_through, operator
from tests.cluster.policies import installed_policies
from tests.patience import deadline_after

from modelops.adapters.kube import Connection, KubeClient, Transport
from modelops.adapters.reports.body import BUCKET_COUNT, ReportBody
from modelops.adapters.reports.report_store import ReportStore
from modelops.api.v1alpha1.agentmodel import AgentModel
from modelops.api.v1alpha1.names import ROUTING_GENERATION
from modelops.engine.cache import ObjectCache
from modelops.engine.clock import SystemClock
from modelops.engine.cluster_reader import ClusterReader
from modelops.engine.executor import CONFIG_MAPS
from modelops.engine.pod_touches import PodTouches
from modelops.engine.resources import AGENT_MODELS, PODS
from modelops.localcluster import LocalCluster
from modelops.ports import Json
from modelops.runtime.watches import reduce_pod

Kubectl = Callable[..., "subprocess.CompletedProcess[str]"]
SAMPLES = Path(__file__).parents[2] / "config" / "samples"
# A block of no active rollout, which the operator puts back to stable.
ORPHAN = """\
    routing:
      generation: 1764000000123
      salt: gone
      rollout: {uid: gone, step: 1, state: Progressing}
      canary_until: 2099-12-10T00:30:00Z
      canary: {weight: 20, model: m, endpoint: openrouter, endpoint_url: "https://e/v1", api_key_env: K, version: v1.1.0}
"""
TRACK: Json = {"latencyMs": {"p50": 0, "p95": 0, "count": 0, "buckets": [0] * BUCKET_COUNT}}
# A generation may be ahead of the clock; so it stays a recent one on a slow machine, too.
NEWEST = round(time.time() * 1000) + 3_600_000
VALUE = str(NEWEST)
LABELS = {"app.kubernetes.io/name": "docs-agent"}


def pod_manifest(name: str, *, watches: bool = False) -> Json:
    env = [{"name": "MODELOPS_CONFIGMAP", "value": "agents"}] if watches else []
    mount = {"name": "agents", "mountPath": "/etc/agents"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": LABELS, "annotations": {"team": "docs"}},
        "spec": {
            "containers": [{"name": "agent", "image": "agent", "env": env, "volumeMounts": [mount]}],
            "volumes": [{"name": "agents", "configMap": {"name": "agents"}}],
        },
    }


@dataclass
class Harness:
    """An AgentModel, its Pods, and the touches as another user of the API server than the tests."""

    kubectl: Kubectl
    namespace: str
    kube: KubeClient
    proxy: LosingProxy
    connection: Connection
    cache: ObjectCache = field(default_factory=lambda: ObjectCache(monotonic=time.monotonic))
    clock: SystemClock = field(default_factory=SystemClock)

    def __post_init__(self) -> None:
        self.reports = ReportStore(clock=self.clock)

    async def add_pod(self, name: str, *, phase: str = "Running", watches: bool = False) -> None:
        manifest = json.dumps(pod_manifest(name, watches=watches))
        self.kubectl("create", "-f", "-", namespace=self.namespace, input=manifest, check=True)
        live = await self.kube.get(PODS, self.namespace, name)
        assert live is not None
        await set_status(self.kube, PODS, live, phase=phase)

    async def agent_model(self) -> AgentModel:
        sample = str(SAMPLES / "agentmodel-docs.yaml")
        self.kubectl("apply", "-f", sample, namespace=self.namespace, check=True)
        item = await self.kube.get(AGENT_MODELS, self.namespace, "docs")
        assert item is not None
        self.cache.put(AGENT_MODELS, item)
        return AgentModel.model_validate(item)

    async def observe_pods(self) -> None:
        """What the watch of the Pods puts into the cache."""
        items, _ = await self.kube.list(PODS, namespace=self.namespace)
        for item in items:
            self.cache.put(PODS, reduce_pod(item))

    def touches(self, client: KubeClient, *, enabled: bool = True) -> PodTouches:
        reader = ClusterReader(client, self.cache, self.clock)
        return PodTouches(reader, client, self.reports, enabled=enabled)

    async def touched(self) -> dict[str, str]:
        items, _ = await self.kube.list(PODS, namespace=self.namespace)
        found = {of["metadata"]["name"]: of["metadata"]["annotations"] for of in items}
        assert all(annotations["team"] == "docs" for annotations in found.values())
        return {
            name: annotations[ROUTING_GENERATION]
            for name, annotations in found.items()
            if ROUTING_GENERATION in annotations
        }

    def patches(self) -> int:
        return sum(line.startswith("PATCH") and "/pods/" in line for line in self.proxy.request_lines)

    async def until_touched(self, expected: dict[str, str]) -> None:
        async def are_touched() -> bool:
            return await self.touched() == expected

        await wait_until(are_touched, seconds=30, expected=f"touched {expected}")


async def until_idle(touches: PodTouches) -> None:
    async def is_idle() -> bool:
        return not touches._tasks

    await wait_until(is_idle, seconds=30, expected="no patch is under way")


@pytest.fixture
async def harness(kubectl: Kubectl, cluster: LocalCluster, namespace: str) -> AsyncIterator[Harness]:
    connection = Connection.from_kubeconfig(cluster.kubeconfig)
    async with losing_proxy(connection) as proxy, KubeClient(Transport(connection)) as kube:
        yield Harness(kubectl, namespace, kube, proxy, connection)


@pytest.fixture
async def through_proxy(harness: Harness) -> AsyncIterator[KubeClient]:
    by_proxy = dataclasses.replace(harness.connection, server=harness.proxy.url, ca="", insecure=False)
    async with KubeClient(Transport(by_proxy)) as client:
        yield client


def report(pod: str, generation: int) -> ReportBody:
    return ReportBody.model_validate(
        {
            "agent": "docs",
            "process": f"{pod}-1",
            "pod": pod,
            "generation": generation,
            "salt": "",
            "tracks": {"stable": TRACK, "canary": TRACK},
        }
    )


async def test_pods_that_mount_the_file_alone_are_patched_once_for_each_generation(
    harness: Harness, through_proxy: KubeClient
) -> None:
    for name in ("docs-0", "docs-1", "docs-2"):
        await harness.add_pod(name)
    await harness.add_pod("docs-pending", phase="Pending")
    await harness.add_pod("docs-watching", watches=True)
    agent = await harness.agent_model()
    await harness.observe_pods()
    harness.reports.record(report("docs-1", NEWEST), namespace=harness.namespace)
    harness.reports.record(report("docs-2", 6), namespace=harness.namespace)
    touches = harness.touches(through_proxy)
    for _ in range(3):
        touches.follow(harness.namespace, agent, config_map="agents", generation=NEWEST)
    await harness.until_touched({"docs-0": VALUE, "docs-2": VALUE})
    await harness.observe_pods()
    touches.follow(harness.namespace, agent, config_map="agents", generation=NEWEST)
    harness.touches(through_proxy).follow(harness.namespace, agent, config_map="agents", generation=NEWEST)
    await until_idle(touches)
    assert harness.patches() == 2
    touches.follow(harness.namespace, agent, config_map="another", generation=NEWEST + 1)
    harness.touches(through_proxy, enabled=False).follow(
        harness.namespace, agent, config_map="agents", generation=NEWEST + 1
    )
    touches.follow(harness.namespace, agent, config_map="agents", generation=None)
    await harness.until_touched({"docs-0": "0", "docs-2": "0"})
    assert harness.patches() == 4


async def test_a_pod_that_changed_meanwhile_is_touched_and_a_replaced_one_is_left_alone(
    harness: Harness, through_proxy: KubeClient
) -> None:
    for name in ("docs-0", "docs-1", "docs-2"):
        await harness.add_pod(name)
    agent = await harness.agent_model()
    await harness.observe_pods()
    harness.kubectl("label", "pod", "docs-0", "seen=yes", namespace=harness.namespace, check=True)
    harness.kubectl(
        "delete", "pod", "docs-1", "--grace-period=0", "--force", namespace=harness.namespace, check=True
    )
    await harness.add_pod("docs-1")
    touches = harness.touches(through_proxy)
    touches.follow(harness.namespace, agent, config_map="agents", generation=NEWEST)
    await harness.until_touched({"docs-0": VALUE, "docs-2": VALUE})
    await until_idle(touches)
    await harness.observe_pods()
    touches.follow(harness.namespace, agent, config_map="agents", generation=NEWEST)
    await harness.until_touched({"docs-0": VALUE, "docs-1": VALUE, "docs-2": VALUE})


async def test_hundreds_of_pods_are_patched_a_few_at_a_time(
    harness: Harness, through_proxy: KubeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"docs-{number}" for number in range(100)]
    manifest = json.dumps(
        {"apiVersion": "v1", "kind": "List", "items": [pod_manifest(name) for name in names]}
    )
    harness.kubectl("create", "-f", "-", namespace=harness.namespace, input=manifest, check=True)
    agent = await harness.agent_model()
    items, _ = await harness.kube.list(PODS, namespace=harness.namespace)
    for item in items:
        harness.cache.put(PODS, {**reduce_pod(item), "status": {"phase": "Running"}})
    running, most, patch = 0, 0, through_proxy.patch

    async def counted(*arguments: Any) -> Json:
        nonlocal running, most
        running, most = running + 1, max(most, running + 1)
        try:
            return await patch(*arguments)
        finally:
            running -= 1

    monkeypatch.setattr(through_proxy, "patch", counted)
    touches = harness.touches(through_proxy)
    touches.follow(harness.namespace, agent, config_map="agents", generation=NEWEST)
    await until_idle(touches)
    assert await harness.touched() == dict.fromkeys(names, VALUE)
    assert (harness.patches(), most) == (100, 16)


async def test_missing_rights_are_said_once_and_end_the_patches_of_that_generation(
    harness: Harness, cluster: LocalCluster
) -> None:
    for number in range(20):
        await harness.add_pod(f"docs-{number}")
    agent = await harness.agent_model()
    await harness.observe_pods()
    role = ("--verb=create,patch", "--resource=events", "--resource=events.events.k8s.io")
    harness.kubectl("create", "role", "events", *role, namespace=harness.namespace, check=True)
    harness.kubectl(
        "create", "rolebinding", "events", "--role=events", "--user=operator", namespace=harness.namespace
    )
    as_operator = dataclasses.replace(harness.connection, impersonate="operator")
    async with KubeClient(Transport(as_operator)) as client:
        touches = harness.touches(client)
        for generation in (NEWEST, NEWEST, NEWEST + 1):
            touches.follow(harness.namespace, agent, config_map="agents", generation=generation)
            await until_idle(touches)
    assert await harness.touched() == {}

    async def events() -> list[Json]:
        answer = harness.kubectl("get", "events", "-o", "json", namespace=harness.namespace, check=True)
        return [e for e in json.loads(answer.stdout)["items"] if e["reason"] == "PodsNotTouched"]

    (event,) = await wait_until(events, seconds=30, expected="the Event PodsNotTouched")
    assert event.get("count", 1) == 1
    assert event["involvedObject"]["name"] == "docs"
    assert "forbidden" in event["message"]
    assert "MODELOPS_TOUCH_PODS=false" in event["message"]


async def test_the_policy_lets_the_operator_change_one_annotation_and_nobody_else_is_affected(
    harness: Harness,
) -> None:
    namespace = harness.namespace
    await harness.add_pod("docs-0")
    for user in ("operator", "alice"):
        rights = ("--verb=get,patch,update", "--resource=pods,pods/status")
        harness.kubectl("create", "role", user, *rights, namespace=namespace, check=True)
        harness.kubectl(
            "create", "rolebinding", user, f"--role={user}", f"--user={user}", namespace=namespace, check=True
        )

    def patched(user: str, change: Json, *more: str) -> subprocess.CompletedProcess[str]:
        body = ("--type=merge", "-p", json.dumps(change))
        return harness.kubectl("patch", "pod", "docs-0", "--as", user, *body, *more, namespace=namespace)

    label = {"metadata": {"labels": {"stolen": "yes"}}}
    allowed = {"metadata": {"annotations": {ROUTING_GENERATION: "1764000000123"}}}
    with installed_policies(harness.kubectl, namespace, operator="operator"):
        deadline = deadline_after(30)
        while patched("operator", label, "--dry-run=server").returncode == 0:
            assert time.monotonic() < deadline, "the policy is not in force"
            await asyncio.sleep(0.1)
        answer = patched("operator", allowed)
        assert answer.returncode == 0, answer.stderr
        assert (await harness.touched()) == {"docs-0": "1764000000123"}
        for change in (
            label,
            {"metadata": {"annotations": {"team": "others"}}},
            {"metadata": {"annotations": {"team": None}}},
            {"metadata": {"annotations": {"another": "one"}}},
            {"metadata": {"annotations": {ROUTING_GENERATION: "no number"}}},
            {"metadata": {"finalizers": ["example.com/kept"]}},
            {"spec": {"activeDeadlineSeconds": 5}},
        ):
            refused = patched("operator", change)
            assert refused.returncode != 0, change
            assert "the operator may" in refused.stderr or "must be a number" in refused.stderr, change
        status = patched("operator", {"status": {"phase": "Failed"}}, "--subresource=status")
        assert "the operator may not change the spec or the status" in status.stderr
        assert patched("alice", label).returncode == 0
    assert patched("operator", {"metadata": {"annotations": {ROUTING_GENERATION: None}}}).returncode == 0


async def test_the_operator_touches_a_pod_after_it_wrote_the_file(
    harness: Harness, tmp_path: Path, kubectl: Kubectl
) -> None:
    namespace = harness.namespace
    secret = [f"--from-literal={key}=some-token" for key in ("hugging-face", "langsmith", "openrouter")]
    kubectl("create", "secret", "generic", "modelops-tokens", *secret, namespace=namespace, check=True)
    managed = "modelops.code-chef.dev/managed=true"
    kubectl("label", "secret", "modelops-tokens", managed, namespace=namespace, check=True)
    config_map = YAML(typ="safe").load((SAMPLES / "agents-configmap.yaml").read_text(encoding="utf-8"))
    config_map["data"]["agents.yaml"] = config_map["data"]["agents.yaml"].replace(
        "  feature_dev:", ORPHAN + "  feature_dev:"
    )
    kubectl("create", "-f", "-", namespace=namespace, input=json.dumps(config_map), check=True)
    await harness.add_pod("docs-0")
    await harness.agent_model()
    kubeconfig = kubeconfig_through(
        harness.connection, harness.proxy.url, tmp_path / "kubeconfig", namespace=namespace
    )

    async def follows_the_file() -> bool:
        item = await harness.kube.get(CONFIG_MAPS, namespace, "agents")
        assert item is not None
        agents = YAML(typ="safe").load(item["data"]["agents.yaml"])["agents"]
        routing = agents["docs"].get("routing") or {}
        aborted = routing.get("rollout", {}).get("state") == "Aborted"
        return aborted and await harness.touched() == {"docs-0": str(routing["generation"])}

    async with operator(kubeconfig, tmp_path / "state") as running:
        await running.wait_until_ready()
        await wait_until(follows_the_file, seconds=60, expected="the Pod has the file's generation")
        await asyncio.wait_for(running.wait_for_status("/readyz", 200), 30)
    lines = [
        line for line in harness.proxy.writes() if "/pods/docs-0" in line or "/configmaps/agents" in line
    ]
    assert "/configmaps/agents" in [line for line in lines if "PATCH" in line][-2]
    assert "/pods/docs-0" in lines[-1]
