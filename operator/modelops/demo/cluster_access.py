"""Access to the cluster through kubectl, and service-account credentials for the operator and the agents."""

from __future__ import annotations

import base64
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelops.localcluster import LocalCluster
from modelops.localcluster.crds import wait_until_established


class KubectlError(RuntimeError):
    """kubectl failed. The message has the command and kubectl's own error."""


@dataclass(frozen=True)
class Kubectl:
    """Runs kubectl with the demo's kubeconfig."""

    program: Path
    kubeconfig: Path

    @classmethod
    def of(cls, cluster: LocalCluster) -> Kubectl:
        return cls(cluster.kubectl, cluster.kubeconfig)

    @property
    def command(self) -> list[str | Path]:
        """kubectl with the demo's kubeconfig."""
        return [self.program, "--kubeconfig", self.kubeconfig]

    def __call__(self, *arguments: str | Path, stdin: str | None = None) -> str:
        """Run kubectl and return its output. Raises KubectlError if it fails."""
        command = [*self.command, *arguments]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=300)
        if done.returncode:
            raise KubectlError(f"kubectl {' '.join(map(str, arguments))}: {done.stderr.strip()}")
        return done.stdout

    def answers(self, *arguments: str) -> bool:
        """Run kubectl; whether it succeeds."""
        return subprocess.run([*self.command, *arguments], capture_output=True, timeout=300).returncode == 0

    def wait_until_established(self, *names: str) -> None:
        """Waits until the API server serves the CRDs. Raises KubectlError."""
        try:
            wait_until_established(self.command, *names, seconds=120)
        except TimeoutError as error:
            raise KubectlError(str(error)) from error

    def json(self, *arguments: str) -> Any:
        return json.loads(self(*arguments, "-o", "json"))

    def apply(self, *files: Path) -> None:
        """Apply files server-side, under kubectl's own name: a person who applies them again has no conflict."""
        options = [part for file in files for part in ("-f", file)]
        self("apply", "--server-side", *options)


@dataclass(frozen=True)
class Identity:
    """The credentials of a service account, in files that only the current user can read."""

    url: str
    ca_file: Path
    token_file: Path
    kubeconfig: Path


def create_identity(kubectl: Kubectl, *, account: str, namespace: str, folder: Path) -> Identity:
    """Create a token for a service account, and write the files that a process needs to use it."""
    config = json.loads(kubectl("config", "view", "--raw", "--minify", "-o", "json"))
    cluster = config["clusters"][0]["cluster"]
    ca = base64.b64decode(cluster["certificate-authority-data"])
    token = kubectl("create", "token", account, "-n", namespace, "--duration=24h").strip()
    ca_file, token_file = folder / "ca.crt", folder / f"{account}.token"
    ca_file.write_bytes(ca)
    _write_secret(token_file, token)
    kubeconfig = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": account,
        "contexts": [
            {"name": account, "context": {"cluster": "demo", "user": account, "namespace": namespace}}
        ],
        "clusters": [
            {
                "name": "demo",
                "cluster": {
                    "server": cluster["server"],
                    "certificate-authority-data": base64.b64encode(ca).decode(),
                },
            }
        ],
        "users": [{"name": account, "user": {"token": token}}],
    }
    _write_secret(folder / f"{account}.kubeconfig", json.dumps(kubeconfig, indent=1))
    return Identity(cluster["server"], ca_file, token_file, folder / f"{account}.kubeconfig")


def _write_secret(file: Path, text: str) -> None:
    file.touch(mode=0o600)
    file.write_text(text)
