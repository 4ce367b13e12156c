"""The row node: the operator in its image on a real node, and how soon a change reaches a mounted file.

It is measured only by name, because it builds the images and runs a node, which takes minutes and needs root.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
from ruamel.yaml import YAML
from tests.bench.environment import Environment
from tests.bench.memory import IDLE_SECONDS, operator_python, resident_mb
from tests.bench.operators import operator
from tests.bench.table import Row, milliseconds, quantile
from tests.node.images import Builder
from tests.node.needs import Place, missing
from tests.node.node import Node
from tests.node.opening import open_site
from tests.node.site import CHART, MOUNTING, NAMESPACE, OPERATOR_NAMESPACE, Site

OBJECTS = 100
WEIGHTS = range(5, 80, 5)
WITHOUT_TOUCH = 2
RSS_RATIO, RSS_LIMIT_MB, READY_SECONDS, PROPAGATION_SECONDS, TIMES_SOONER = 1.2, 121.0, 3.0, 2.0, 10.0
SECONDS = 900.0


async def measure(env: Environment) -> list[Row]:
    """Measures the process of today first, then the same operator in its image."""
    if why := missing():
        return [Row(name="node", measured=f"not measured: {why}", limit_missed=None)]
    python = await asyncio.to_thread(operator_python)
    async with operator(env, python=str(python)) as running:
        await asyncio.sleep(IDLE_SECONDS)
        process = resident_mb(running.process.pid)
    return await asyncio.to_thread(_measure_on_node, process)


def _measure_on_node(process_mb: float) -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="modelops-bench-node-") as folder:
        kept = os.environ.get("MODELOPS_TEST_IMAGES")
        builder = Builder(Path(kept) if kept else Path(folder) / "images")
        images = builder.archives() if builder.has_archives else builder.build_all()
        with open_site(Place.MACHINE, images, Path(folder)) as site:
            values = site.values(replicas=1, programs={"run": "process"})
            site.helm("install", CHART, "-f", values, "--wait", "--timeout", "2m")
            time.sleep(IDLE_SECONDS)
            idle = resident_mb(_operator_pid(site))
            ready = _seconds_to_ready(site)
            touched = _propagation(site)
            plain = _propagation_without_touch(site)
    slowest = quantile(touched, 0.99)
    sooner = min(plain) / quantile(touched, 0.5)
    return [
        Row(
            name="idle RSS of the operator in its image",
            measured=f"{idle:.0f} MB: {idle / process_mb:.2f} of the process",
            limit=f"<= {RSS_RATIO} of the process, < {RSS_LIMIT_MB:.0f} MB",
            peer=f"today's process: {process_mb:.0f} MB",
            limit_missed=idle > RSS_RATIO * process_mb or idle >= RSS_LIMIT_MB,
        ),
        Row(
            name=f"start of the Pod's process to ready, {OBJECTS} objects",
            measured=f"{ready:.2f} s",
            limit=f"< {READY_SECONDS:.0f} s",
            limit_missed=ready >= READY_SECONDS,
        ),
        Row(
            name="weight written -> in effect from a mounted file",
            measured=milliseconds(touched),
            limit=f"p99 < {PROPAGATION_SECONDS * 1000:.0f} ms, {TIMES_SOONER:.0f} times sooner",
            peer=f"without the touch: {', '.join(f'{one:.0f} s' for one in plain)}",
            limit_missed=slowest >= PROPAGATION_SECONDS or sooner < TIMES_SOONER,
        ),
    ]


def _operator_pid(site: Site) -> int:
    assert isinstance(site.node, Node)
    (pod,) = site.operator_pods()
    return site.node.process_of(
        pod["status"]["containerStatuses"][0]["containerID"].removeprefix("containerd://")
    )


def _seconds_to_ready(site: Site) -> float:
    """From the start of a new Pod's process until it leads with its caches filled."""
    spec: dict[str, Any] = site.manifest("2-agent.yaml")[-1]
    site.apply(
        *(
            {
                **spec,
                "metadata": {"name": f"waits-{n}", "namespace": NAMESPACE},
                "spec": {**spec["spec"], "agent": f"waits_{n}"},
            }
            for n in range(OBJECTS)
        )
    )
    (old,) = site.operator_pods()
    site.kubectl("delete", "pod", old["metadata"]["name"], "-n", OPERATOR_NAMESPACE)
    pod = site.until(
        lambda: next((p for p in site.operator_pods() if p["status"].get("podIP")), None), "a new Pod"
    )
    url = f"http://{pod['status']['podIP']}:8080/readyz"
    _poll(lambda: _leads(url))
    now = time.time()
    site.until(lambda: site.ready_operator_pods(), "the Pod is ready")
    return now - psutil.Process(_operator_pid(site)).create_time()


