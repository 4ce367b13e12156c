"""What runs in the demo: control plane, sandbox, operator and agents; how they start and end."""

from __future__ import annotations

import json
import os
import secrets
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

from modelops.adapters.programs.process import terminate as end_program
from modelops.api.v1alpha1.names import RESOURCES
from modelops.crdgen.kinds import KINDS
from modelops.crdgen.tree import crd_text
from modelops.demo import children
from modelops.demo.children import Child
from modelops.demo.cluster_access import Identity, Kubectl, identity
from modelops.demo.folder import DemoFolder
from modelops.demo.seed import Datasets, seed
from modelops.localcluster import LocalCluster, open_cluster
from modelops.localcluster.binaries import find_binaries
from modelops.sandbox import client as sandbox_client
from modelops.sandbox.client import SandboxInfo

NAMESPACE = "code-chef"
OPERATOR_NAMESPACE = "modelops-system"
HUB_ORG = "appsmithery"
AGENTS = ("docs-1", "docs-2", "docs-3")
_READY_SECONDS = 40.0
_OPERATOR = "modelops-operator"

Tell = Callable[[str], None]


class StageError(RuntimeError):
    """Something that the demo needs did not start, or ended; the message has its last words."""


@dataclass
class Stage:
    """Everything that runs. The operator and the agents are replaced when they are started again."""

    folder: DemoFolder
    cluster: LocalCluster
    kubectl: Kubectl
    sandbox: SandboxInfo
    datasets: Datasets
    keep: bool
    operator_identity: Identity
    agent_identity: Identity
    ports: tuple[int, int] = field(default_factory=lambda: (_free_port(), _free_port()))
    """Of the operator's metrics and of the agents' reports; the same after a restart."""
    report_token: str = field(default_factory=lambda: secrets.token_hex(16), repr=False)
    operator: Child | None = None
    agents: list[Child] = field(default_factory=list)

    @property
    def manifests(self) -> Path:
        """What was applied, filled in."""
        return self.folder.manifests

    def start_operator(self) -> None:
        """Returns when it leads and its caches are full. Raises StageError."""
        environment = {
            **self.sandbox.environment(),
            "KUBECONFIG": str(self.operator_identity.kubeconfig),
            "MODELOPS_NAMESPACE": OPERATOR_NAMESPACE,
            "MODELOPS_WATCH_NAMESPACES": NAMESPACE,
            "MODELOPS_HUB_ORG": HUB_ORG,
            "MODELOPS_STATE_DIR": str(self.folder.operator),
            "MODELOPS_METRICS_PORT": str(self.ports[0]),
            "MODELOPS_REPORT_PORT": str(self.ports[1]),
            "MODELOPS_REPORT_TOKEN": self.report_token,
            "MODELOPS_POLL_SECONDS": "0.5",
            "MODELOPS_PROGRESS_SECONDS": "0.5",
            "MODELOPS_SETTLE_SECONDS": "2",
            "MODELOPS_LEASE_SECONDS": "8",
        }
        log = self.folder.operator / "operator.log"
        self.operator = children.start(
            "operator", "modelops.runtime", environment=environment, log=log, outlive=self.keep
        )
        self._wait_for_operator(self.operator)

    def start_agents(self) -> None:
        """Processes that call their model through the router from now on."""
        folder = self.folder.agents
        watch = {
            "url": self.agent_identity.url,
            "namespace": NAMESPACE,
            "name": "agents",
            "ca_file": str(self.agent_identity.ca_file),
            "token_file": str(self.agent_identity.token_file),
        }
        (folder / "watch.json").write_text(json.dumps(watch))
        (folder / "tasks.json").write_text(json.dumps(self.datasets.tasks))
        environment = {
            "HF_TOKEN": self.sandbox.hf_token,
            "OPENROUTER_API_KEY": self.sandbox.openrouter_key,
            "MODELOPS_REPORT_URL": f"http://127.0.0.1:{self.ports[1]}/v1/report",
            "MODELOPS_REPORT_TOKEN": self.report_token,
        }
        for name in AGENTS:
            arguments: list[str | Path] = [name, "--tasks", folder / "tasks.json"]
            arguments += ["--watch", folder / "watch.json", "--status", folder / f"{name}.json"]
            self.agents.append(
                children.start(
                    name,
                    "modelops.demo.agent",
                    arguments,
                    environment=environment,
                    log=folder / f"{name}.log",
                    outlive=self.keep,
                )
            )

    def check(self) -> None:
        """Raises StageError where a process has ended that should run."""
        for child in filter(None, (self.operator, *self.agents)):
            if child.ended:
                raise StageError(
                    f"{child.name} ended with code {child.process.returncode}; {child.log} ends with:\n"
                    f"{child.last_words()}"
                )

    def agent_statuses(self) -> list[dict[str, Any]]:
        """What each agent says of itself; one that has not yet said anything is left out."""
        statuses = []
        for name in AGENTS:
            try:
                statuses.append(json.loads((self.folder.agents / f"{name}.json").read_text()))
            except (FileNotFoundError, ValueError):
                continue
        return statuses

    def stop_operator_and_agents(self) -> None:
        """SIGTERM to all, then what they left: programs that work for the operator."""
        running = [child for child in (*self.agents, self.operator) if child and not child.ended]
        for child in running:
            child.process.terminate()
        for child in running:
            child.stop()
        programs = self.folder.operator / "programs"
        for program in programs.iterdir() if programs.is_dir() else ():
            end_program(program)

    def _wait_for_operator(self, operator: Child) -> None:
        deadline = time.monotonic() + _READY_SECONDS
        url = f"http://127.0.0.1:{self.ports[0]}/readyz"
        said: Any = "no answer"
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        while time.monotonic() < deadline:
            self.check()
            try:
                with opener.open(url, timeout=2) as response:
                    said = json.load(response)
                if said["phase"] == "leading":
                    return
            except (OSError, ValueError) as error:
                said = error
            time.sleep(0.05)
        raise StageError(
            f"the operator did not lead within {_READY_SECONDS:.0f} s ({said}); {operator.log} ends with:\n"
            f"{operator.last_words()}"
        )


