"""What `modelops rollback` says and does after a promotion, an undo, and without a record is so."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
from tests.unit.rollout import objects
from tests.unit.rollout.objects import Json
from tests.unit.rollout.rollout_driver import RolloutDriver, at_weight, has_ended, rollout_state
from tests.unit.rollout.test_undo import promoted, undo_after

from modelops.client import AsyncClient
from modelops.domain import agentsfile
from modelops.domain.record import Record
from modelops.tools import direct_rollback, rollback
from modelops.tools.direct_rollback import RollbackError

PLACE = ("team", objects.FILE, "agents.yaml", objects.AGENT)


@dataclass
class Kind:
    """The AgentModels or the Rollouts of the namespace."""

    items: list[Json] = field(default_factory=list)
    created: list[str] = field(default_factory=list)
    """The version of each Rollout that was created."""

    async def get_stored(self, name: str) -> Json:
        return next(item for item in self.items if item["metadata"]["name"] == name)

    async def list(self, **_: Any) -> Any:
        return SimpleNamespace(stored=tuple(self.items), items=())

    async def patch(self, name: str, change: Json, **_: Any) -> None:
        (await self.get_stored(name))["spec"].update(change["spec"])

    async def create(self, name: str, spec: Json, **_: Any) -> Any:
        self.created.append(spec["candidate"]["version"])
        return SimpleNamespace(metadata=SimpleNamespace(name=name))


class Cluster:
    """A client of a namespace with the agents' file, and the record; None where there is none."""

    def __init__(self, text: str, record: Record | None) -> None:
        self.text, self.kept = text, record
        self.agent_models = Kind([objects.agent_model()])
        self.rollouts = Kind()

    async def namespace(self) -> str:
        return "team"

    async def config_map(self, name: str, **_: Any) -> Any:
        assert name == objects.FILE
        return {"data": {"agents.yaml": self.text}, "metadata": {"resourceVersion": "1"}}

    async def patch_config_map(self, _name: str, change: Json, **_: Any) -> None:
        self.text = change["data"]["agents.yaml"]

    async def record(self, _agent_model: str, **_: Any) -> Record | None:
        return self.kept


async def go_back(cluster: Cluster, to: str | None = None) -> str:
    return await rollback.go_back(cast(AsyncClient, cluster), "docs", to=to)


async def go_back_directly(cluster: Cluster, to: str | None = None) -> str:
    return await direct_rollback.go_back_directly(cast(AsyncClient, cluster), PLACE, "docs", to=to)


def cluster_of(driver: RolloutDriver, *rollouts: Json) -> Cluster:
    assert driver.state.file is not None
    cluster = Cluster(driver.state.file.text, driver.state.record)
    cluster.rollouts.items += rollouts
    return cluster


def item_of(driver: RolloutDriver) -> Json:
    status = driver.state.rollout.status.wire()
    item = objects.rollout(driver.state.rollout.metadata.name)
    return {**item, "metadata": {**item["metadata"], "uid": driver.state.uid}, "status": status}


def canary_after(driver: RolloutDriver, name: str, **spec: Any) -> RolloutDriver:
    state, now = driver.state, driver.state.now + timedelta(seconds=10)
    item = objects.rollout(name, created=now, **spec)
    return RolloutDriver(rollout_state(item, record=state.record, file=state.file, now=now))


@pytest.mark.parametrize(
    ("to", "created"), [("v1.0.0", ["v1.0.0"]), ("v1.1.0", []), (None, [])], ids=["older", "stable", "none"]
)
async def test_to_is_followed_after_the_abort_of_a_canary(to: str | None, created: list[str]) -> None:
    canary = canary_after(promoted(), "r2").run_until(at_weight(20))
    cluster = cluster_of(canary, item_of(canary))
    said = await go_back(cluster, to)
    assert cluster.rollouts.items[0]["spec"]["abort"]
    assert cluster.rollouts.created == created
    assert "rollout r2 is being aborted" in said
    assert ("goes back from v1.1.0 to v1.0.0" in said) is bool(created)


async def test_to_a_version_that_never_served_is_an_error_after_the_abort() -> None:
    canary = canary_after(promoted(), "r2").run_until(at_weight(20))
    cluster = cluster_of(canary, item_of(canary))
    with pytest.raises(
        RollbackError, match=r"r2 is being aborted.*but --to v9.0.0 is not done: .*never served"
    ):
        await go_back(cluster, "v9.0.0")
    assert cluster.rollouts.items[0]["spec"]["abort"]


@pytest.mark.parametrize("to", [None, "v1.0.0"])
async def test_without_a_record_nothing_is_said_to_be_stable(to: str | None) -> None:
    cluster = cluster_of(promoted())
    cluster.kept = None
    with pytest.raises(RollbackError, match="it is unknown which version of docs is stable"):
        await go_back(cluster, to)


async def test_a_second_rollback_says_what_the_undo_waits_for() -> None:
    first = promoted()
    undo = undo_after(first, "v1.0.0")
    undo.edit_spec(paused=True)
    undo.run_until(lambda state: state.rollout.status.reason == "Paused")
    spec = {"candidate": {"version": "v1.0.0"}, "strategy": {"immediate": {}}}
    item = {**item_of(undo), "spec": {**objects.rollout("undo")["spec"], **spec}}
    said = await go_back(cluster_of(undo, item))
    assert "rollout undo goes back to v1.0.0 already, and says Paused: " in said