def _propagation(site: Site) -> list[float]:
    """For each weight of a rollout: from the API server's event until the agent with the mounted file uses it."""
    site.make_agent(MOUNTING)
    address = site.until(lambda: list(site.agents().values()), "the agent is ready")[0]
    run, rollout = site.manifest("act-1.yaml")
    rollout["spec"]["strategy"]["canary"]["steps"] = [{"setWeight": weight} for weight in (*WEIGHTS, 100)]
    written: dict[int, float] = {}
    kubectl = [site.node.cluster.kubectl, "--kubeconfig", site.node.cluster.kubeconfig, "-n", NAMESPACE]
    watch = subprocess.Popen(
        [*kubectl, "get", "configmap", "agents", "-w", "-o", "json", "--output-watch-events"],
        stdout=subprocess.PIPE,
    )

    def follow() -> None:
        decoder, text = json.JSONDecoder(), ""
        assert watch.stdout is not None
        for line in watch.stdout:
            text += line.decode()
            try:
                event, end = decoder.raw_decode(text.lstrip())
            except ValueError:
                continue
            text = text.lstrip()[end:]
            weight = _weight_in(event["object"]["data"]["agents.yaml"])
            written.setdefault(weight, time.monotonic())

    threading.Thread(target=follow, daemon=True).start()
    try:
        site.apply(run, rollout)
        used: dict[int, float] = {}

        def all_used() -> bool:
            used.setdefault(site.routing(address)["weight"], time.monotonic())
            return WEIGHTS[-1] in used

        _poll(all_used, seconds=400)
        site.end_of_rollout("docs-better", seconds=60)
    finally:
        watch.kill()
        watch.wait()
    return [used[weight] - written[weight] for weight in WEIGHTS if weight in used and weight in written]


def _propagation_without_touch(site: Site) -> list[float]:
    """The same where nobody touches the Pod: the operator is away, and a person changes the file."""
    site.kubectl("scale", "deployment/modelops-operator", "--replicas=0", "-n", OPERATOR_NAMESPACE)
    site.until(lambda: not site.operator_pods(), "the operator is away")
    address = next(iter(site.agents().values()))
    found = []
    for number in range(WITHOUT_TOUCH):
        file = site.get("configmap", "agents")["data"]["agents.yaml"]
        version = YAML(typ="safe").load(file)["agents"]["docs"]["version"]
        following = f"v9.9.{number}"
        changed = json.dumps({"data": {"agents.yaml": file.replace(version, following)}})
        started = time.monotonic()
        site.kubectl("patch", "configmap", "agents", "-n", NAMESPACE, "--type=merge", "-p", changed)
        _poll(lambda now=following: site.ask(address, "any", site.tasks[0]) == now, seconds=180)
        found.append(time.monotonic() - started)
        time.sleep(7)  # so that the tries fall on different moments of the kubelet's round
    return found


def _weight_in(agents_yaml: str) -> int:
    words = agents_yaml.split("weight:")
    return int(words[1].split()[0]) if len(words) > 1 else 0


def _leads(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as response:
            return bool(json.load(response)["phase"] == "leading")
    except (OSError, ValueError):
        return False


def _poll(condition: Callable[[], bool], *, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.01)
