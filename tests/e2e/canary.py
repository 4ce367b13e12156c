"""Starts a rollout up to the middle of its canary, and checks that everything ends on stable."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass
from typing import Any

from tests.e2e import manifests
from tests.e2e.agents import Agents
from tests.e2e.api import status, status_summary
from tests.e2e.environment import Environment
from tests.e2e.recording_proxy import Write

from modelops.ports import Json

SHORT_EVALUATION: manifests.Manifest = {**manifests.EVALUATION, "maxExamples": 12}
LONG_PAUSE: manifests.Manifest = {
    "canary": {"steps": [{"setWeight": 50}, {"pause": {"durationSeconds": 500}}, {"setWeight": 100}]}
}
NAME = "canary"


@dataclass(frozen=True)
class Canary:
    """A rollout's uid, the repository of its candidate, and the running agents."""

    uid: str
    repo: str
    agents: Agents


async def start_canary(env: Environment, *, wait: bool = True, rate: float = 10, **spec: Any) -> Canary:
    """Creates all objects and starts the operator; with `wait`, waits until half of the sessions are on the canary."""
    agents = env.start_agents(rate=rate)
    await env.create_agent_model()
    candidate = await asyncio.to_thread(env.cloud.create_candidate)
    given = {"strategy": LONG_PAUSE, "evaluation": SHORT_EVALUATION, **spec}
    made = await env.api.create(manifests.rollout(NAME, {"model": candidate}, **given))
    await env.start_operator()
    if wait:
        await env.wait_until(lambda: agents.weights() == {50}, expected="at 50 percent")
        assert candidate["repo"] in agents.models()
    return Canary(made["metadata"]["uid"], candidate["repo"], agents)


async def assert_ends_on_stable(
    env: Environment, canary: Canary, *reasons: str, phase: str = "Aborted"
) -> Json:
    """Waits until the rollout has ended with one of the reasons; then the same checks as `assert_on_stable`."""
    rollout = await env.api.wait_until_finished("Rollout", NAME, seconds=60)
    assert status(rollout)["reason"] in reasons, status_summary(rollout)
    assert status(rollout)["phase"] == phase, status_summary(rollout)
    await assert_on_stable(env, canary)
    return rollout


async def assert_on_stable(env: Environment, canary: Canary) -> None:
    """Checks agents.yaml, the agents and the record. The canary's endpoint may still be stopping."""
    _, entry = await env.read_agents_file()
    assert (await env.read_stable_target()).model == manifests.BASELINE
    assert entry.routing is None or (entry.routing.rollout.state, entry.routing.weight) == ("Aborted", 0)
    await env.wait_until(lambda: canary.agents.weights() == {0}, seconds=15, expected="back on stable")
    assert canary.agents.models() == {manifests.BASELINE}
    record = await env.read_record()
    assert (record.active, record.stable.version) == (None, "v1.0.0")
    assert not record.reservations
    assert {e.role for e in record.endpoints} <= {"stopping"}


def canary_weight_written(write: Write) -> int:
    """The canary's weight that a write to agents.yaml sets; 0 for any other write."""
    return weight_in_patch(write.body) if is_file_write(write) else 0


def is_file_write(write: Write) -> bool:
    """Whether the write changes agents.yaml."""
    return write.service == "kube" and write.method == "PATCH" and "/configmaps/agents?" in write.path


def is_abort_write(write: Write) -> bool:
    """Whether the write aborts the canary in agents.yaml: it has the state Aborted."""
    return is_file_write(write) and "state: Aborted" in agents_yaml_in_patch(write.body)


def is_promotion(write: Write) -> bool:
    """Whether the write makes the candidate stable in agents.yaml: it has the state Promoted."""
    return is_file_write(write) and "state: Promoted" in agents_yaml_in_patch(write.body)


def agents_yaml_in_patch(body: bytes) -> str:
    """The text of agents.yaml in the body of a patch."""
    return str(json.loads(body)["data"]["agents.yaml"])


def weight_in_patch(body: bytes) -> int:
    """The canary's weight in the body of a patch of agents.yaml; 0 where it has none."""
    found = re.search(r"weight: (\d+)", agents_yaml_in_patch(body))
    return int(found[1]) if found else 0
