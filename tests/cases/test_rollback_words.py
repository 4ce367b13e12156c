"""What `modelops rollback` says and does after a promotion, an undo, and without a record is so."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import pytest
from kubernetes.client import ApiException
from tests.unit.rollout import objects
from tests.unit.rollout.objects import Json
from tests.unit.rollout.rollout_driver import RolloutDriver, at_weight, has_ended, rollout_state
from tests.unit.rollout.test_undo import promoted, undo_after

from modelops.cli import direct_rollback, rollback
from modelops.domain.record import Record

PLACE = ("team", objects.FILE, "agents.yaml", objects.AGENT)


@dataclass
class Objects:
    """The custom objects of the namespace."""

    items: list[Json] = field(default_factory=list)
    created: list[str] = field(default_factory=list)
    """The version of each Rollout that was created."""

    def get_namespaced_custom_object(
        self, _group: str, _version: str, _ns: str, kind: str, name: str
    ) -> Json:
        if kind == "agentmodels":
            return objects.agent_model()
        return next(item for item in self.items if item["metadata"]["name"] == name)

    def list_namespaced_custom_object(self, *_: str) -> Json:
        return {"items": self.items}

    def patch_namespaced_custom_object(self, *given: Any) -> None:
        self.get_namespaced_custom_object(*given[:5])["spec"].update(given[5]["spec"])

    def create_namespaced_custom_object(self, *given: Any) -> Json:
        self.created.append(given[4]["spec"]["candidate"]["version"])
        return {"metadata": {"name": "docs-undo-1"}}


@dataclass
class ConfigMaps:
    """The agents' file, and the record; None where there is none."""

    text: str
    record: Record | None

    def read_namespaced_config_map(self, name: str, _namespace: str) -> Any:
        metadata = SimpleNamespace(resource_version="1")
        if name == objects.FILE:
            return SimpleNamespace(data={"agents.yaml": self.text}, binary_data=None, metadata=metadata)
        if self.record is None:
            raise ApiException(status=404)
        return SimpleNamespace(data=self.record.to_data(), binary_data=None, metadata=metadata)

    def patch_namespaced_config_map(self, _name: str, _namespace: str, change: Json) -> None:
        self.text = change["data"]["agents.yaml"]


def arguments(**given: Any) -> argparse.Namespace:
    return argparse.Namespace(
        **{"namespace": "team", "agent_model": "docs", "to": None, "max_usd": "1", "direct": False, **given}
    )


def config_maps(driver: RolloutDriver) -> Any:
    assert driver.state.file is not None
    return ConfigMaps(driver.state.file.text, driver.state.record)


def item_of(driver: RolloutDriver) -> Json:
    status = driver.state.rollout.status.wire()
    item = objects.rollout(driver.state.rollout.metadata.name)
    return {**item, "metadata": {**item["metadata"], "uid": driver.state.uid}, "status": status}


def canary_after(driver: RolloutDriver, name: str, **spec: Any) -> RolloutDriver:
    state = driver.state
    return RolloutDriver(
        rollout_state(objects.rollout(name, **spec), record=state.record, file=state.file, now=state.now)
    )


@pytest.mark.parametrize(
    ("to", "created"), [("v1.0.0", ["v1.0.0"]), ("v1.1.0", []), (None, [])], ids=["older", "stable", "none"]
)
def test_to_is_followed_after_the_abort_of_a_canary(to: str | None, created: list[str]) -> None:
    canary = canary_after(promoted(), "r2").run_until(at_weight(20))
    cluster = Objects([item_of(canary)])
    said = rollback.go_back(cluster, config_maps(canary), arguments(to=to))
    assert cluster.items[0]["spec"]["abort"]
    assert cluster.created == created
    assert "rollout r2 is being aborted" in said
    assert ("goes back from v1.1.0 to v1.0.0" in said) is bool(created)


def test_to_a_version_that_never_served_is_an_error_after_the_abort() -> None:
    canary = canary_after(promoted(), "r2").run_until(at_weight(20))
    cluster = Objects([item_of(canary)])
    with pytest.raises(
        rollback.RollbackError, match=r"r2 is being aborted.*but --to v9.0.0 is not done: .*never served"
    ):
        rollback.go_back(cluster, config_maps(canary), arguments(to="v9.0.0"))
    assert cluster.items[0]["spec"]["abort"]


@pytest.mark.parametrize("to", [None, "v1.0.0"])
def test_without_a_record_nothing_is_said_to_be_stable(to: str | None) -> None:
    maps = config_maps(promoted())
    maps.record = None
    with pytest.raises(rollback.RollbackError, match="it is unknown which version of docs is stable"):
        rollback.go_back(Objects(), maps, arguments(to=to))


def test_a_second_rollback_says_what_the_undo_waits_for() -> None:
    first = promoted()
    undo = undo_after(first, "v1.0.0")
    undo.edit_spec(paused=True)
    undo.run_until(lambda state: state.rollout.status.reason == "Paused")
    spec = {"candidate": {"version": "v1.0.0"}, "strategy": {"immediate": {}}}
    item = {**item_of(undo), "spec": {**objects.rollout("undo")["spec"], **spec}}
    said = rollback.go_back(Objects([item]), config_maps(undo), arguments())
    assert "rollout undo goes back to v1.0.0 already, and says Paused: " in said


def test_direct_after_a_promotion_says_that_the_promoted_model_serves() -> None:
    maps = config_maps(promoted())
    for _ in range(2):
        said = direct_rollback.go_back_directly(maps, PLACE, arguments(direct=True))
        assert "v1.1.0 (org/candidate-of-r1) serves" in said
        assert "use `modelops rollback` without --direct" in said


def test_direct_refuses_to_and_changes_nothing() -> None:
    maps = config_maps(promoted())
    before = maps.text
    with pytest.raises(rollback.RollbackError, match=r"--to v1.0.0 needs the operator"):
        direct_rollback.go_back_directly(maps, PLACE, arguments(direct=True, to="v1.0.0"))
    assert maps.text == before


def test_a_version_that_came_back_by_a_canary_is_left_by_a_rollback_as_any_other() -> None:
    undone = undo_after(promoted()).run_until(has_ended)
    again = canary_after(undone, "again", candidate={"version": "v1.1.0"}).run_until(has_ended)
    record = again.state.record
    assert record is not None
    assert (record.stable.version, record.undone) == ("v1.1.0", {})
    cluster = Objects()
    rollback.go_back(cluster, config_maps(again), arguments())
    assert cluster.created == ["v1.0.0"]


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
