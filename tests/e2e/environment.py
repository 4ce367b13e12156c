"""A test's environment: a namespace with an agent in it, and an operator that watches only that namespace."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from tests.cluster.operator_process import kubeconfig_through
from tests.e2e import manifests
from tests.e2e.agents import Agents
from tests.e2e.api import Api, open_session
from tests.e2e.cloud import HELD_OUT, TRAIN, Cloud
from tests.e2e.recording_proxy import Recorder, RecordingProxy
from tests.patience import deadline_after, patient

from modelops.adapters.kube import Connection
from modelops.domain import agentsfile
from modelops.domain.record import Record
from modelops.free_port import free_port
from modelops.localcluster import LocalCluster
from modelops.ports import Json
from modelops.sandbox.tokens import USER

REPORT_TOKEN = "a-shared-secret-of-the-test"
SETTLE_SECONDS = 1.0


class Environment:
    """See `open_environment`. `recorder` has all writes of the operator."""

    def __init__(
        self, cluster: LocalCluster, cloud: Cloud, api: Api, recorder: Recorder, folder: Path
    ) -> None:
        self.cluster = cluster
        self.cloud = cloud
        self.api = api
        self.recorder = recorder
        self.folder = folder
        self.variables: dict[str, str] = {}
        self.report_port = free_port()
        self._process: asyncio.subprocess.Process | None = None
        self._standbys: list[asyncio.subprocess.Process] = []
        self._agents: list[Agents] = []

    # The operator -----------------------------------------------------------------------------------------

    async def start_operator(self, **environ: str) -> None:
        """Starts the operator, and does not wait until it is the leader."""
        assert self._process is None
        self._process = await self._spawn(environ)

    async def start_standby(self, **environ: str) -> None:
        """Starts a second operator, which waits until it can take the lease."""
        state = {"MODELOPS_STATE_DIR": str(self.folder / "state-of-another"), "MODELOPS_REPORT_PORT": "0"}
        self._standbys.append(await self._spawn({**state, **environ}))

    async def _spawn(self, environ: Mapping[str, str]) -> asyncio.subprocess.Process:
        with (self.folder / "operator.log").open("ab") as log:
            return await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "modelops.runtime",
                env={**self.variables, **environ},
                stderr=log,
                stdout=log,
                start_new_session=True,
            )

    async def wait_until_leading(self, *, seconds: float = 30) -> None:
        """Waits until the operator is the leader."""
        await self.wait_until(
            lambda: self._published_state().get("pid") == self.operator_pid,
            seconds=seconds,
            expected="leading",
        )

    def _published_state(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads((self.folder / "state" / "operator.json").read_text())
        except FileNotFoundError:
            return {}
        return found

    @property
    def operator_pid(self) -> int:
        """Process id of the running operator."""
        assert self._process is not None
        return self._process.pid

    @property
    def operator_is_running(self) -> bool:
        """Whether the operator's process runs."""
        return self._process is not None and self._process.returncode is None

    async def kill_operator(self) -> None:
        """Ends the operator with SIGKILL and waits for its end."""
        await self._end(signal.SIGKILL)

    async def stop_operator(self) -> None:
        """Ends the operator with SIGTERM and waits for its end."""
        await self._end(signal.SIGTERM)

    async def _end(self, number: int) -> None:
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            process.send_signal(number)
            await process.wait()

    def signal_operator(self, number: int) -> None:
        """Sends the operator a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    async def wait_for_exit(self, *, seconds: float = 30) -> int:
        """Waits until the operator ends by itself; returns its exit code."""
        assert self._process is not None
        async with asyncio.timeout(patient(seconds)):
            code = await self._process.wait()
        self._process = None
        return code

    def operator_log(self) -> str:
        """The last 4,000 characters of the operator's log."""
        return (self.folder / "operator.log").read_text(errors="replace")[-4000:]

    # Agents -----------------------------------------------------------------------------------------------

    def start_agents(self, count: int = 2, *, rate: float = 10) -> Agents:
        """Starts agents; they end with the environment."""
        running = Agents(
            self.cluster,
            self.api.namespace,
            report_url=f"http://127.0.0.1:{self.report_port}/v1/report",
            token=REPORT_TOKEN,
            count=count,
            rate=rate,
        )
        self._agents.append(running)
        return running

    async def close(self) -> None:
        """Ends the operator, its programs and the agents."""
        self.recorder.fault = None
        await self.kill_operator()
        for process in self._standbys:
            if process.returncode is None:
                process.kill()
            await process.wait()
        for running in self._agents:
            await asyncio.to_thread(running.close)
        for folder in (self.folder / "state" / "programs").glob("*"):
            from modelops.adapters.programs.process import terminate

            await asyncio.to_thread(terminate, folder)

    # The objects ------------------------------------------------------------------------------------------

    async def put_inputs(self) -> None:
        """Creates agents.yaml and the Secret with the tokens, or makes them right again."""
        sandbox = self.cloud.sandbox
        tokens = {"hf": sandbox.hf_token, "langsmith": sandbox.langsmith_key}
        await self.api.put(manifests.secret("tokens", {**tokens, "openrouter": sandbox.openrouter_key}))
        file = manifests.agents_file(sandbox.openrouter)
        await self.api.put(manifests.config_map("agents", {"agents.yaml": file}))

    async def create_agent_model(self, **spec: Any) -> Json:
        """Creates the AgentModel `docs`."""
        return await self.api.create(self._agent_model(**spec))

    async def put_agent_model(self) -> None:
        """Creates the AgentModel `docs`, or makes its spec right again."""
        await self.api.put(self._agent_model())

    def _agent_model(self, **spec: Any) -> Json:
        sandbox = self.cloud.sandbox
        given = {"openrouter": sandbox.openrouter, "train": TRAIN, "held_out": HELD_OUT, **spec}
        return manifests.agent_model(**given)

    async def read_record(self, agent_model: str = "docs") -> Record:
        """The agent's record, from its ConfigMap."""
        found = await self.api.get("ConfigMap", f"{agent_model}-modelops-record")
        assert found is not None
        return Record.from_data(found["data"])

    async def read_agents_file(self) -> tuple[str, agentsfile.AgentEntry]:
        """agents.yaml, and the docs agent's entry in it."""
        found = await self.api.get("ConfigMap", "agents")
        assert found is not None
        text = found["data"]["agents.yaml"]
        return text, agentsfile.parse(text, "docs")

    async def read_stable_target(self) -> agentsfile.StableTarget:
        """The docs agent's stable model in agents.yaml."""
        _, entry = await self.read_agents_file()
        assert entry.stable is not None
        return entry.stable

    async def write_agents_file(self, text: str) -> None:
        """Overwrites agents.yaml as a person would, without a resourceVersion."""
        await self.api.patch("ConfigMap", "agents", {"data": {"agents.yaml": text}})

    # Waiting ----------------------------------------------------------------------------------------------

    async def wait_until(
        self, predicate: Callable[[], Any], *, seconds: float = 60, expected: str = "so"
    ) -> Any:
        """Waits until `predicate` returns a true value, and returns that value.

        `expected` completes the sentence "not ... within 60 s" of the AssertionError.
        """
        deadline = deadline_after(seconds)
        while not (found := predicate()):
            if time.monotonic() > deadline:
                raise AssertionError(
                    f"not {expected} within {patient(seconds):.0f} s; the operator:\n{self.operator_log()}"
                )
            await asyncio.sleep(0.02)
        return found

    async def wait_until_quiet(self, *, seconds: float = 1.5, within: float = 30) -> list[str]:
        """Waits until the operator has written nothing for `seconds`; returns all its writes so far."""
        deadline = deadline_after(within)
        seen, since = len(self.recorder.writes), time.monotonic()
        while time.monotonic() - since < seconds:
            if len(self.recorder.writes) != seen:
                seen, since = len(self.recorder.writes), time.monotonic()
            assert time.monotonic() < deadline, (
                f"the operator does not stop writing: {self.recorder.summaries()[-8:]}"
            )
            await asyncio.sleep(0.02)
        return self.recorder.summaries()


