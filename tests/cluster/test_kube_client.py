"""The client against a real API server: each outcome has its error, and no write is sent twice."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.cluster.losing_proxy import losing_proxy

from modelops.adapters.kube import ConfigurationError, Connection, KubeClient, Transport
from modelops.localcluster import LocalCluster
from modelops.ports import (
    Conflict,
    Json,
    Missing,
    NotLeader,
    Refused,
    Resource,
    Unavailable,
    Uncertain,
)

CONFIG_MAPS = Resource(group="", version="v1", plural="configmaps", kind="ConfigMap")
EVENTS = Resource(group="", version="v1", plural="events", kind="Event")
Calls = list[tuple[str, str, str]]


@pytest.fixture
def calls() -> Calls:
    return []


@pytest.fixture
def connection(cluster: LocalCluster) -> Connection:
    return Connection.from_kubeconfig(cluster.kubeconfig)


@pytest.fixture
async def kube(connection: Connection, calls: Calls) -> AsyncIterator[KubeClient]:
    transport = Transport(connection, on_call=lambda *call: calls.append(call))
    async with KubeClient(transport) as client:
        yield client


def config_map(namespace: str, name: str = "c", **data: str) -> Json:
    metadata = {"namespace": namespace, "name": name}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def at(item: Json, **data: str) -> Json:
    return {"metadata": {"resourceVersion": item["metadata"]["resourceVersion"]}, "data": data}


async def test_a_written_object_can_be_read(kube: KubeClient, namespace: str, calls: Calls) -> None:
    made = await kube.create(CONFIG_MAPS, config_map(namespace, a="1"))
    changed = await kube.patch(CONFIG_MAPS, namespace, "c", at(made, a="2"))
    assert await kube.get(CONFIG_MAPS, namespace, "c") == changed
    assert changed["data"] == {"a": "2"}
    assert {field["manager"] for field in changed["metadata"]["managedFields"]} == {"modelops-operator"}
    assert calls == [
        ("create", "configmaps", "201"),
        ("patch", "configmaps", "200"),
        ("get", "configmaps", "200"),
    ]


async def test_a_missing_object_reads_as_none(kube: KubeClient, namespace: str) -> None:
    assert await kube.get(CONFIG_MAPS, namespace, "nothing") is None


async def test_an_outdated_write_is_a_conflict_and_changes_nothing(kube: KubeClient, namespace: str) -> None:
    made = await kube.create(CONFIG_MAPS, config_map(namespace, a="1"))
    newer = await kube.patch(CONFIG_MAPS, namespace, "c", at(made, a="2"))
    with pytest.raises(Conflict):
        await kube.patch(CONFIG_MAPS, namespace, "c", at(made, a="3"))
    assert await kube.get(CONFIG_MAPS, namespace, "c") == newer


async def test_a_taken_name_is_a_conflict(kube: KubeClient, namespace: str) -> None:
    await kube.create(CONFIG_MAPS, config_map(namespace))
    with pytest.raises(Conflict):
        await kube.create(CONFIG_MAPS, config_map(namespace))


async def test_a_write_to_a_deleted_object_is_missing(kube: KubeClient, namespace: str) -> None:
    made = await kube.create(CONFIG_MAPS, config_map(namespace))
    await kube.delete(CONFIG_MAPS, namespace, "c")
    with pytest.raises(Missing):
        await kube.patch(CONFIG_MAPS, namespace, "c", at(made, a="1"))
    await kube.delete(CONFIG_MAPS, namespace, "c")


async def test_a_deletion_at_an_outdated_version_is_a_conflict(kube: KubeClient, namespace: str) -> None:
    made = await kube.create(CONFIG_MAPS, config_map(namespace))
    await kube.patch(CONFIG_MAPS, namespace, "c", at(made, a="1"))
    with pytest.raises(Conflict):
        await kube.delete(CONFIG_MAPS, namespace, "c", resource_version=made["metadata"]["resourceVersion"])


async def test_an_invalid_object_is_refused_in_the_words_of_the_server(
    kube: KubeClient, namespace: str
) -> None:
    with pytest.raises(Refused, match="Bad_Name"):
        await kube.create(CONFIG_MAPS, config_map(namespace, "Bad_Name"))


async def test_a_request_that_rbac_forbids_is_refused(cluster: LocalCluster, namespace: str) -> None:
    async with KubeClient.from_kubeconfig(cluster.kubeconfig_for("alice")) as alice:
        with pytest.raises(Refused, match="alice"):
            await alice.create(CONFIG_MAPS, config_map(namespace))


async def test_an_unconditional_write_is_an_error(kube: KubeClient, namespace: str) -> None:
    with pytest.raises(ValueError, match="resourceVersion"):
        await kube.patch(CONFIG_MAPS, namespace, "c", {"data": {"a": "1"}})


async def test_a_server_that_does_not_listen_is_unavailable(connection: Connection, namespace: str) -> None:
    async with losing_proxy(connection) as proxy:
        nobody = dataclasses.replace(connection, server=proxy.url)
    async with KubeClient(Transport(nobody)) as client:
        with pytest.raises(Unavailable):
            await client.create(CONFIG_MAPS, config_map(namespace))


async def test_a_lost_answer_to_a_write_is_uncertain_and_the_write_was_sent_once(
    connection: Connection, kube: KubeClient, namespace: str, calls: Calls
) -> None:
    async with losing_proxy(connection) as proxy:
        through = Transport(
            dataclasses.replace(connection, server=proxy.url), on_call=lambda *call: calls.append(call)
        )
        async with KubeClient(through) as client:
            made = await client.create(CONFIG_MAPS, config_map(namespace, a="1"))
            proxy.lose_answers = True
            with pytest.raises(Uncertain):
                await client.patch(CONFIG_MAPS, namespace, "c", at(made, a="2"))
    assert [line.split()[0] for line in proxy.writes()] == ["POST", "PATCH"]
    assert calls[-1] == ("patch", "configmaps", "lost")
    live = await kube.get(CONFIG_MAPS, namespace, "c")
    assert live is not None
    assert live["data"] == {"a": "2"}


async def test_a_lost_answer_to_a_status_write_on_a_kept_connection_is_sent_once(
    connection: Connection, namespace: str
) -> None:
    async with losing_proxy(connection) as proxy:
        async with KubeClient(Transport(dataclasses.replace(connection, server=proxy.url))) as client:
            made = await client.create(CONFIG_MAPS, config_map(namespace))
            proxy.lose_answers = True
            with pytest.raises(Uncertain):
                await client.replace_status(CONFIG_MAPS, made)
        assert [line.split()[0] for line in proxy.writes()] == ["POST", "PUT"]


async def test_a_write_without_an_answer_in_time_is_uncertain(connection: Connection, namespace: str) -> None:
    async with losing_proxy(connection) as proxy:
        through = Transport(dataclasses.replace(connection, server=proxy.url), request_seconds=0.3)
        async with KubeClient(through) as client:
            proxy.stall_answers = True
            with pytest.raises(Uncertain):
                await client.create(CONFIG_MAPS, config_map(namespace))


async def test_a_read_whose_answer_is_lost_is_unavailable(connection: Connection, namespace: str) -> None:
    async with (
        losing_proxy(connection) as proxy,
        KubeClient(Transport(dataclasses.replace(connection, server=proxy.url))) as client,
    ):
        proxy.lose_answers = True
        with pytest.raises(Unavailable):
            await client.get(CONFIG_MAPS, namespace, "c")


async def test_no_write_is_sent_when_the_gate_is_closed(
    connection: Connection, kube: KubeClient, namespace: str, calls: Calls
) -> None:
    def shut() -> None:
        raise NotLeader("the lease ran out")

    made = await kube.create(CONFIG_MAPS, config_map(namespace))
    calls.clear()
    guarded = kube.with_before_write(shut)
    with pytest.raises(NotLeader):
        await guarded.create(CONFIG_MAPS, config_map(namespace, "other"))
    with pytest.raises(NotLeader):
        await guarded.patch(CONFIG_MAPS, namespace, "c", at(made, a="1"))
    with pytest.raises(NotLeader):
        await guarded.replace_status(CONFIG_MAPS, made)
    with pytest.raises(NotLeader):
        await guarded.delete(CONFIG_MAPS, namespace, "c")
    assert calls == []


async def test_events_are_posted_in_the_background(kube: KubeClient, namespace: str) -> None:
    made = await kube.create(CONFIG_MAPS, config_map(namespace))
    await kube.event(made, reason="Tested", message="x" * 5000, warning=True)
    await kube._events.close()
    (event,), _ = await kube.list(EVENTS, namespace=namespace)
    assert (event["reason"], event["type"], len(event["message"])) == ("Tested", "Warning", 1024)
    assert event["involvedObject"]["uid"] == made["metadata"]["uid"]


async def test_events_of_one_second_are_listed_in_their_order(kube: KubeClient, namespace: str) -> None:
    made = await kube.create(CONFIG_MAPS, config_map(namespace))
    reasons = [f"Step{number}" for number in (3, 1, 4, 1, 5, 9, 2, 6)]
    for reason in reasons:
        await kube.event(made, reason=reason, message="")
    await kube._events.close()
    listed, _ = await kube.list(EVENTS, namespace=namespace)
    assert [event["reason"] for event in listed] == reasons


async def test_an_event_that_cannot_be_posted_fails_nothing(kube: KubeClient) -> None:
    gone = {"kind": "ConfigMap", "metadata": {"name": "c", "namespace": "no-such-namespace", "uid": "u"}}
    await kube.event(gone, reason="Tested", message="")
    await kube._events.close()


async def test_a_renewed_token_is_read_after_a_401(
    connection: Connection, namespace: str, tmp_path: Path
) -> None:
    token_file = tmp_path / "token"
    token_file.write_text("expired")
    renewed = dataclasses.replace(connection, token_value="", token_file=token_file)
    async with KubeClient(Transport(renewed)) as client:
        with pytest.raises(Refused, match="does not accept the operator's credentials"):
            await client.get(CONFIG_MAPS, namespace, "c")
        token_file.write_text(connection.token_value)
        made = await client.create(CONFIG_MAPS, config_map(namespace))
        assert made["metadata"]["uid"]


@pytest.mark.parametrize(
    ("user", "said"),
    [
        ({"exec": {"command": "aws"}}, "by a plugin"),
        ({"client-certificate": "/no/such/file"}, "client-certificate"),
    ],
)
def test_an_unusable_kubeconfig_says_why(tmp_path: Path, user: dict[str, Any], said: str) -> None:

    config = {
        "current-context": "x",
        "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
        "clusters": [{"name": "x", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [{"name": "x", "user": user}],
    }
    path = tmp_path / "kubeconfig"
    path.write_text(json.dumps(config))
    with pytest.raises(ConfigurationError, match=said):
        Connection.from_kubeconfig(path)


def test_no_kubeconfig_anywhere_says_what_to_set(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="set KUBECONFIG"):
        Connection.discover(environ={"HOME": str(tmp_path)})
