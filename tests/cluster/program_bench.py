"""A program as a Job of a real API server, whose Pods the test runs (`pod_runner`).

It pays by appending a line to a bill outside its work folder, and keeps a journal of what it paid for.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from tests.cluster import kubelet
from tests.cluster.attempt import TRAINING_RUN
from tests.cluster.pod_runner import PodRunner, pod_runner
from tests.conftest import Kubectl

from modelops.adapters.kube import KubeClient
from modelops.adapters.programjobs import JobPrograms, ProgramPodSettings
from modelops.engine.clock import SystemClock
from modelops.engine.resources import SECRETS, TRAINING_RUNS
from modelops.localcluster import LocalCluster
from modelops.ports import Json, ProgramOwner, ProgramSecret, ProgramState

SECRET_VALUE = "hf_" + "never-in-an-object"
ROOT = Path(__file__).parents[2]
CALLS = 6
SETTINGS = ProgramPodSettings(
    image="example.org/modelops:1",
    resources={"requests": {"cpu": "100m"}},
    volumeSize="1Gi",
    securityContext={"runAsUser": 65532, "fsGroup": 65532},
)
PROGRAM = f"""
import json, os, pathlib, sys, time
folder = pathlib.Path(sys.argv[1])
given = json.loads((folder / "input.json").read_text())
def put(name, content):
    new = folder / f"{{name}}.tmp"
    new.write_text(json.dumps(content)); new.replace(folder / name)
if os.environ["HF_TOKEN"] != {SECRET_VALUE!r}:
    put("result.json", {{"ok": False, "reason": "TokenRefused", "message": "wrong token", "transient": True}})
    sys.exit(1)
journal = folder / "answers.jsonl"
done = len(journal.read_text().splitlines()) if journal.exists() else 0
for call in range(done, {CALLS}):
    with open(given["bill"], "a") as bill, journal.open("a") as answers:
        bill.write(f"{{call}}\\n"); answers.write(f"{{call}}\\n")
    put("progress.json", {{"v": 1, "stage": "asking", "done": call + 1, "total": {CALLS}}})
    while call + 1 == given["pause_at"] and not pathlib.Path(given["go_on"]).exists():
        time.sleep(0.05)
put("result.json", {{"ok": True, "answers": {CALLS}, **given.get("more", {{}})}})
"""


@dataclass
class Bench:
    """One TrainingRun with its program, which stops after three of its calls until `go_on` is called."""

    kube: KubeClient
    """The cluster's administrator."""
    operator: KubeClient
    """An account with the rights of the chart's role, in this namespace."""
    runner: PodRunner
    namespace: str
    uid: str
    folder: Path
    programs: JobPrograms = field(init=False)

    def __post_init__(self) -> None:
        self.programs = self.new_leader()

    def new_leader(self, kube: KubeClient | None = None, **more: Any) -> JobPrograms:
        given = {"installation": "0a1b2c3d", "clock": SystemClock(), "namespaces": [self.namespace], **more}
        return JobPrograms(kube or self.operator, SETTINGS, read_seconds=0, **given)

    @property
    def name(self) -> str:
        return f"dataset-{self.uid}"

    @property
    def owner(self) -> ProgramOwner:
        return ProgramOwner(kind="TrainingRun", namespace=self.namespace, name="docs-1", uid=self.uid)

    @property
    def job(self) -> str:
        return f"modelops-{self.name}"

    @property
    def input(self) -> Json:
        bill, go_on = self.folder / "bill", self.folder / "go-on"
        return {"bill": str(bill), "pause_at": 3, "go_on": str(go_on), "prompt": "$(HF_TOKEN) costs $$5"}

    def go_on(self) -> None:
        (self.folder / "go-on").touch()

    def bill(self) -> list[int]:
        return [int(line) for line in (self.folder / "bill").read_text().split()]

    async def start(self, programs: JobPrograms | None = None, *, name: str = "", **changes: Any) -> None:
        await (programs or self.programs).start(
            name or self.name,
            "program_under_test",
            {**self.input, **changes},
            {"LANGSMITH_ENDPOINT": "https://langsmith.example"},
            secrets={
                "HF_TOKEN": ProgramSecret(value=SECRET_VALUE, secret="tokens", key="hugging-face"),
                "LANGSMITH_API_KEY": ProgramSecret(value=""),
            },
            owner=self.owner,
        )

    async def pod(self, *, after: Json | None = None) -> Json:
        """Waits for the newest Pod of the Job."""
        seen = after["metadata"]["uid"] if after else ""

        async def find() -> Json | None:
            selector = f"batch.kubernetes.io/job-name={self.job}"
            pods, _ = await self.kube.list(kubelet.PODS, namespace=self.namespace, label_selector=selector)
            return next((pod for pod in pods if pod["metadata"]["uid"] != seen), None)

        return await kubelet.wait_until(find, expected=f"a Pod of {self.job}")

    async def until(
        self, condition: Callable[[ProgramState], bool], programs: JobPrograms | None = None
    ) -> ProgramState:
        async def met() -> ProgramState | None:
            state = await (programs or self.programs).observe(self.name)
            return state if state is not None and condition(state) else None

        return await kubelet.wait_until(met, expected="that state of the program")

    async def until_paid(self, calls: int) -> None:
        async def paid() -> bool:
            return (self.folder / "bill").exists() and len(self.bill()) >= calls

        await kubelet.wait_until(paid, expected=f"{calls} calls")


@asynccontextmanager
async def opened_bench(
    cluster: LocalCluster, namespace: str, kubectl: Kubectl, tmp_path: Path
) -> AsyncIterator[Bench]:
    """A TrainingRun in a namespace where the policy `restricted` is in force, and a node for its program's Pods."""
    (tmp_path / "program_under_test.py").write_text(PROGRAM)
    image = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{os.environ.get('PYTHONPATH', '')}:{tmp_path}"}
    kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted", check=True)
    documents = YAML(typ="safe").load_all((ROOT / "config" / "rbac" / "operator.yaml").read_text())
    role = next(one for one in documents if one["kind"] == "ClusterRole")
    role |= {"kind": "Role", "metadata": {"name": "operator", "namespace": namespace}}
    kubectl("apply", "-f", "-", input=json.dumps(role), check=True)
    kubectl("create", "rolebinding", "bob", "--role=operator", "--user=bob", namespace=namespace, check=True)
    async with (
        KubeClient.from_kubeconfig(cluster.kubeconfig) as kube,
        KubeClient.from_kubeconfig(cluster.kubeconfig_for("bob")) as operator,
        pod_runner(cluster, kube, tmp_path / "node", environment=image) as runner,
    ):
        body = {**TRAINING_RUN, "metadata": {"name": "docs-1", "namespace": namespace}}
        run = await kube.create(TRAINING_RUNS, body)
        await set_secret(kube, namespace, {"hugging-face": f"{SECRET_VALUE}\n"})
        yield Bench(kube, operator, runner, namespace, run["metadata"]["uid"], tmp_path)
        # Their node is gone, so nothing else ends the Pods.
        kubectl("delete", "jobs", "--all", "--cascade=orphan", namespace=namespace, check=True)
        kubectl("delete", "pods", "--all", "--force", "--wait=false", namespace=namespace, check=True)


async def set_secret(kube: KubeClient, namespace: str, values: dict[str, str]) -> None:
    await kube.delete(SECRETS, namespace, "tokens")
    metadata = {"name": "tokens", "namespace": namespace}
    await kube.create(
        SECRETS, {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": values}
    )


def has_result(state: ProgramState) -> bool:
    return state.result is not None
