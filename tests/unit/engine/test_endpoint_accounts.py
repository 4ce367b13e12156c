"""Every call about an endpoint goes to the account in which it was created, whatever the settings are now."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest
from tests.unit.engine.test_installations_token import ENTRY, AgentWithoutSecret
from tests.unit.training.objects import AGENT, NAMESPACE, ORG, empty_record, secret_json

from modelops.api.v1alpha1.agentmodel import EndpointRole, EndpointStatus, Serving
from modelops.domain.agentmodel.actions import (
    AgentModelAction,
    CreateEndpoint,
    DeleteEndpoint,
    ResumeEndpoint,
)
from modelops.domain.agentmodel.state import State
from modelops.ports import Endpoint, EndpointRequest, Refused

HERE = ENTRY.model_copy(update={"instance": Serving().wire()})
IN_OTHER_ACCOUNT = HERE.model_copy(update={"account": "account-of-before"})
ACTIONS = (
    CreateEndpoint(entry=IN_OTHER_ACCOUNT),
    ResumeEndpoint(name=ENTRY.name),
    DeleteEndpoint(name=ENTRY.name),
)


class EndpointCalls:
    """Notes the account of each call."""

    def __init__(self) -> None:
        self.accounts: list[str] = []

    async def list(self, token: str, namespace: str) -> tuple[Endpoint, ...]:
        self.accounts.append(namespace)
        return ()

    async def create(self, token: str, namespace: str, request: EndpointRequest) -> Endpoint:
        self.accounts.append(namespace)
        return Endpoint(name=request.name, state="pending", url="", repo="", revision="")

    async def resume(self, token: str, namespace: str, name: str) -> None:
        self.accounts.append(namespace)

    async def delete(self, token: str, namespace: str, name: str) -> None:
        self.accounts.append(namespace)


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: type(action).__name__)
@pytest.mark.parametrize(("entry", "account"), [(IN_OTHER_ACCOUNT, "account-of-before"), (HERE, ORG)])
async def test_an_action_uses_the_account_on_record(
    action: AgentModelAction, entry: Any, account: str
) -> None:
    bench = AgentWithoutSecret(empty_record().with_(endpoints=(entry,)), more=(secret_json(),))
    calls = EndpointCalls()
    bench.reconciler._services = replace(bench.reconciler._services, endpoints=cast("Any", calls))
    context = await bench.reconciler._observe(NAMESPACE, AGENT)
    assert context is not None
    await bench.reconciler._perform(action, context.state, context)
    assert calls.accounts == [account]


class OneAccountDown:
    """The account of before does not answer; the installation's has one endpoint."""

    def __init__(self, *down: str) -> None:
        self.down = down

    async def list(self, token: str, namespace: str) -> tuple[Endpoint, ...]:
        if namespace in self.down:
            raise Refused(f"403: {namespace}")
        return (Endpoint(name="mo-2", state="running", url="", repo="", revision=""),)


async def state_with_endpoints(*down: str) -> State:
    record = empty_record().with_(endpoints=(IN_OTHER_ACCOUNT, HERE.model_copy(update={"name": "mo-2"})))
    bench = AgentWithoutSecret(record, more=(secret_json(),))
    bench.reconciler._services = replace(
        bench.reconciler._services, endpoints=cast("Any", OneAccountDown(*down))
    )
    context = await bench.reconciler._observe(NAMESPACE, AGENT)
    assert context is not None
    _, state = await bench.reconciler._decide_with_facts(context)
    return state


async def test_the_endpoints_of_the_other_accounts_are_listed_although_one_does_not_answer() -> None:
    state = await state_with_endpoints("account-of-before")
    assert [e.name for e in state.listed_endpoints or ()] == ["mo-2"]
    assert {name: outage.message for name, outage in state.unlisted.items()} == {
        ENTRY.name: "403: account-of-before"
    }


async def test_where_no_account_answers_no_endpoint_is_known() -> None:
    state = await state_with_endpoints("account-of-before", ORG)
    assert state.listed_endpoints is None
    assert state.service_outage is not None


async def test_a_deletion_without_the_record_looks_in_the_accounts_of_the_status() -> None:
    bench = AgentWithoutSecret(empty_record(), more=(secret_json(),))
    context = await bench.reconciler._observe(NAMESPACE, AGENT)
    assert context is not None
    shown = EndpointStatus(
        name=ENTRY.name, role=EndpointRole.STABLE, model="org/m", account="account-of-before"
    )
    status = context.state.agent_model.status.model_copy(update={"endpoints": (shown,)})
    agent_model = context.state.agent_model.model_copy(update={"status": status})
    state = replace(context.state, agent_model=agent_model, record=None)
    calls = EndpointCalls()
    bench.reconciler._services = replace(bench.reconciler._services, endpoints=cast("Any", calls))
    await bench.reconciler._list_endpoints("token", state)
    await bench.reconciler._perform(DeleteEndpoint(name=ENTRY.name), state, context)
    assert calls.accounts == ["account-of-before"] * 2