@contextmanager
def set_up(folder: DemoFolder, *, keep: bool, tell: Tell) -> Iterator[Stage]:
    """Starts everything; ends everything, unless `keep` and the block ended well.

    Raises:
        StageError, ClusterError, RuntimeError: what did not start, and why.
    """
    # Never somebody's own cluster. A first build takes minutes: in this thread Ctrl-C ends it.
    environ = {name: value for name, value in os.environ.items() if name != "MODELOPS_KUBECONFIG"}
    find_binaries(controllers=True, progress=tell, environ=environ)
    with ExitStack() as stack, ThreadPoolExecutor(2) as pool:
        starting = pool.submit(_start_cluster, folder, stack, environ)
        try:
            sandbox = _start_sandbox(folder, stack, keep=keep)
            tell(f"sandbox: Hugging Face Hub ({sandbox.hub}), Jobs, Endpoints, LangSmith, OpenRouter")
            seeding = pool.submit(seed, sandbox)
            cluster = starting.result()
        except BaseException:
            _let_start(starting)
            raise
        kubectl = Kubectl.of(cluster)
        tell(f"control plane: a real kube-apiserver at {cluster.url}, kubectl fits")
        _render(folder, sandbox)
        operator, agent = _install(kubectl, folder)
        datasets = seeding.result()
        counts = ", ".join(f"{name} {size:,}" for name, size in datasets.sizes.items())
        tell(f"LangSmith datasets of this Python's own standard library: {counts}")
        stage = Stage(
            folder=folder,
            cluster=cluster,
            kubectl=kubectl,
            sandbox=sandbox,
            datasets=datasets,
            keep=keep,
            operator_identity=operator,
            agent_identity=agent,
        )
        stack.callback(stage.stop_operator_and_agents)
        kubectl.apply(folder.manifests / "2-agent.yaml")
        stage.start_operator()
        assert stage.operator is not None
        tell(f"operator: process {stage.operator.pid}, with rights of its own (manifests/1-cluster.yaml)")
        stage.start_agents()
        tell(f"agents: {len(AGENTS)} processes that watch ConfigMap {NAMESPACE}/agents")
        yield stage
        if keep:
            cluster.detach()
            cluster.release()
            stack.pop_all()


def _start_cluster(folder: DemoFolder, stack: ExitStack, environ: Mapping[str, str]) -> LocalCluster:
    cluster = open_cluster(folder.cluster, controllers=True, environ=environ)
    stack.callback(cluster.stop)
    return cluster


def _let_start(starting: Future[LocalCluster]) -> None:
    """What is starting is waited for, so that it can be ended."""
    starting.cancel()
    starting.exception() if not starting.cancelled() else None


def _start_sandbox(folder: DemoFolder, stack: ExitStack, *, keep: bool) -> SandboxInfo:
    if not keep:
        return stack.enter_context(sandbox_client.start(folder.sandbox))
    info = sandbox_client.launch(folder.sandbox)
    stack.callback(sandbox_client.shut_down, folder.sandbox)
    return info


def _render(folder: DemoFolder, sandbox: SandboxInfo) -> None:
    """The manifests of this package, with this sandbox's addresses and keys; readable by us only."""
    values = {
        "openrouter": sandbox.openrouter,
        "hf_token": sandbox.hf_token,
        "langsmith_key": sandbox.langsmith_key,
        "openrouter_key": sandbox.openrouter_key,
    }
    for manifest in files("modelops.demo").joinpath("manifests").iterdir():
        filled = folder.manifests / manifest.name
        filled.touch(mode=0o600)
        filled.write_text(Template(manifest.read_text()).substitute(values))
    (folder.manifests / "0-crds.yaml").write_text("---\n".join(crd_text(kind) for kind in KINDS))


def _install(kubectl: Kubectl, folder: DemoFolder) -> tuple[Identity, Identity]:
    """CRDs, namespaces and rights; the identities of the operator and of the agents."""
    kubectl.apply(folder.manifests / "0-crds.yaml", folder.manifests / "1-cluster.yaml")
    names = [f"crd/{resource.crd_name}" for resource in RESOURCES]
    kubectl("wait", "--for=condition=Established", "--timeout=30s", *names)
    operator = identity(kubectl, account=_OPERATOR, namespace=OPERATOR_NAMESPACE, folder=folder.operator)
    agent = identity(kubectl, account="docs-agent", namespace=NAMESPACE, folder=folder.agents)
    return operator, agent


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
