"""The run's own control plane on this machine, its operator and its agent's process."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from modelops.adapters.programs.process import terminate as terminate_program
from modelops.api.v1alpha1.names import INSTALLATION_CONFIG_MAP, RESOURCES, record_name
from modelops.crdgen.kinds import KINDS
from modelops.crdgen.tree import crd_text
from modelops.demo import processes
from modelops.demo.cluster_access import Identity, Kubectl, KubectlError, create_identity
from modelops.demo.environment import NAMESPACE, OPERATOR_NAMESPACE
from modelops.demo.interruption import Interruption
from modelops.demo.processes import DemoProcess, EnvironmentFailedError, wait_until_leading
from modelops.domain.record import MalformedRecord, Record
from modelops.free_port import free_port
from modelops.livesmoke import manifests
from modelops.livesmoke.account import Account, operator_environment
from modelops.livesmoke.plan import MAX_REQUESTS
from modelops.livesmoke.run_file import RunIdentity
from modelops.localcluster import LocalCluster, open_cluster
from modelops.localcluster.binaries import find_binaries

Progress = Callable[[str], None]
Json = dict[str, Any]
RATE: Final = 2.0
"""Requests of the agent per second."""


@dataclass
class SmokeEnvironment:
    """What runs on this machine. `folder`: its files, which only the current user can read."""

    folder: Path
    account: Account
    run: RunIdentity
    cluster: LocalCluster
    interruption: Interruption
    kubectl: Kubectl = field(init=False)
    operator: DemoProcess | None = None
    agent: DemoProcess | None = None
    ports: tuple[int, int] = field(default_factory=lambda: (free_port(), free_port()))
    report_token: str = field(default_factory=lambda: secrets.token_hex(16), repr=False)
    _agent_identity: Identity | None = None

    def __post_init__(self) -> None:
        self.kubectl = Kubectl.of(self.cluster)

    def check(self) -> None:
        """Raise KeyboardInterrupt after a signal, EnvironmentFailedError if the operator or the agent has ended."""
        self.interruption.check()
        for process in filter(None, (self.operator, self.agent)):
            if process.ended:
                raise EnvironmentFailedError(process.describe_end())

    def install(self) -> None:
        """Create CRDs, namespaces, the operator's rights, and the installation's id."""
        crds = self.folder / "crds.yaml"
        crds.write_text("---\n".join(crd_text(kind) for kind in KINDS))
        rights = self.folder / "cluster.yaml"
        rights.write_text(files("modelops.demo").joinpath("manifests", "1-cluster.yaml").read_text())
        self.kubectl.apply(crds, rights)
        self.kubectl.wait_until_established(*(f"crd/{resource.crd_name}" for resource in RESOURCES))
        self.apply(manifests.installation(OPERATOR_NAMESPACE, self.run, INSTALLATION_CONFIG_MAP))

    def start_operator(self) -> DemoProcess:
        """Start the operator; return when it leads. Raises EnvironmentFailedError."""
        folder = self._folder("operator")
        identity = create_identity(
            self.kubectl, account="modelops-operator", namespace=OPERATOR_NAMESPACE, folder=folder
        )
        environment = {
            **operator_environment(self.account),
            "KUBECONFIG": str(identity.kubeconfig),
            "MODELOPS_NAMESPACE": OPERATOR_NAMESPACE,
            "MODELOPS_WATCH_NAMESPACES": NAMESPACE,
            "MODELOPS_HUB_ORG": self.run.org,
            "MODELOPS_STATE_DIR": str(folder),
            "MODELOPS_BIND_ADDRESS": "127.0.0.1",
            "MODELOPS_METRICS_PORT": str(self.ports[0]),
            "MODELOPS_REPORT_PORT": str(self.ports[1]),
            "MODELOPS_REPORT_TOKEN": self.report_token,
        }
        self.operator = processes.start(
            "operator",
            "modelops.runtime",
            environment=environment,
            log=folder / "operator.log",
            outlive=False,
        )
        wait_until_leading(self.operator, port=self.ports[0], check=self.check)
        return self.operator

    def start_agent(self, tasks: tuple[str, ...]) -> None:
        """Start the agent, which asks for docstrings at the model that the router names."""
        folder = self._folder("agent")
        identity = create_identity(self.kubectl, account="docs-agent", namespace=NAMESPACE, folder=folder)
        watch = {
            "url": identity.url,
            "namespace": NAMESPACE,
            "name": "agents",
            "ca_file": str(identity.ca_file),
            "token_file": str(identity.token_file),
        }
        (folder / "watch.json").write_text(json.dumps(watch))
        (folder / "tasks.json").write_text(json.dumps(tasks))
        environment = {
            "HF_TOKEN": self.account.hf_token,
            "OPENROUTER_API_KEY": self.account.openrouter_key,
            "MODELOPS_REPORT_URL": f"http://127.0.0.1:{self.ports[1]}/v1/report",
            "MODELOPS_REPORT_TOKEN": self.report_token,
        }
        arguments: list[str | Path] = ["agent", "--agent", self.run.agent, "--tasks", folder / "tasks.json"]
        arguments += ["--watch", folder / "watch.json", "--status", self._agent_status]
        arguments += ["--rate", str(RATE), "--most", str(MAX_REQUESTS)]
        self.agent = processes.start(
            "agent",
            "modelops.demo.agent",
            arguments,
            environment=environment,
            log=folder / "agent.log",
            outlive=False,
        )

    def agent_status(self) -> Json:
        """The status that the agent writes; empty before the first one."""
        try:
            found: Json = json.loads(self._agent_status.read_text())
        except (FileNotFoundError, ValueError):
            return {}
        return found

    @property
    def _agent_status(self) -> Path:
        return self.folder / "agent" / "status.json"

    def _folder(self, name: str) -> Path:
        folder = self.folder / name
        folder.mkdir(exist_ok=True, mode=0o700)
        return folder

    def apply(self, *objects: Json) -> None:
        """Create the objects, in the agent's namespace unless they name another. Raises KubectlError."""
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
        place = () if objects[0]["metadata"].get("namespace") else ("-n", NAMESPACE)
        self.kubectl("apply", "--server-side", *place, "-f", "-", stdin=text)

    def get(self, kind: str, name: str) -> Json:
        """An object of the agent's namespace; empty if it does not exist. Raises KubectlError."""
        text = self.kubectl("get", kind, name, "-n", NAMESPACE, "--ignore-not-found", "-o", "json")
        found: Json = json.loads(text) if text.strip() else {}
        return found

    def record(self) -> Record | None:
        """The agent's record; None if there is none that can be read."""
        try:
            found = self.get("configmap", record_name(self.run.name))
            return Record.from_data(found["data"]) if found else None
        except (KubectlError, MalformedRecord, KeyError, OSError, subprocess.SubprocessError):
            return None

    def stop_processes(self) -> None:
        """Stop the agent and the operator, then the programs that the operator has started."""
        running = [process for process in (self.agent, self.operator) if process and not process.ended]
        for process in running:
            process.popen.terminate()
        for process in running:
            process.stop()
        programs = self.folder / "operator" / "programs"
        for program in programs.iterdir() if programs.is_dir() else ():
            terminate_program(program)


@contextmanager
def open_environment(
    folder: Path, account: Account, run: RunIdentity, interruption: Interruption, progress: Progress
) -> Iterator[SmokeEnvironment]:
    """A control plane for the length of a `with` block; the operator and the agent end with it, too.

    Raises ClusterError, KubectlError.
    """
    environ = {name: value for name, value in os.environ.items() if name != "MODELOPS_KUBECONFIG"}
    find_binaries(controllers=True, progress=progress, environ=environ)
    cluster = open_cluster(folder / "cluster", controllers=True, environ=environ)
    try:
        environment = SmokeEnvironment(folder, account, run, cluster, interruption)
        try:
            environment.install()
            yield environment
        finally:
            environment.stop_processes()
    finally:
        cluster.stop()
