"""A node that runs Pods as processes of this machine: what a scheduler and a kubelet would do, for one container.

It resolves the container's variables and mounts, runs its command, serves its log over the kubelet's API, and writes the
Pod's status. A PersistentVolumeClaim is a folder that outlives the Pod. The Job's controller is the real one.
"""

from __future__ import annotations

import asyncio
import base64
import os
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.cluster import kubelet

from modelops.adapters.kube import KubeClient
from modelops.adapters.programjobs.manifests import CLAIMS, PODS
from modelops.engine.resources import SECRETS
from modelops.localcluster import LocalCluster
from modelops.ports import Json, Resource

NODES = Resource(group="", version="v1", plural="nodes", kind="Node")


class _LogHandler(BaseHTTPRequestHandler):
    """GET /containerLogs/<namespace>/<pod>/<container>?tailLines=N"""

    logs: Path

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        pod = address.path.split("/")[3]
        lines = int(parse_qs(address.query).get("tailLines", ["1000000"])[0])
        content = (self.logs / pod).read_bytes().splitlines(keepends=True)
        body = b"".join(content[-lines:])
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing is logged."""


@dataclass
class PodRunner:
    """Runs the Pods that a test passes to it."""

    kube: KubeClient
    folder: Path
    node: str
    environment: Mapping[str, str]
    """Variables that the image would have, such as PYTHONPATH."""
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    memory: dict[str, Path] = field(default_factory=dict)
    """The volumes in memory, by the Pod's uid."""

    async def run(self, pod: Json) -> bool:
        """Starts the Pod's process; False where a Secret or its key is missing, which its status then says."""
        namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
        spec = pod["spec"]["containers"][0]
        mounts = {
            mount["mountPath"]: await self._volume(pod, mount["name"]) / mount.get("subPath", "")
            for mount in spec["volumeMounts"]
        }
        environment, problem = await self._environment(namespace, spec)
        if problem:
            waiting = {"waiting": {"reason": "CreateContainerConfigError", "message": problem}}
            status = kubelet.container_status(pod, waiting, ready=False)
            await kubelet.set_status(self.kube, PODS, pod, phase="Pending", containerStatuses=[status])
            return False
        await self._bind(namespace, name)
        command = [sys.executable, *(_mapped(word, mounts) for word in spec["command"][1:])]
        with (self.folder / "logs" / name).open("ab") as log:
            self.processes[name] = subprocess.Popen(
                command,
                env={
                    **self.environment,
                    **{key: _mapped(value, mounts) for key, value in environment.items()},
                },
                cwd=_mapped(spec["workingDir"], mounts),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        await kubelet.set_running(self.kube, pod, since=datetime.now(UTC))
        return True

    async def wait(self, pod: Json) -> int:
        """Waits for the process's end, writes it to the Pod's status, and returns the exit code."""
        process = self.processes[pod["metadata"]["name"]]

        async def ended() -> bool:
            return process.poll() is not None

        await kubelet.wait_until(ended, seconds=60, expected="the end of the Pod's process")
        await kubelet.set_exited(self.kube, pod, process.returncode, at=datetime.now(UTC))
        return process.returncode

    async def kill(self, pod: Json) -> None:
        """Every process of the Pod is killed at once, as at the end of its node's memory.

        The status says that this was a while ago, so that the controller does not wait before it makes another Pod.
        """
        self._kill(pod["metadata"]["name"])
        at = datetime.now(UTC) - timedelta(minutes=1)
        await kubelet.set_exited(self.kube, pod, 137, at=at, reason="OOMKilled")

    def claim(self, namespace: str, name: str) -> Path:
        """The folder of a claim."""
        return self.folder / "claims" / namespace / name

    def stop(self) -> None:
        """Kills what still runs."""
        for name in self.processes:
            self._kill(name)
        for folder in self.memory.values():
            shutil.rmtree(folder, ignore_errors=True)

    def _kill(self, name: str) -> None:
        children = _children_of(self.processes[name].pid)
        for process in (self.processes[name].pid, *children):
            with suppress(ProcessLookupError):
                os.killpg(process, signal.SIGKILL)
        self.processes[name].wait()

    async def _volume(self, pod: Json, name: str) -> Path:
        namespace = pod["metadata"]["namespace"]
        volume = next(one for one in pod["spec"]["volumes"] if one["name"] == name)
        if claimed := volume.get("persistentVolumeClaim"):
            assert await self.kube.get(CLAIMS, namespace, claimed["claimName"]) is not None
            folder = self.claim(namespace, claimed["claimName"])
        elif "medium" in volume.get("emptyDir", {}):
            # Not below the folder of the test, which only its user can read: answers of models run as nobody.
            uid = pod["metadata"]["uid"]
            if uid not in self.memory:
                self.memory[uid] = Path(tempfile.mkdtemp(prefix="modelops-pod-"))
            folder = self.memory[uid]
            folder.chmod(0o755)
        else:
            folder = self.folder / "pods" / pod["metadata"]["uid"] / name
        folder.mkdir(parents=True, exist_ok=True)
        for item in volume.get("downwardAPI", {}).get("items", ()):
            annotation = (
                item["fieldRef"]["fieldPath"].removeprefix("metadata.annotations['").removesuffix("']")
            )
            (folder / item["path"]).write_text(pod["metadata"]["annotations"][annotation])
        return folder

    async def _environment(self, namespace: str, container: Json) -> tuple[dict[str, str], str]:
        found: dict[str, str] = {}
        for entry in container["env"]:
            if "valueFrom" not in entry:
                found[entry["name"]] = entry.get("value", "").replace("$$", "$")
                continue
            if "resourceFieldRef" in entry["valueFrom"]:
                assert container["resources"]["limits"]["memory"] == "1Gi"
                found[entry["name"]] = str(1 << 30)
                continue
            reference = entry["valueFrom"]["secretKeyRef"]
            secret = await self.kube.get(SECRETS, namespace, reference["name"])
            if secret is None:
                return found, f'secret "{reference["name"]}" not found'
            if reference["key"] not in secret["data"]:
                return (
                    found,
                    f"couldn't find key {reference['key']} in Secret {namespace}/{reference['name']}",
                )
            found[entry["name"]] = base64.b64decode(secret["data"][reference["key"]]).decode()
        return found, ""

    async def _bind(self, namespace: str, name: str) -> None:
        body = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": name},
            "target": {"apiVersion": "v1", "kind": "Node", "name": self.node},
        }
        path = f"/api/v1/namespaces/{namespace}/pods/{name}/binding"
        await self.kube.transport.call("create", path, plural="pods", body=body)


