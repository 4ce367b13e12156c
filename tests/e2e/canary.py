"""A rollout that stands in the middle of its canary, and what its end must look like."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass
from typing import Any

from tests.e2e import manifests
from tests.e2e.agents import Agents
from tests.e2e.api import status, told
from tests.e2e.recording_proxy import Write
from tests.e2e.stage import Stage

from modelops.ports import Json

QUICK: manifests.Manifest = {**manifests.EVALUATION, "maxExamples": 12}
LONG_PAUSE: manifests.Manifest = {
    "canary": {"steps": [{"setWeight": 50}, {"pause": {"durationSeconds": 500}}, {"setWeight": 100}]}
}
NAME = "canary"


@dataclass(frozen=True)
class Canary:
    """A rollout, its candidate's repository, and the agents."""

    uid: str
    repo: str
    agents: Agents


async def begun(here: Stage, *, wait: bool = True, rate: float = 10, **spec: Any) -> Canary:
    """Everything is created and the operator started; with `wait`, half of the sessions are on the canary."""
    agents = here.agents(rate=rate)
    await here.agent_model()
    candidate = await asyncio.to_thread(here.cloud.candidate)
    given = {"strategy": LONG_PAUSE, "evaluation": QUICK, **spec}
    made = await here.api.create(manifests.rollout(NAME, {"model": candidate}, **given))
    await here.start()
    if wait:
        await here.until(lambda: agents.weights() == {50}, say="at 50 percent")
        assert candidate["repo"] in agents.models()
    return Canary(made["metadata"]["uid"], candidate["repo"], agents)


async def ends_on_stable(here: Stage, canary: Canary, *reasons: str, phase: str = "Aborted") -> Json:
    """The rollout ends for one of the reasons; file, agents, record and endpoints are all back on stable."""
    rollout = await here.api.complete("Rollout", NAME, seconds=60)
    assert status(rollout)["reason"] in reasons, told(rollout)
    assert status(rollout)["phase"] == phase, told(rollout)
    await is_on_stable(here, canary)
    return rollout


async def is_on_stable(here: Stage, canary: Canary) -> None:
    """File, agents and record; the canary's endpoint goes after its grace."""
    _, entry = await here.file()
    assert (await here.stable()).model == manifests.BASELINE
    assert entry.routing is None or (entry.routing.rollout.state, entry.routing.weight) == ("Aborted", 0)
    await here.until(lambda: canary.agents.weights() == {0}, seconds=15, say="back on stable")
    assert canary.agents.models() == {manifests.BASELINE}
    record = await here.record()
    assert (record.active, record.stable.version) == (None, "v1.0.0")
    assert not record.reservations
    assert {e.role for e in record.endpoints} <= {"stopping"}


def raises(write: Write) -> int:
    """The weight that a write to the agents' file sets; 0 where it is no such write."""
    return weight_in(write.body) if is_file_write(write) else 0


def is_file_write(write: Write) -> bool:
    """Whether it writes agents.yaml."""
    return write.service == "kube" and write.method == "PATCH" and "/configmaps/agents?" in write.path


def is_tombstone(write: Write) -> bool:
    """Whether it takes the canary down."""
    return is_file_write(write) and "state: Aborted" in text_of(write.body)


def is_promotion(write: Write) -> bool:
    """Whether it makes the candidate stable."""
    return is_file_write(write) and "state: Promoted" in text_of(write.body)


def text_of(body: bytes) -> str:
    """agents.yaml in a patch."""
    return str(json.loads(body)["data"]["agents.yaml"])


def weight_in(body: bytes) -> int:
    """The canary's weight in a patch of agents.yaml."""
    found = re.search(r"weight: (\d+)", text_of(body))
    return int(found[1]) if found else 0