async def test_direct_after_a_promotion_writes_the_version_before_with_its_mark_and_repeats_nothing() -> None:
    cluster = cluster_of(promoted())
    said = await go_back_directly(cluster)
    assert said.startswith("docs went back from v1.1.0 to v1.0.0 (anthropic/claude-3.5-sonnet)")
    assert "spec.undo of AgentModel docs says so" in said
    entry = agentsfile.parse(cluster.text, objects.AGENT)
    assert entry.stable is not None
    assert entry.routing is not None
    assert (entry.stable.model, entry.routing.rollout.uid) == ("anthropic/claude-3.5-sonnet", "direct")
    assert entry.routing.rollout.undo == "v1.0.0"
    asked = cluster.agent_models.items[0]["spec"]["undo"]
    assert asked == {"to": "v1.0.0", "id": f"direct-{entry.routing.generation}"}
    before = cluster.text
    assert "is on v1.0.0 already" in await go_back_directly(cluster)
    assert cluster.text == before


async def test_direct_goes_to_the_version_that_is_named_and_refuses_one_that_never_served() -> None:
    undone = undo_after(promoted()).run_until(has_ended)
    cluster = cluster_of(undone)
    with pytest.raises(RollbackError, match=r"v9.0.0 never served docs: use one of v1.0.0, v1.1.0"):
        await go_back_directly(cluster, "v9.0.0")
    await go_back_directly(cluster, "v1.1.0")
    stable = agentsfile.parse(cluster.text, objects.AGENT).stable
    assert stable is not None
    assert stable.version == "v1.1.0"


async def test_direct_after_an_undo_asks_for_a_version_and_never_returns_to_what_was_left() -> None:
    cluster = cluster_of(undo_after(promoted()).run_until(has_ended))
    before = cluster.text
    said = await go_back_directly(cluster)
    assert (
        "there is no version before to go back to. To serve another version, name it with --to: v1.1.0"
        in said
    )
    assert cluster.text == before


async def test_direct_refuses_a_version_whose_endpoint_was_stopped() -> None:
    cluster = cluster_of(undo_after(promoted()).run_until(has_ended))
    assert cluster.kept is not None
    cluster.kept = cluster.kept.with_(endpoints=())
    before = cluster.text
    with pytest.raises(RollbackError, match=r"of v1.1.0 was stopped.*--to v1.1.0` without --direct"):
        await go_back_directly(cluster, "v1.1.0")
    assert cluster.text == before


async def test_direct_ends_a_canary_and_stays_on_stable() -> None:
    canary = canary_after(promoted(), "r2").run_until(at_weight(20))
    cluster = cluster_of(canary, item_of(canary))
    said = await go_back_directly(cluster)
    assert said.startswith("docs is on stable: routing was removed")
    entry = agentsfile.parse(cluster.text, objects.AGENT)
    assert entry.routing is None
    assert entry.stable is not None
    assert entry.stable.version == "v1.1.0"


async def test_direct_without_a_record_refuses_to_and_changes_nothing() -> None:
    cluster = cluster_of(promoted())
    cluster.kept, before = None, cluster.text
    with pytest.raises(RollbackError, match=r"--to v1.0.0 is not done: the record of docs cannot be read"):
        await go_back_directly(cluster, "v1.0.0")
    assert cluster.text == before


async def test_a_rollback_while_an_accepted_undo_waits_says_what_it_waits_for() -> None:
    undo = undo_after(promoted())
    undo.agent_model_acts = False
    undo.run_until(lambda state: state.record is not None and state.record.undo is not None)
    cluster = cluster_of(undo)
    said = await go_back(cluster)
    assert said.startswith("docs is going back already: an undo to v1.0.0 was accepted at 2025-12-10T")
    assert cluster.rollouts.created == []


async def test_to_is_done_although_file_and_record_differ() -> None:
    driver = promoted()
    assert driver.state.file is not None
    driver.edit_file(driver.state.file.text.replace("model: org/candidate-of-r1", "model: org/by-hand"))
    cluster = cluster_of(driver)
    with pytest.raises(RollbackError, match="it is not on stable"):
        await go_back(cluster)
    await go_back(cluster, "v1.1.0")
    assert cluster.rollouts.created == ["v1.1.0"]


async def test_a_version_that_came_back_by_a_canary_is_left_by_a_rollback_as_any_other() -> None:
    undone = undo_after(promoted()).run_until(has_ended)
    again = canary_after(undone, "again", candidate={"version": "v1.1.0"}).run_until(has_ended)
    record = again.state.record
    assert record is not None
    assert (record.stable.version, record.undone) == ("v1.1.0", {})
    cluster = cluster_of(again)
    await go_back(cluster)
    assert cluster.rollouts.created == ["v1.0.0"]


def test_a_rollout_whose_version_was_undone_keeps_no_weight_and_is_not_ready() -> None:
    first = promoted()
    first.step()
    assert first.state.rollout.status.weight == 100
    undone = undo_after(first).run_until(has_ended)
    first.state = replace(first.state, record=undone.state.record, file=undone.state.file)
    first.run_until_idle()
    status = first.state.rollout.status
    ready = next(c for c in status.conditions if c.type == "Ready")
    assert (status.weight, status.phase, status.reason) == (0, "Succeeded", "Promoted")
    assert (ready.status, ready.reason, ready.message) == (
        "False",
        "AnotherVersionServes",
        "v1.1.0 was promoted, and v1.0.0 serves now",
    )
