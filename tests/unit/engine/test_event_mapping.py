"""Which objects are reconciled after which change."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from modelops.api.v1alpha1.names import RECORD_LABEL
from modelops.engine.cache import ObjectCache
from modelops.engine.event_mapping import keys_to_reconcile, keys_to_reconcile_after_report, with_uid
from modelops.engine.executor import CONFIG_MAPS
from modelops.engine.queue import Key
from modelops.engine.resources import AGENT_MODELS, PODS, ROLLOUTS, TRAINING_RUNS
from modelops.ports import Resource

Item = dict[str, Any]
DOCS_AGENT, CICD_AGENT = Key("AgentModel", "team", "docs"), Key("AgentModel", "team", "cicd")
RUN, ENDED_RUN = Key("TrainingRun", "team", "run"), Key("TrainingRun", "team", "ended-run")
ROLLOUT, ENDED_ROLLOUT = Key("Rollout", "team", "rollout"), Key("Rollout", "team", "ended-rollout")
FINISHED = {"conditions": [{"type": "Finished", "status": "True"}]}


def item(name: str, *, spec: Item | None = None, status: Item | None = None, **metadata: Any) -> Item:
    meta = {"name": name, "namespace": "team", "resourceVersion": "1", "uid": f"uid-{name}", **metadata}
    return {"metadata": meta, "spec": spec or {}, "status": status or {}}


def agent(name: str, *, config_map: str, app: str) -> Item:
    config = {"configMapRef": {"name": config_map}, "workloadSelector": {"matchLabels": {"app": app}}}
    return item(name, spec={"agent": name, "config": config})


DOCS = agent("docs", config_map="agents", app="docs")
CICD = agent("cicd", config_map="agents", app="cicd")
REFERENCE = {"agentModelRef": {"name": "docs"}}
TRAINING = item("run", spec=REFERENCE)
CANARY = item("rollout", spec={**REFERENCE, "candidate": {"trainingRunRef": {"name": "run"}}})


@pytest.fixture
def cache() -> ObjectCache:
    filled = ObjectCache(monotonic=lambda: 0.0)
    for one in (DOCS, CICD):
        filled.put(AGENT_MODELS, one)
    for one in (TRAINING, item("ended-run", spec=REFERENCE, status=FINISHED)):
        filled.put(TRAINING_RUNS, one)
    for one in (CANARY, item("ended-rollout", spec={**CANARY["spec"]}, status=FINISHED)):
        filled.put(ROLLOUTS, one)
    return filled


def test_a_finished_rollout_whose_version_serves_follows_the_record(cache: ObjectCache) -> None:
    cache.put(ROLLOUTS, item("promoted", spec={**CANARY["spec"]}, status={**FINISHED, "weight": 100}))
    record = item("docs-modelops-record", labels={RECORD_LABEL: "docs"})
    found = set(keys_to_reconcile(cache, CONFIG_MAPS, record))
    assert found == {DOCS_AGENT, ROLLOUT, Key("Rollout", "team", "promoted")}


@pytest.mark.parametrize(
    ("resource", "changed", "expected"),
    [
        (AGENT_MODELS, DOCS, {DOCS_AGENT, RUN, ROLLOUT}),
        (TRAINING_RUNS, TRAINING, {RUN, DOCS_AGENT, ROLLOUT}),
        (ROLLOUTS, CANARY, {ROLLOUT, DOCS_AGENT}),
        (CONFIG_MAPS, item("agents"), {DOCS_AGENT, CICD_AGENT, ROLLOUT}),
        (CONFIG_MAPS, item("agents", namespace="other"), set()),
        (CONFIG_MAPS, item("foreign"), set()),
        (
            CONFIG_MAPS,
            item("docs-modelops-record", labels={"modelops.code-chef.dev/record": "docs"}),
            {DOCS_AGENT, ROLLOUT},
        ),
        (CONFIG_MAPS, item("modelops-stop"), {DOCS_AGENT, CICD_AGENT, ROLLOUT, RUN}),
        (CONFIG_MAPS, item("modelops-stop", namespace="other"), set()),
        (
            CONFIG_MAPS,
            item("modelops-stop-all", namespace="modelops-system"),
            {DOCS_AGENT, CICD_AGENT, ROLLOUT, RUN},
        ),
        (PODS, item("docs-1", labels={"app": "docs", "x": "y"}), {DOCS_AGENT, ROLLOUT}),
        (PODS, item("other", labels={"app": "other"}), set()),
    ],
)
def test_a_change_maps_to_exactly_the_objects_concerned(
    cache: ObjectCache, resource: Resource, changed: Item, expected: set[Key]
) -> None:
    assert set(keys_to_reconcile(cache, resource, changed)) == expected


def test_an_agents_derived_status_does_not_reconcile_its_runs_and_rollouts(cache: ObjectCache) -> None:
    ready = {"conditions": [{"type": "Ready", "status": "True"}]}
    settled = {**DOCS, "status": ready}
    spent = {**DOCS, "status": {**ready, "spend": {"reservedUSD": "1"}}}
    assert set(keys_to_reconcile(cache, AGENT_MODELS, spent, settled)) == {DOCS_AGENT}
    edited = {**spent, "metadata": {**spent["metadata"], "generation": 2}}
    for after, before in ((settled, DOCS), (edited, settled), (spent, None)):
        assert set(keys_to_reconcile(cache, AGENT_MODELS, after, before)) == {DOCS_AGENT, RUN, ROLLOUT}


def test_progress_does_not_reconcile_the_agent_but_a_deletion_does(cache: ObjectCache) -> None:
    for resource, was, alone in ((TRAINING_RUNS, TRAINING, {RUN, ROLLOUT}), (ROLLOUTS, CANARY, {ROLLOUT})):
        further = {**was, "status": {"phase": "Running"}}
        assert set(keys_to_reconcile(cache, resource, further, was)) == alone
        going = {**was, "metadata": {**was["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"}}
        assert set(keys_to_reconcile(cache, resource, going, was)) == {*alone, DOCS_AGENT}


def test_the_agent_is_reconciled_when_a_rollout_rests_at_a_weight(cache: ObjectCache) -> None:
    steps = [
        {**CANARY, "status": {"reason": reason}}
        for reason in ("Arming", "Advancing", "Watching", "Unhealthy")
    ]
    found = [
        set(keys_to_reconcile(cache, ROLLOUTS, after, before)) - {ROLLOUT}
        for before, after in pairwise(steps)
    ]
    assert found == [{DOCS_AGENT}, {DOCS_AGENT}, set()]


def test_a_report_reconciles_the_agent_and_its_rollouts(cache: ObjectCache) -> None:
    assert set(keys_to_reconcile_after_report(cache, "team", "docs")) == {DOCS_AGENT, ROLLOUT}
    assert set(keys_to_reconcile_after_report(cache, "", "docs")) == {DOCS_AGENT, ROLLOUT}
    assert set(keys_to_reconcile_after_report(cache, "other", "docs")) == set()


def test_a_run_or_rollout_is_found_by_its_uid(cache: ObjectCache) -> None:
    assert list(with_uid(cache, "uid-run")) == [RUN]
    assert list(with_uid(cache, "unknown-uid")) == []
