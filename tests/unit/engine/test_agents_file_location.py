"""Which ConfigMap is read and written after an AgentModel was created again with another one."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.engine.test_installations_token import AgentWithoutSecret
from tests.unit.engine.test_rollout_memory import FILE, Bench, config_map, record
from tests.unit.rollout import objects
from tests.unit.training.objects import AGENT, NAMESPACE, empty_record, secret_json

from modelops.domain.agents_config_map import FileLocation, location_in_spec, location_on_record
from modelops.engine.executor import CONFIG_MAPS
from modelops.engine.resources import AGENT_MODELS
from modelops.engine.rollout import RolloutReconciler


def bench_with_other_file(*, active: bool) -> tuple[Bench, RolloutReconciler]:
    """The record names ConfigMap agents, and the AgentModel was created again with agents-v2."""
    bench = Bench()
    model = objects.agent_model(config={"configMapRef": {"name": "agents-v2", "key": "agents.yaml"}})
    kept = record() if active else record().with_(active=None)
    item = config_map("docs-modelops-record", kept.to_data())
    bench.cache.put(AGENT_MODELS, bench.api.put(model))
    bench.cache.put(CONFIG_MAPS, bench.api.put(item))
    bench.cache.put(CONFIG_MAPS, bench.api.put(config_map("agents-v2", {"agents.yaml": FILE})))
    return bench, bench.engine


async def test_no_rollout_starts_while_the_record_names_another_file() -> None:
    _, engine = bench_with_other_file(active=False)
    context = await engine._observe("team", "r1")
    assert context is not None
    assert context.state.file is None
    assert "names agents.docs in ConfigMap agents-v2, key agents.yaml" in context.state.file_problem
    assert context.file_ref == ("team", "agents-v2", "agents.yaml")


async def test_an_active_rollout_ends_in_the_file_that_it_has_written() -> None:
    _, engine = bench_with_other_file(active=True)
    context = await engine._observe("team", "r1")
    assert context is not None
    assert context.state.file is not None
    assert context.file_ref == ("team", "agents", "agents.yaml")


@pytest.mark.parametrize("active", [False, True])
async def test_the_agent_model_reads_the_file_of_an_active_rollout_and_else_its_own(active: bool) -> None:
    rollout: Any = record().active if active else None
    elsewhere = empty_record().with_(config_map="before", active=rollout)
    bench = AgentWithoutSecret(elsewhere, more=(secret_json(),))
    context = await bench.reconciler._observe(NAMESPACE, AGENT)
    assert context is not None
    own = location_in_spec(context.state.agent_model)
    where = location_on_record(elsewhere) if active else own
    assert context.file_ref == (NAMESPACE, where.config_map, where.key)
    assert own != FileLocation(config_map="before", key=own.key, agent=own.agent)
