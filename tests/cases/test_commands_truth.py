"""What the commands and messages about the agents' file and its versions say is so."""

from __future__ import annotations

import pytest
from tests.unit.rollout.rollout_driver import a_record, an_entry

from modelops.api.v1alpha1.names import MANAGED_LABEL
from modelops.cli.lineage import find_version, versions_of
from modelops.domain.record import Record
from modelops.engine.cache import ObjectCache
from modelops.engine.clock import SystemClock
from modelops.engine.cluster_reader import ClusterReader
from modelops.engine.executor import CONFIG_MAPS
from modelops.ports import Json


class NoCluster:
    """A `ports.Kube` that is never asked: everything is in the cache."""

    def __getattr__(self, name: str) -> None:
        raise AssertionError(f"the API server was asked: {name}")


def reader_with(config_map: Json) -> ClusterReader:
    cache = ObjectCache(monotonic=SystemClock().monotonic)
    labels = {MANAGED_LABEL: "true"}
    metadata = {"namespace": "team", "name": "agents", "uid": "u", "resourceVersion": "1", "labels": labels}
    cache.put(CONFIG_MAPS, {"metadata": metadata, **config_map})
    return ClusterReader(NoCluster(), cache, SystemClock())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("config_map", "says"),
    [
        ({"binaryData": {"agents.yaml": "YWdlbnRzOiD/"}}, "in binaryData"),
        ({"data": {"agent.yml": "agents: {}"}}, "it has agent.yml: add it"),
        ({}, "has no key agents.yaml (spec.config.configMapRef.key): add it"),
    ],
)
async def test_a_key_that_is_not_there_is_told_from_one_that_is_there_as_binary_data(
    config_map: Json, says: str
) -> None:
    _, file, problem = await reader_with(config_map).file("team", "agents", "agents.yaml", "docs")
    assert file is None
    assert says in problem


def promoted_record() -> Record:
    entry = an_entry("v1.1.0", deployment_status="deployed")
    return a_record(history=(entry, an_entry("v1.2.0-rc.1", hub_repo="org/second")))


@pytest.mark.parametrize(
    ("asked", "found"), [("v1.1.0-rc.1", "v1.1.0"), ("v1.1.0", "v1.1.0"), ("v1.2.0-rc.1", "v1.2.0-rc.1")]
)
def test_lineage_finds_a_release_candidate_under_the_name_that_its_promotion_gave_it(
    asked: str, found: str
) -> None:
    version, entries = find_version([promoted_record()], asked)
    assert (version, [entry.version for _, entry in entries]) == (found, [found])


def test_lineage_knows_the_baseline_and_lists_what_there_is_for_anything_else() -> None:
    record = promoted_record()
    _, [(agent, entry)] = find_version([record], "v1.0.0")
    assert (agent, entry.model, entry.deployment_status) == ("docs", record.stable.model, "deployed")
    assert find_version([record], "v9.0.0")[1] == []
    assert find_version([record], "v1.2.0")[1] == []
    assert versions_of(record) == ["v1.0.0", "v1.1.0", "v1.2.0-rc.1"]
