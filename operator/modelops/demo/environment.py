"""The programs of the demo: it starts, checks and stops the operator and the agents."""

from __future__ import annotations

import json
import secrets
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modelops.adapters.programs.process import terminate as terminate_program
from modelops.demo import processes
from modelops.demo.cluster_access import Identity, Kubectl
from modelops.demo.folder import DemoFolder
from modelops.demo.interruption import Interruption
from modelops.demo.langsmith_datasets import Datasets
from modelops.demo.processes import DemoProcess, EnvironmentFailedError, wait_until_leading
from modelops.free_port import free_port
from modelops.localcluster import LocalCluster
from modelops.sandbox.client import SandboxInfo
from modelops.sandbox.hub.seeds import BASE_MODEL

NAMESPACE = "code-chef"
OPERATOR_NAMESPACE = "modelops-system"
HUB_ORG = "appsmithery"
AGENTS = ("docs-1", "docs-2", "docs-3")


@dataclass
class DemoEnvironment:
    """Everything that runs. `keep`: the processes outlive the demo. `operator` is replaced at each start."""

    folder: DemoFolder
    cluster: LocalCluster
    kubectl: Kubectl
    sandbox: SandboxInfo
    datasets: Datasets
    keep: bool
    interruption: Interruption
    operator_identity: Identity
    agent_identity: Identity
    ports: tuple[int, int] = field(default_factory=lambda: (free_port(), free_port()))
    """Ports of the operator's metrics and of the agents' reports; they stay the same when the operator restarts."""
    report_token: str = field(default_factory=lambda: secrets.token_hex(16), repr=False)
    operator: DemoProcess | None = None
    agents: list[DemoProcess] = field(default_factory=list)

    @property
    def manifests(self) -> Path:
        """The folder of the applied manifests."""
        return self.folder.manifests

    def start_operator(self) -> None:
        """Start the operator; return when it leads and its caches are synced. Raises EnvironmentFailedError."""
        environment = {
            **self.sandbox.environment(),
            "KUBECONFIG": str(self.operator_identity.kubeconfig),
            "MODELOPS_NAMESPACE": OPERATOR_NAMESPACE,
            "MODELOPS_WATCH_NAMESPACES": NAMESPACE,
            "MODELOPS_HUB_ORG": HUB_ORG,
            "MODELOPS_DEFAULT_BASE_MODEL": BASE_MODEL,
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
        self.operator = processes.start(
            "operator", "modelops.runtime", environment=environment, log=log, outlive=self.keep
        )
        wait_until_leading(self.operator, port=self.ports[0], check=self.check_processes)

    def start_agents(self) -> None:
        """Start the agents, which call their model through the router until they are stopped."""
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
        self._save_agent_environment(environment)
        for name in AGENTS:
            arguments: list[str | Path] = [name, "--tasks", folder / "tasks.json"]
            arguments += ["--watch", folder / "watch.json", "--status", folder / f"{name}.json"]
            self.agents.append(
                processes.start(
                    name,
                    "modelops.demo.agent",
                    arguments,
                    environment=environment,
                    log=folder / f"{name}.log",
                    outlive=self.keep,
                )
            )

    def check_processes(self) -> None:
        """Raise EnvironmentFailedError if the operator or an agent has ended, KeyboardInterrupt after a signal."""
        self.interruption.check()
        for process in filter(None, (self.operator, *self.agents)):
            if process.ended:
                raise EnvironmentFailedError(process.describe_end())

    def agent_statuses(self) -> list[dict[str, Any]]:
        """Return the status that each agent has written; an agent without a status file is left out."""
        statuses = []
        for name in AGENTS:
            try:
                statuses.append(json.loads((self.folder.agents / f"{name}.json").read_text()))
            except (FileNotFoundError, ValueError):
                continue
        return statuses

    def stop_operator_and_agents(self) -> None:
        """Stop the agents and the operator, then the programs that the operator has started."""
        running = [process for process in (*self.agents, self.operator) if process and not process.ended]
        for process in running:
            process.popen.terminate()
        for process in running:
            process.stop()
        programs = self.folder.operator / "programs"
        for program in programs.iterdir() if programs.is_dir() else ():
            terminate_program(program)

    def _save_agent_environment(self, environment: dict[str, str]) -> None:
        """Save what an agent needs, for one that a person starts; only the current user can read the file."""
        lines = [f"export {name}={shlex.quote(value)}\n" for name, value in environment.items()]
        self.folder.agent_environment.touch(mode=0o600)
        self.folder.agent_environment.write_text("".join(lines))