@asynccontextmanager
async def open_environment(
    cluster: LocalCluster, cloud: Cloud, namespace: str, folder: Path, **environ: str
) -> AsyncIterator[Environment]:
    """Creates agents.yaml and the Secret with the tokens in the namespace; the operator is not started yet."""
    connection = Connection.from_kubeconfig(cluster.kubeconfig)
    sandbox, recorder = cloud.sandbox, Recorder()
    folder.mkdir(parents=True, exist_ok=True)
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(open_session(connection))
        api = Api(session, connection.server, namespace)
        env = Environment(cluster, cloud, api, recorder, folder)
        urls = {
            "kube": RecordingProxy("kube", connection.server, recorder, tls=connection.ssl_context()),
            "hub": RecordingProxy("hub", sandbox.hub, recorder),
            "endpoints": RecordingProxy("endpoints", sandbox.endpoints, recorder),
        }
        at = {name: await stack.enter_async_context(proxy.serving()) for name, proxy in urls.items()}
        stack.push_async_callback(env.close)
        kubeconfig = kubeconfig_through(connection, at["kube"], folder / "kubeconfig", namespace=namespace)
        given = sandbox.environment()
        del given["LANGSMITH_API_KEY"], given["OPENROUTER_API_KEY"], given["HF_TOKEN"]
        del given["HUGGINGFACE_HUB_TOKEN"]
        env.variables = {
            **{key: os.environ[key] for key in ("PATH", "HOME", "PYTHONPATH") if key in os.environ},
            **given,
            "HF_ENDPOINT": at["hub"],
            "MODELOPS_ENDPOINTS_URL": at["endpoints"],
            "KUBECONFIG": str(kubeconfig),
            "MODELOPS_HUB_ORG": USER,
            "MODELOPS_STATE_DIR": str(folder / "state"),
            "MODELOPS_NAMESPACE": namespace,
            "MODELOPS_WATCH_NAMESPACES": namespace,
            "MODELOPS_METRICS_PORT": "0",
            "MODELOPS_REPORT_PORT": str(env.report_port),
            "MODELOPS_REPORT_TOKEN": REPORT_TOKEN,
            "MODELOPS_POLL_SECONDS": "0.25",
            "MODELOPS_SETTLE_SECONDS": str(SETTLE_SECONDS),
            "MODELOPS_RETRY_SECONDS": "0.2",
            **environ,
        }
        await env.put_inputs()
        yield env
