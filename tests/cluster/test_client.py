"""The client on a real API server: typed objects, the caller's own rights, watches that go on, and clear errors."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from tests.conftest import Kubectl
from tests.loopback_server import serving
from tests.patience import patient
from tests.unit.docs.pages import ROOT, blocks

from modelops.api.v1alpha1.trainingrun import TrainingPhase, TrainingRun
from modelops.client import (
    Access,
    AccessError,
    AlreadyExists,
    AsyncClient,
    Client,
    Conflict,
    EventType,
    Forbidden,
    Impersonation,
    Invalid,
    NotFound,
    Unavailable,
    Uncertain,
    Unreadable,
    WaitTimeout,
)
from modelops.localcluster import LocalCluster

SPEC = {"agentModelRef": {"name": "docs"}, "baseModel": "a/b", "maxUSD": "1"}
GROUP = "modelops.code-chef.dev"
PAGE = ROOT / "docs" / "guides" / "command-line.md"


@pytest.fixture
def access(cluster: LocalCluster, namespace: str) -> Access:
    return Access(kubeconfig=str(cluster.kubeconfig), namespace=namespace)


@pytest.fixture
async def client(access: Access) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(access) as made:
        yield made


async def test_an_object_is_created_read_changed_and_deleted(client: AsyncClient, namespace: str) -> None:
    made = await client.training_runs.create("one", SPEC, labels={"team": "docs"})
    assert isinstance(made, TrainingRun)
    assert (made.metadata.namespace, made.metadata.labels["team"], made.spec.max_usd) == (
        namespace,
        "docs",
        "1",
    )
    with pytest.raises(AlreadyExists, match="one"):
        await client.training_runs.create("one", SPEC)
    changed = await client.training_runs.patch("one", {"spec": {"suspend": True}}, uid=made.metadata.uid)
    assert changed.spec.suspend
    with pytest.raises(Conflict):
        await client.training_runs.patch("one", {"spec": {"suspend": False}}, uid="another")
    with pytest.raises(Conflict):
        await client.training_runs.patch(
            "one", {"spec": {"suspend": False}}, resource_version=made.metadata.resource_version
        )
    assert (await client.training_runs.get("one")).spec.suspend
    await client.training_runs.delete("one", uid=made.metadata.uid)
    with pytest.raises(NotFound):
        await client.training_runs.get("one")


async def test_a_dry_run_checks_and_stores_nothing(client: AsyncClient) -> None:
    await client.training_runs.create("dry", SPEC, dry_run=True)
    assert (await client.training_runs.list()).items == ()
    with pytest.raises(Invalid, match=r"spec\.maxUSD"):
        await client.training_runs.create("dry", {**SPEC, "maxUSD": "a lot"}, dry_run=True)
    with pytest.raises(Invalid, match="maxUsd"):
        await client.training_runs.create("dry", {**SPEC, "maxUsd": "1"}, dry_run=True)


async def test_a_list_is_paged_and_selects(client: AsyncClient) -> None:
    for number in range(5):
        await client.training_runs.create(f"run-{number}", SPEC, labels={"odd": str(number % 2)})
    first = await client.training_runs.list(limit=2)
    second = await client.training_runs.list(limit=2, page=first.next_page)
    third = await client.training_runs.list(limit=2, page=second.next_page)
    names = [run.metadata.name for page in (first, second, third) for run in page.items]
    assert (names, third.next_page) == ([f"run-{number}" for number in range(5)], "")
    odd = await client.training_runs.list(label_selector="odd=1")
    assert [run.metadata.name for run in odd.items] == ["run-1", "run-3"]


async def test_a_wrong_name_is_answered_with_the_nearest(client: AsyncClient) -> None:
    await client.training_runs.create("feature-dev-march", SPEC)
    with pytest.raises(
        NotFound, match=r"has no TrainingRun named feature_dev_mrach: did you mean feature-dev-march\?; or"
    ):
        await client.training_runs.get("feature_dev_mrach")
    with pytest.raises(NotFound, match="there is none"):
        await client.rollouts.get("any")


async def test_a_watch_tells_what_is_there_and_then_every_change(client: AsyncClient) -> None:
    await client.training_runs.create("first", SPEC)
    events = client.training_runs.watch()
    try:
        seen = [await asyncio.wait_for(anext(events), patient(10))]
        await client.training_runs.create("second", SPEC)
        started = time.monotonic()
        seen.append(await asyncio.wait_for(anext(events), patient(10)))
        assert time.monotonic() - started < patient(5)
        await client.training_runs.delete("first")
        seen.append(await asyncio.wait_for(anext(events), patient(10)))
    finally:
        await events.aclose()
    told = [(event.type, event.stored["metadata"]["name"]) for event in seen]
    assert told == [(EventType.ADDED, "first"), (EventType.ADDED, "second"), (EventType.DELETED, "first")]
    assert all(isinstance(event.value, TrainingRun) for event in seen)


async def test_a_wait_ends_with_the_condition_with_its_time_or_with_a_deletion(
    client: AsyncClient, kubectl: Kubectl, namespace: str
) -> None:
    await client.training_runs.create("one", SPEC)
    seen: list[str] = []

    def is_running(run: TrainingRun) -> bool:
        return run.status.phase is TrainingPhase.RUNNING

    async def waiting(timeout: float) -> TrainingRun:
        return await client.training_runs.wait(
            "one", is_running, what="it runs", timeout=timeout, seen=lambda run: seen.append(run.status.phase)
        )

    with pytest.raises(WaitTimeout, match="not yet: it runs") as late:
        await waiting(0.3)
    assert late.value.last.status.phase is TrainingPhase.PENDING
    task = asyncio.create_task(waiting(patient(20)))
    while len(seen) < 2:
        await asyncio.sleep(0.02)
    status = json.dumps({"status": {"phase": "Running"}})
    kubectl(
        "patch", f"trainingruns.{GROUP}", "one", "--subresource=status", "--type=merge", "-p", status,
        namespace=namespace, check=True,
    )  # fmt: skip
    assert (await task).status.phase is TrainingPhase.RUNNING
    task = asyncio.create_task(
        client.training_runs.wait("one", lambda run: False, what="never", timeout=patient(20))
    )
    await asyncio.sleep(0)  # whether it waits already or has not begun to watch: the deletion is told
    await client.training_runs.delete("one")
    with pytest.raises(NotFound, match=r"was deleted before never|has no TrainingRun named one"):
        await task


async def test_the_callers_rights_decide_and_the_message_says_who_can_grant(
    cluster: LocalCluster, namespace: str, kubectl: Kubectl
) -> None:
    bob = Access(kubeconfig=str(cluster.kubeconfig_for("bob")), namespace=namespace)
    async with AsyncClient(bob) as client:
        with pytest.raises(Forbidden, match=r'"bob" cannot list .*kubectl create rolebinding modelops-view'):
            await client.training_runs.list()
        with pytest.raises(Forbidden, match=r"--clusterrole=edit"):
            await client.training_runs.create("one", SPEC)
        with pytest.raises(Forbidden, match="may not create trainingruns"):
            await client.training_runs.require("create")
        assert (await client.whoami()).name == "bob"
    admin = Access(
        kubeconfig=str(cluster.kubeconfig),
        namespace=namespace,
        impersonate=Impersonation(user="carla", groups=("trainers", "readers")),
    )
    kubectl(
        "create", "role", "trainers", "--verb=create", f"--resource=trainingruns.{GROUP}",
        namespace=namespace, check=True,
    )  # fmt: skip
    kubectl(
        "create",
        "rolebinding",
        "trainers",
        "--role=trainers",
        "--group=trainers",
        namespace=namespace,
        check=True,
    )
    async with AsyncClient(admin) as client:
        caller = await client.whoami()
        assert caller.name == "carla"
        assert {"trainers", "readers"} <= set(caller.groups)
        await _until(lambda: client.training_runs.may("create"))
        await client.training_runs.create("one", SPEC)
        with pytest.raises(Forbidden, match="--user=carla"):
            await client.training_runs.delete("one")


async def test_a_kubeconfig_that_impersonates_does_not_act_as_its_owner(
    cluster: LocalCluster, namespace: str, tmp_path: Path
) -> None:
    """kubectl applies `as` of a kubeconfig; the official Python package ignores it."""
    content = YAML(typ="safe").load(Path(cluster.kubeconfig).read_text())
    for user in content["users"]:
        user["user"] |= {"as": "carla", "as-groups": ["readers"], "as-uid": "7"}
        user["user"]["as-user-extra"] = {"example.com/team": ["docs", "ops"]}
    file = tmp_path / "kubeconfig"
    with file.open("w") as stream:
        YAML().dump(content, stream)
    async with AsyncClient(Access(kubeconfig=str(file), namespace=namespace)) as client:
        caller = await client.whoami()
        assert (caller.name, "readers" in caller.groups, caller.uid) == ("carla", True, "7")
        assert caller.extra == {"example.com/team": ("docs", "ops")}
        with pytest.raises(Forbidden):
            await client.training_runs.create("one", SPEC)


async def test_no_kubeconfig_a_wrong_context_and_no_server_are_explained(
    cluster: LocalCluster, namespace: str, tmp_path: Path
) -> None:
    async with AsyncClient(Access(kubeconfig=str(tmp_path / "missing"))) as client:
        with pytest.raises(AccessError, match=r"there is no kubeconfig at .*missing"):
            await client.training_runs.list()
    async with AsyncClient(Access(kubeconfig=str(cluster.kubeconfig), context="elsewhere")) as client:
        with pytest.raises(AccessError, match="elsewhere"):
            await client.training_runs.list()
    content = YAML(typ="safe").load(Path(cluster.kubeconfig).read_text())
    for one in content["clusters"]:
        one["cluster"]["server"] = "https://127.0.0.1:1"
    gone = tmp_path / "gone"
    with gone.open("w") as stream:
        YAML().dump(content, stream)
    async with AsyncClient(Access(kubeconfig=str(gone))) as client:
        with pytest.raises(Unavailable, match=r"does not answer \(context .*, https://127\.0\.0\.1:1\)"):
            await client.training_runs.list()


async def test_an_object_of_another_form_is_named_and_does_not_hide_the_others(
    client: AsyncClient, kubectl: Kubectl, namespace: str
) -> None:
    await client.training_runs.create("good", SPEC)
    await client.training_runs.create("odd", SPEC)
    status = json.dumps({"status": {"progress": {"percent": 50}}})
    kubectl(
        "patch", f"trainingruns.{GROUP}", "odd", "--subresource=status", "--type=merge", "-p", status,
        namespace=namespace, check=True,
    )  # fmt: skip
    listing = await client.training_runs.list()
    assert [run.metadata.name for run in listing.items] == ["good", "odd"]
    with pytest.raises(Unreadable, match=r"TrainingRun new cannot be read: spec\.method"):
        client.training_runs._typed(
            {"kind": "TrainingRun", "metadata": {"name": "new"}, "spec": {**SPEC, "method": "later"}}
        )


def test_the_ordinary_client_does_the_same_also_beside_a_running_loop(access: Access) -> None:
    with Client(access) as client:
        client.training_runs.create("one", SPEC)
        events = client.training_runs.watch()
        assert next(events).value is not None
        threading.Timer(0.2, lambda: client.training_runs.delete("one")).start()
        assert next(events).type is EventType.DELETED
        events.close()

        async def inside() -> str:
            return client.whoami().name

        assert asyncio.run(inside())


async def test_a_watch_survives_a_history_that_is_gone_and_a_connection_that_is_cut(tmp_path: Path) -> None:
    """A server that speaks the protocol of lists and watches badly."""
    answers = iter(
        [
            ("list", {"one": "1"}, "10"),
            ("watch", [("MODIFIED", "one", "11"), ("ERROR", "", "")]),
            ("list", {"one": "11", "two": "12"}, "20"),
            ("cut", []),
            ("watch", [("BOOKMARK", "", "21"), ("DELETED", "two", "22")]),
        ]
    )
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            step: tuple[Any, ...] = next(answers, ("cut", []))
            if step[0] == "cut":
                self.close_connection = True
                return
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            if step[0] == "list":
                items = [_stored(name, version) for name, version in step[1].items()]
                body = {"metadata": {"resourceVersion": step[2]}, "items": items}
                self.wfile.write(json.dumps(body).encode())
                return
            for kind, name, version in step[1]:
                what: Any = {"code": 410, "reason": "Expired", "message": "too old"}
                if kind != "ERROR":
                    what = _stored(name, version)
                self.wfile.write(json.dumps({"type": kind, "object": what}).encode() + b"\n")

    with serving(Handler) as url:
        async with AsyncClient(_access_to(url, tmp_path)) as client:
            told: list[tuple[str, str]] = []
            events = client.training_runs.watch()
            while len(told) < 4:
                event = await asyncio.wait_for(anext(events), patient(20))
                told.append((event.type.value, event.stored["metadata"]["name"]))
            await events.aclose()
    assert told == [("ADDED", "one"), ("MODIFIED", "one"), ("ADDED", "two"), ("DELETED", "two")]
    assert "resourceVersion=20" in asked[4]


async def test_an_object_that_is_deleted_before_the_watch_begins_is_told_as_deleted(
    client: AsyncClient,
) -> None:
    await client.training_runs.create("one", SPEC)
    before = await client.training_runs.get_stored("one")
    await client.training_runs.delete("one")
    await client.training_runs.create("two", SPEC)
    events = client.training_runs.watch(seen=[before])
    told = [await asyncio.wait_for(anext(events), patient(10)) for _ in range(2)]
    await events.aclose()
    assert [(event.type, event.stored["metadata"]["name"]) for event in told] == [
        (EventType.DELETED, "one"),
        (EventType.ADDED, "two"),
    ]


def test_the_program_of_the_guide_works(
    cluster: LocalCluster, kubectl: Kubectl, namespace: str, access: Access, tmp_path: Path
) -> None:
    (program,) = [block.text for block in blocks(PAGE) if block.test == "client"]
    with Client(access) as client:
        client.training_runs.create("one", SPEC)
    moment = "2025-12-09T22:00:00Z"
    ended = {"type": "Finished", "status": "True", "reason": "Trained", "lastTransitionTime": moment}
    status = json.dumps({"status": {"phase": "Succeeded", "costUSD": "0.87", "conditions": [ended]}})
    kubectl(
        "patch", f"trainingruns.{GROUP}", "one", "--subresource=status", "--type=merge", "-p", status,
        namespace=namespace, check=True,
    )  # fmt: skip
    content = YAML(typ="safe").load(Path(cluster.kubeconfig).read_text())
    for context in content["contexts"]:
        context["context"]["namespace"] = namespace
    file = tmp_path / "kubeconfig"
    with file.open("w") as stream:
        YAML().dump(content, stream)
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "KUBECONFIG": str(file)},
        capture_output=True,
        text=True,
        timeout=patient(60),
    )
    assert done.stdout.splitlines() == ["one Succeeded 0.87", "one has ended"], done.stderr


async def test_a_server_that_is_too_busy_is_asked_again_and_a_lost_answer_to_a_write_is_uncertain(
    tmp_path: Path,
) -> None:
    answers = iter([429, 503, 200, 429, 0])

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def _answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status = next(answers)
            if not status:
                self.close_connection = True
                return
            self.send_response(status)
            self.send_header("Retry-After", "0")
            self.end_headers()
            self.wfile.write(json.dumps({"metadata": {}, "items": []}).encode())

    with serving(Handler) as url:
        async with AsyncClient(_access_to(url, tmp_path)) as client:
            assert (await client.training_runs.list()).items == ()
            with pytest.raises(Uncertain, match="look at the object before you repeat it"):
                await client.training_runs.create("one", SPEC)


def _stored(name: str, version: str) -> dict[str, Any]:
    metadata = {"name": name, "uid": f"uid-{name}", "resourceVersion": version}
    return {"apiVersion": f"{GROUP}/v1alpha1", "kind": "TrainingRun", "metadata": metadata, "spec": SPEC}


def _access_to(url: str, folder: Path) -> Access:
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u", "namespace": "n"}}],
        "current-context": "x",
    }
    file = folder / "kubeconfig"
    with file.open("w") as stream:
        YAML().dump(content, stream)
    return Access(kubeconfig=str(file))


async def _until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + patient(20)
    while not await condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)
