"""Trainings by the MCP server: the price is shown first, and a person or a quote confirms it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from tests.cluster.docs_preconditions import Kubectl
from tests.cluster.mcp_world import (
    TRAIN,
    Mode,
    Person,
    World,
    error_of,
    result_of,
)
from tests.cluster.policies import bind

from modelops.localcluster import LocalCluster

MODES: tuple[Mode, ...] = ("auto", "legacy")
RUN, ROLLOUT = "docs-2025-12-09", "docs-v1-1"


@pytest.fixture
def world(cluster: LocalCluster, kubectl: Kubectl, namespace: str) -> World:
    return World(cluster, kubectl, namespace)


@pytest.mark.parametrize("mode", MODES)
async def test_a_training_is_shown_with_its_price_confirmed_and_started(world: World, mode: Mode) -> None:
    person = Person("yes")
    async with world.operator(), world.client(mode, person=person) as client:
        answer = result_of(await client.call_tool("train_subagent_model", TRAIN))
    (question,) = person.questions
    for part in ('agent "docs"', "$2 to $3.5", "never more than $3.68", "60 to 90 minutes", "135 examples"):
        assert part in question, question
    ((name, spec),) = world.specs("trainingruns").items()
    assert (answer["job_id"], answer["created"], answer["quote_id"]) == (name, True, None)
    assert (spec["maxUSD"], spec["requestedBy"]) == ("3.68", "alice")
    assert spec["dataset"]["asOf"] == "2025-12-09T21:00:00Z"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("reply", ["decline", "no"])
async def test_without_a_yes_nothing_starts(world: World, mode: Mode, reply: str) -> None:
    person = Person(reply)
    async with world.operator(), world.client(mode, person=person) as client:
        trained = result_of(await client.call_tool("train_subagent_model", TRAIN))
        quote = result_of(await client.call_tool("estimate_training", TRAIN))["quote_id"]
        # A model that could ask cannot help itself to a quote instead.
        again = result_of(await client.call_tool("train_subagent_model", TRAIN | {"quote_id": quote}))
    assert {trained["status"], again["status"]} == {"declined"}
    assert len(person.questions) == 2
    assert world.specs("trainingruns") == {}


async def test_a_client_that_cannot_ask_confirms_by_a_quote_and_only_once(world: World) -> None:
    async with world.operator(), world.client() as client:
        asked = result_of(await client.call_tool("train_subagent_model", TRAIN))
        assert (asked["status"], asked["job_id"], asked["cost_usd"]) == ("confirmation_required", "", 3.68)
        assert "$2 to $3.5" in asked["message"]
        assert asked["valid_until"] > "2025"
        assert world.specs("trainingruns") == {}
        confirmed = TRAIN | {"quote_id": asked["quote_id"]}
        answers = await asyncio.gather(
            *(client.call_tool("train_subagent_model", confirmed) for _ in range(3))
        )
        answers.append(await client.call_tool("train_subagent_model", confirmed))
    (name,) = world.specs("trainingruns")
    results = [result_of(answer) for answer in answers]
    assert {one["job_id"] for one in results} == {name}
    assert [one["created"] for one in results].count(True) == 1


async def test_a_quote_for_something_else_starts_nothing(world: World) -> None:
    async with world.operator(), world.client() as client:
        quote = result_of(await client.call_tool("estimate_training", TRAIN))["quote_id"]

        async def said(**change: Any) -> str:
            arguments = TRAIN | {"quote_id": quote} | change
            return error_of(await client.call_tool("train_subagent_model", arguments))

        assert "is for another request (method)" in await said(training_method="dpo")
        assert "is for another request (baseModel)" in await said(base_model="another/model")
        assert "is for another request (dataset)" in await said(dataset_id="ls://another")
        assert "is for another request (config)" in await said(training_config={"num_epochs": 9})
        assert "is for another request (maxUSD)" in await said(max_usd=90)
        assert "there is no quote nothing" in await said(quote_id="nothing")
        world.estimated(quote, ago=timedelta(hours=2))
        assert "has expired" in await said()
        # An expired quote is renewed.
        renewed = result_of(await client.call_tool("estimate_training", TRAIN))["quote_id"]
        assert renewed != quote
        bind(world.kubectl, world.namespace, "agent", "modelops-developer", "view")
        async with world.client(user="agent") as colleague:
            theirs = result_of(await colleague.call_tool("estimate_training", TRAIN))["quote_id"]
        assert theirs != renewed
        assert "was made for agent" in await said(quote_id=theirs)
    assert world.specs("trainingruns") == {}


async def test_an_idempotency_key_starts_one_training_without_asking_again(world: World) -> None:
    person, keyed = Person("yes"), TRAIN | {"idempotency_key": "monday"}
    async with world.operator(), world.client(person=person) as client:
        first = result_of(await client.call_tool("train_subagent_model", keyed))
        again = result_of(await client.call_tool("train_subagent_model", keyed))
        other = error_of(await client.call_tool("train_subagent_model", keyed | {"training_method": "dpo"}))
    assert (first["created"], again["created"], again["job_id"]) == (True, False, first["job_id"])
    assert "idempotency key was used for TrainingRun" in other
    assert (len(person.questions), len(world.specs("trainingruns"))) == (1, 1)


async def test_an_estimate_that_takes_long_is_asked_for_again(world: World) -> None:
    async with world.client(person=Person("yes")) as client:
        waiting = result_of(await client.call_tool("train_subagent_model", TRAIN | {"wait_seconds": 1}))
        assert (waiting["status"], waiting["job_id"]) == ("estimating", "")
        said = error_of(await client.call_tool("estimate_training", TRAIN | {"wait_seconds": 1}))
        assert "call estimate_training again" in said
        async with world.operator():
            started = result_of(await client.call_tool("train_subagent_model", TRAIN))
    assert started["created"]
