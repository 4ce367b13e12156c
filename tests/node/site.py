"""A node with the chart installed as a user installs it, the sandbox as its Hugging Face, and agents in Pods."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any
from urllib.parse import urlsplit

from huggingface_hub import HfApi
from ruamel.yaml import YAML
from tests.coder import PROMPT, dataset_of_code, model_that_remembers
from tests.node.images import AGENT, OPERATOR
from tests.node.kind_node import KindNode
from tests.node.node import Node
from tests.patience import deadline_after, patient

from modelops.localcluster.helm import HELM_4, find_helm
from modelops.sandbox.client import SandboxInfo

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "modelops"
EVALUATE_ONLY = ROOT / "config" / "samples" / "rollout-docs-evaluate-only.yaml"
EXAMPLE = ROOT / "docs" / "examples" / "agent" / "deployment.yaml"
OPERATOR_NAMESPACE, NAMESPACE = "modelops-system", "code-chef"
OPERATOR_PODS = "app.kubernetes.io/name=modelops,app.kubernetes.io/component=operator"
AGENT_PODS = "app=docs-agent"
TEST_PODS = "app.kubernetes.io/name=modelops,app.kubernetes.io/component=test"
GROUP = "modelops.code-chef.dev"
WATCHING, MOUNTING = "docs-watching", "docs-mounting"
Answer = subprocess.CompletedProcess[str]
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def loopback_ports(sandbox: SandboxInfo) -> list[int]:
    """The ports of the sandbox that Pods need."""
    urls = (sandbox.hub, sandbox.endpoints, sandbox.langsmith, sandbox.openrouter, sandbox.models)
    return [urlsplit(url).port or 0 for url in urls]


@dataclass
class Site:
    """See the module. `tasks`: held-out questions of the docs agent."""

    node: Node | KindNode
    sandbox: SandboxInfo
    folder: Path
    tasks: Sequence[str] = field(default=())

    # Commands ---------------------------------------------------------------------------------------------

    def kubectl(self, *arguments: str | Path, input: str | None = None, check: bool = True) -> Answer:
        """Run kubectl as the cluster's admin."""
        cluster = self.node.cluster
        return _run(
            [cluster.kubectl, "--kubeconfig", cluster.kubeconfig, *arguments], input=input, check=check
        )

    def helm(self, verb: str, *arguments: str | Path, check: bool = True) -> Answer:
        """Run `helm VERB modelops ...` in the release's namespace."""
        command: list[str | Path] = [
            find_helm(HELM_4),
            verb,
            "modelops",
            *arguments,
            "-n",
            OPERATOR_NAMESPACE,
        ]
        done = _run([*command, "--kubeconfig", self.node.cluster.kubeconfig], check=False)
        assert done.returncode == 0 or not check, (
            f"helm {verb}: {done.stderr}\n{done.stdout}\n{self.situation()}"
        )
        return done

    def get(self, kind: str, name: str = "", *arguments: str, namespace: str = NAMESPACE) -> Any:
        """An object, or a list's items."""
        named = [name] if name else []
        shown = self.kubectl("get", kind, *named, *arguments, "-n", namespace, "-o", "json").stdout
        found = json.loads(shown)
        return found if name else found["items"]

    def apply(self, *documents: Mapping[str, Any], namespace: str = "") -> None:
        """Apply objects."""
        manifest = json.dumps({"apiVersion": "v1", "kind": "List", "items": documents})
        self.kubectl("apply", *(["-n", namespace] if namespace else []), "-f", "-", input=manifest)

    # The installation -------------------------------------------------------------------------------------

    def values(self, **changes: Any) -> Path:
        """The values of a sandboxed installation, as a file."""
        sandboxed = [
            {"name": name, "value": value}
            for name, value in self.sandbox.environment().items()
            if name in ("MODELOPS_SANDBOX", "HF_HUB_DISABLE_XET", "HF_HUB_DISABLE_TELEMETRY")
        ]
        values: dict[str, Any] = {
            "image": {"repository": OPERATOR.rpartition(":")[0], "tag": "node", "pullPolicy": "Never"},
            "hub": {
                "organisation": "appsmithery",
                "endpoint": self.sandbox.hub,
                "endpointsURL": self.sandbox.endpoints,
            },
            "langsmith": {"endpoint": self.sandbox.langsmith},
            "openrouter": {"baseURL": self.sandbox.openrouter},
            "tuning": {"pollSeconds": 1, "progressSeconds": 1, "settleSeconds": 5, "leaseSeconds": 8},
            "extraEnv": [
                *sandboxed,
                {"name": "MODELOPS_TRAINER", "value": "tiny"},
                {"name": "MODELOPS_BIND_ADDRESS", "value": "0.0.0.0"},  # in the sandbox it is the loopback
            ],
            "programs": {"job": {"extraEnv": sandboxed}},
            "metrics": {"serviceMonitor": {"enabled": False}},
            **changes,
        }
        file = self.folder / "values.yaml"
        with file.open("w") as stream:
            YAML().dump(values, stream)
        return file

    def make_namespaces(self) -> None:
        """The release's and the agents', both with PodSecurity `restricted` enforced."""
        for name in (OPERATOR_NAMESPACE, NAMESPACE):
            labels = {"pod-security.kubernetes.io/enforce": "restricted"}
            self.apply(
                {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
            )

    def make_agent(self, *variants: str) -> None:
        """The demo's AgentModel with its keys and file, and the example's Deployment in these forms: WATCHING, MOUNTING."""
        for document in self.manifest("2-agent.yaml"):
            if document["kind"] == "AgentModel":
                document["spec"]["config"]["workloadSelector"] = {"matchLabels": {"app": "docs-agent"}}
            self.apply(document)
        deployments = []
        for document in _documents(EXAMPLE.read_text()):
            if document["kind"] != "Deployment":
                self.apply(document, namespace=NAMESPACE)
                continue
            deployments = [_variant(document, variant) for variant in variants]
        self.apply(*deployments, namespace=NAMESPACE)

    def make_coder(self, name: str, rollout: str) -> None:
        """Another agent, which writes code, with a file of its own; and a Rollout that evaluates a better model for it."""
        documents = {document["kind"]: document for document in self.manifest("2-agent.yaml")}
        file, agent = documents["ConfigMap"], documents["AgentModel"]
        file["metadata"]["name"] = f"{name}-agents"
        agent["metadata"]["name"] = name
        agent["spec"]["config"] = {"configMapRef": {"name": f"{name}-agents"}}
        agent["spec"]["prompt"] = PROMPT
        agent["spec"]["langsmith"]["evaluationDataset"] = f"ls://{dataset_of_code(self.sandbox)}"
        hub = HfApi(endpoint=self.sandbox.hub, token=self.sandbox.hf_token)
        (what_if,) = _documents(EVALUATE_ONLY.read_text())
        what_if["metadata"] |= {"name": rollout, "namespace": NAMESPACE}
        what_if["spec"] |= {
            "agentModelRef": {"name": name},
            "candidate": {"model": model_that_remembers(hub, right=True)},
            "evaluation": {"scorer": {"type": "tests"}, "marginPoints": "20"},
        }
        self.apply(documents["Secret"], file, agent, what_if)

    def manifest(self, name: str) -> list[Any]:
        """A manifest of the demo, for this sandbox."""
        text = files("modelops.demo").joinpath("manifests", name).read_text()
        keys = {
            "openrouter": self.sandbox.openrouter,
            "hf_token": self.sandbox.hf_token,
            "langsmith_key": self.sandbox.langsmith_key,
            "openrouter_key": self.sandbox.openrouter_key,
        }
        documents = _documents(Template(text).substitute(keys))
        for document in documents:
            if document["kind"] == "Rollout":  # A busy machine is slow on both tracks, now and then.
                document["spec"]["analysis"]["latencyFloorMilliseconds"] = 60_000
        return documents

    # The operator -----------------------------------------------------------------------------------------

    def operator_pods(self) -> list[Any]:
        """The operator's Pods that are not being deleted."""
        found = self.get("pods", "", "-l", OPERATOR_PODS, namespace=OPERATOR_NAMESPACE)
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def ready_operator_pods(self) -> list[str]:
        """Names of those that are ready."""
        return [pod["metadata"]["name"] for pod in self.operator_pods() if _is_ready(pod)]

    def leader(self) -> str:
        """The identity of the process that holds the Lease, which begins with its Pod's name; empty if none does."""
        leases = self.get("leases", namespace=OPERATOR_NAMESPACE)
        holders = [str(lease["spec"].get("holderIdentity", "")) for lease in leases]
        names = [pod["metadata"]["name"] for pod in self.operator_pods()]
        return next((holder for holder in holders if holder.partition("_")[0] in names), "")

    def kill_leader(self) -> str:
        """SIGKILL to the leader's process, as the kernel does when memory is short; returns its identity."""
        leader = self.leader()
        pod = self.get("pod", leader.partition("_")[0], namespace=OPERATOR_NAMESPACE)
        container = pod["status"]["containerStatuses"][0]["containerID"].removeprefix("containerd://")
        self.node.kill(container)
        return leader

    # The agents -------------------------------------------------------------------------------------------

    def agents(self) -> dict[str, str]:
        """The URL of each ready Pod of the agent, by the Pod's name."""
        pods = self.get("pods", "", "-l", "app=docs-agent")
        return {pod["metadata"]["name"]: self.node.url_of(pod) for pod in pods if _is_ready(pod)}

    def restarts(self) -> int:
        """How often a container of the agent was started again."""
        pods = self.get("pods", "", "-l", "app=docs-agent")
        return sum(one["restartCount"] for pod in pods for one in pod["status"]["containerStatuses"])

    def routing(self, agent: str) -> Any:
        """The routing that an agent uses: `{"generation": ..., "weight": ...}`."""
        with _opener.open(f"{agent}/healthz", timeout=5) as response:
            return json.load(response)

    def ask(self, agent: str, session: str, task: str) -> str:
        """Ask the agent at a URL; returns the version that answered. Raises OSError where it did not answer."""
        body = json.dumps({"messages": [{"role": "user", "content": task}]}).encode()
        url = f"{agent}/sessions/{session}/chat"
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        with _opener.open(request, timeout=30) as response:
            return str(json.load(response)["version"])

    # Objects ----------------------------------------------------------------------------------------------

    def rollout(self, name: str) -> Any:
        """The status of a Rollout."""
        return self.get("rollout", name).get("status", {})

    def end_of_rollout(self, name: str, *, seconds: float = 180) -> Any:
        """Wait for the end of a Rollout, and return its status."""
        return self.until(
            lambda: (status := self.rollout(name)).get("finishedAt") and status,
            f"Rollout {name} ends",
            seconds=seconds,
        )

    def run(self, name: str) -> Any:
        """The status of a TrainingRun."""
        return self.get("trainingrun", name).get("status", {})

    def stable(self) -> str:
        """The version that the AgentModel says is stable."""
        return str(self.get("agentmodel", "docs").get("status", {}).get("stable", {}).get("version", ""))

    def until(self, condition: Callable[[], Any], what: str, *, seconds: float = 60) -> Any:
        """Wait for a true answer, and return it."""
        deadline = deadline_after(seconds)
        while not (answer := condition()):
            assert time.monotonic() < deadline, (
                f"not within {patient(seconds):.0f} s: {what}\n{self.situation()}"
            )
            time.sleep(0.25)
        return answer

    def situation(self) -> str:
        """What a person would look at, for the message of a failure."""
        parts = [self.kubectl("get", "pods", "-A", "-o", "wide", check=False).stdout]
        for kind in ("agentmodels", "trainingruns", "rollouts", "jobs"):
            parts.append(self.kubectl("get", kind, "-n", NAMESPACE, check=False).stdout)
        parts.append(
            self.kubectl("get", "events", "-A", "--sort-by=.lastTimestamp", check=False).stdout[-3000:]
        )
        logs = ((OPERATOR_NAMESPACE, OPERATOR_PODS), (OPERATOR_NAMESPACE, TEST_PODS), (NAMESPACE, AGENT_PODS))
        for namespace, pods in logs:
            log = ("logs", "-n", namespace, "-l", pods, "--prefix", "--tail=15")
            parts.append(self.kubectl(*log, check=False).stdout)
        return "\n".join(parts)


def _variant(deployment: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The example's Deployment with one Pod that only watches, or only mounts."""
    one = json.loads(json.dumps(deployment))
    one["metadata"]["name"] = name
    one["spec"]["replicas"] = 1
    for labels in (one["spec"]["selector"]["matchLabels"], one["spec"]["template"]["metadata"]["labels"]):
        labels["source"] = name
    spec = one["spec"]["template"]["spec"]
    container = spec["containers"][0]
    container["image"], container["imagePullPolicy"] = AGENT, "Never"
    unused = "MODELOPS_AGENTS_FILE" if name == WATCHING else "MODELOPS_CONFIGMAP"
    container["env"] = [variable for variable in container["env"] if variable["name"] != unused]
    if name == WATCHING:
        del spec["volumes"], container["volumeMounts"]
    return dict(one)


def _documents(text: str) -> list[Any]:
    return [json.loads(json.dumps(document)) for document in YAML(typ="safe").load_all(text)]


def _is_ready(pod: Any) -> bool:
    conditions = pod.get("status", {}).get("conditions", [])
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def _run(command: Sequence[str | Path], *, input: str | None = None, check: bool) -> Answer:
    done = subprocess.run(command, input=input, capture_output=True, text=True, timeout=patient(300))
    assert done.returncode == 0 or not check, f"{command[1:6]}: {done.stderr or done.stdout}"
    return done