@asynccontextmanager
async def pod_runner(
    cluster: LocalCluster, kube: KubeClient, folder: Path, *, environment: Mapping[str, str]
) -> AsyncIterator[PodRunner]:
    """A registered node until the end of the block. Its kubelet has the certificate of the API server."""
    certificate, key = (cluster.directory / "pki" / f"apiserver.{end}" for end in ("crt", "key"))
    if not key.is_file():
        pytest.skip("this test plays the kubelet, and needs a cluster that it may give a node")
    (folder / "logs").mkdir(parents=True)
    handler = type("Handler", (_LogHandler,), {"logs": folder / "logs"})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    node = f"node-{uuid.uuid4().hex[:8]}"
    made = await kube.create(
        NODES, {"apiVersion": "v1", "kind": "Node", "metadata": {"name": node, "namespace": None}}
    )
    runner = PodRunner(kube, folder, node, environment)
    try:
        await kube.transport.call(
            "patch",
            f"/api/v1/nodes/{node}/status",
            plural="nodes",
            body={
                "status": {
                    "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
                    "daemonEndpoints": {"kubeletEndpoint": {"Port": server.server_port}},
                }
            },
            content_type="application/merge-patch+json",
        )
        assert made["metadata"]["name"] == node
        yield runner
    finally:
        runner.stop()
        await asyncio.to_thread(server.shutdown)
        server.server_close()
        await kube.transport.call("delete", f"/api/v1/nodes/{node}", plural="nodes", body={})


def _mapped(text: str, mounts: Mapping[str, Path]) -> str:
    """The text, with the longest mount path that it begins with replaced by that mount's folder."""
    for path in sorted(mounts, key=len, reverse=True):
        if text == path or text.startswith(f"{path}/"):
            return str(mounts[path]) + text.removeprefix(path)
    return text


def _children_of(parent: int) -> list[int]:
    """Ids of the processes that the process has started and that still run."""
    with suppress(FileNotFoundError):
        return [int(one) for one in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]
    return []
